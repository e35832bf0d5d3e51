// Shows one item: its ID, all its fields, its picture, and its nearest items.

import { shows } from "./export.js";
import { addToHistory, at, codes, element, fill, near, row, show, turn } from "./parts.js";
import { fieldsPath, get, itemPath, post } from "./service.js";

const NEIGHBOURS = 12;
const PICTURE = /\.(avif|gif|jpe?g|png|webp)$/i;
const PICTURE_FIELD = /image|img|picture|photo|thumbnail|cover/i;

// The address in a field, if it is one of the web: no other kind of link is made.
function webAddress(value) {
  if (typeof value !== "string" || !URL.canParse(value)) return null;
  const address = new URL(value);
  return ["http:", "https:"].includes(address.protocol) && !address.username ? address : null;
}

function link(address) {
  return element("a", { href: address.href, textContent: address.href, target: "_blank", rel: "noopener noreferrer nofollow" });
}

function shownValue(value) {
  if (Array.isArray(value)) {
    return value.flatMap((part, place) => (place ? [" > ", shownValue(part)] : [shownValue(part)])).flat();
  }
  const address = webAddress(value);
  if (address) return [link(address)];
  return [typeof value === "object" && value !== null ? JSON.stringify(value) : String(value)];
}

function facts(item) {
  const known = { item_id: item.item_id, semantic_id: item.semantic_id, distortion: item.distortion.toFixed(3), ...item.fields };
  delete known.title;
  return Object.entries(known).flatMap(([name, value]) => [
    element("dt", { textContent: name }), element("dd", {}, ...shownValue(value)),
  ]);
}

// The page's security policy takes pictures by https only.
function picture(fields, title) {
  for (const [name, value] of Object.entries(fields)) {
    for (const part of Array.isArray(value) ? value : [value]) {
      const address = webAddress(part);
      if (address?.protocol === "https:" && (PICTURE_FIELD.test(name) || PICTURE.test(address.pathname))) {
        const made = element("img", { alt: `Picture of ${title}`, referrerPolicy: "no-referrer" });
        made.onerror = () => made.replaceWith(element("p", { className: "dim", textContent: "The picture cannot be loaded." }));
        made.src = address.href;
        return [made];
      }
    }
  }
  return [];
}

export async function showItem(itemId) {
  const last = turn("item");
  at("item").hidden = !itemId;
  document.title = "semid";
  if (!itemId) return;
  at("add").onclick = () => addToHistory(itemId);
  at("add").disabled = false;
  try {
    // 404: the service has no catalogue, or the item is not in it.
    const known = get(fieldsPath(itemId)).catch(() => ({ fields: {} }));
    const item = { ...await get(itemPath(itemId)), fields: (await known).fields };
    if (!last()) return;
    const title = item.title ?? item.item_id;
    at("item-heading").textContent = title;
    document.title = `${title} – semid`;
    at("item-id").replaceChildren(codes(item, true));
    at("item-picture").replaceChildren(...picture(item.fields, title));
    at("item-facts").replaceChildren(...facts(item));
    const found = await post("v1/similar", { item_id: itemId, k: NEIGHBOURS });
    if (!last()) return;
    fill("neighbours", found.items.map((other) => row(other, near(other))), "No other items.");
    shows("neighbours", found.items);
  } catch (problem) {
    if (!last()) return;
    at("item-heading").textContent = itemId;
    at("add").disabled = true;
    for (const id of ["item-id", "item-picture", "item-facts"]) at(id).replaceChildren();
    show("neighbours", problem);
    shows("neighbours", []);
  }
}
