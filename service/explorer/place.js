// The place in the page, kept in the URL: what is searched, shown, browsed, and chosen before.

export const place = () => new URLSearchParams(location.hash.slice(1));

// Go to a place: the given parameters change, null removes one, and the others stay.
export function go(changes) {
  const target = place();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") target.delete(name);
    else target.set(name, value);
  }
  location.hash = target.toString();
}

export const past = () => {
  const written = place().get("history");
  return written ? written.split(",").map(decodeURIComponent) : [];
};

export const withPast = (itemIds) => itemIds.map(encodeURIComponent).join(",") || null;
