// One item: its ID, its fields, its picture and page, and its nearest items.

import { at, codes, element, fill, row, show } from "./elements.js";
import { go, past, withPast } from "./place.js";
import { ask, fieldsPath, itemPath } from "./service.js";

const WEB = /^https?:\/\/\S+$/;
const PICTURE = /image|img|picture|photo|thumbnail|poster/i;

const addressIn = (value) => (Array.isArray(value) ? value : [value]).find((one) => typeof one === "string" && WEB.test(one));

function written(value) {
  if (Array.isArray(value)) return value.map(written).join(" › ");
  return value !== null && typeof value === "object" ? JSON.stringify(value) : String(value);
}

function showFields(fields) {
  const named = Object.entries(fields);
  fill("item-fields", named.flatMap(([name, value]) => [
    element("dt", { textContent: name }), element("dd", { textContent: written(value) })]));
  const addresses = named.map(([name, value]) => [name, addressIn(value)]).filter(([, address]) => address);
  const picture = addresses.find(([name]) => PICTURE.test(name))?.[1];
  const link = addresses.find(([name]) => !PICTURE.test(name))?.[1];
  at("item-image").hidden = !picture;
  if (picture) at("item-image").src = picture;
  else at("item-image").removeAttribute("src");
  at("item-link").hidden = !link;
  if (link) at("item-link").href = link;
}

const near = (item) => `cosine ${item.cosine.toFixed(2)}${item.exact ? "" : " by codes"}`;

let shown = 0;

export async function showItem(itemId) {
  const turn = shown += 1;
  at("item").hidden = false;
  try {
    const item = await ask(itemPath(itemId));
    const fields = await ask(fieldsPath(itemId)).catch(() => ({ fields: {} }));
    if (turn !== shown) return;
    at("item-heading").textContent = item.title ?? item.item_id;
    at("item-id").replaceChildren(codes(item, true));
    at("add").onclick = () => go({ history: withPast([...past(), item.item_id]) });
    at("item-facts").replaceChildren(element("span", { className: "dim", textContent:
      `item_id ${item.item_id} · semantic ID ${item.semantic_id} · distortion ${item.distortion.toFixed(3)}` }));
    showFields(fields.fields);
    const found = await ask("v1/similar", {}, { item_id: itemId, k: 12 });
    if (turn !== shown) return;
    fill("neighbours", found.items.map((other) => row(other, near(other))), "No other items.");
  } catch (problem) {
    if (turn !== shown) return;
    at("item-heading").textContent = itemId;
    for (const id of ["item-id", "item-facts"]) fill(id, []);
    showFields({});
    show("neighbours", problem);
  }
}
