// Items as a CSV file.

import { element } from "./elements.js";
import { ask } from "./service.js";

const MOST = 100_000;  // items of one file

// A cell that a spreadsheet would take for a formula begins with an apostrophe.
function cell(value) {
  const text = String(value ?? "");
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function save(items, name) {
  const lines = ["item_id,semantic_id,title", ...items.map((item) =>
    [item.item_id, item.semantic_id, item.title].map(cell).join(","))];
  const file = new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv" });
  const link = element("a", { href: URL.createObjectURL(file), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

export async function itemsUnder(prefix) {
  const found = [];
  let after = "";
  do {
    const page = await ask("v1/items", { prefix, limit: 1000, after });
    found.push(...page.items);
    after = page.next;
  } while (after && found.length < MOST);
  return found;
}
