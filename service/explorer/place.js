// The place that the page shows, held in its address: so links, reloads and the back button work.

const MANY = "history";

// q: words to search. text: a text to tokenize. item: an item_id. prefix: codes. sort: of prefixes.
// tokenizer: a fingerprint. history: item_ids, oldest first.
export function place() {
  const found = new URLSearchParams(location.hash.slice(1));
  return { q: "", text: "", item: "", prefix: "", sort: "", tokenizer: "", ...Object.fromEntries(found), history: found.getAll(MANY) };
}

// The address of this place with some parts changed; an empty part is left out.
export function link(change) {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...place(), ...change })) {
    if (name === MANY) value.forEach((itemId) => parts.append(MANY, itemId));
    else if (value) parts.set(name, value);
  }
  return `#${parts}`;
}

export function go(change) {
  const target = link(change);
  if (target !== location.hash) location.hash = target;
}

// A link says what it changes; the rest of the place stays as it is when the link is followed.
export function leadsTo(anchor, change) {
  anchor.setAttribute("href", link(change));
  anchor.dataset.change = JSON.stringify(change);
  return anchor;
}

document.addEventListener("click", (event) => {
  const anchor = event.target.closest("a[data-change]");
  if (!anchor || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(JSON.parse(anchor.dataset.change));
});
