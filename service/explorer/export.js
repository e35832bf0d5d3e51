// Exports what a section shows as a CSV file.

import { at } from "./parts.js";

export const ITEM_COLUMNS = ["item_id", "title", "semantic_id", "cosine", "exact", "score"];
const shown = {};

// Remember the rows that a section shows; its button is there while it has rows.
export function shows(section, rows, columns = ITEM_COLUMNS) {
  const there = columns.filter((name) => rows.some((row) => row[name] !== undefined && row[name] !== null));
  shown[section] = { rows, columns: there };
  const button = at(`${section}-export`);
  button.hidden = !rows.length;
  button.onclick = () => download(section);
}

// A text that a spreadsheet would take for a formula begins with an apostrophe.
function cell(value) {
  const formula = typeof value === "string" && /^[=+\-@\t\r]/.test(value);
  const text = `${formula ? "'" : ""}${value ?? ""}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function download(section) {
  const { rows, columns } = shown[section];
  const lines = [columns, ...rows.map((row) => columns.map((name) => row[name]))];
  // The mark at the start tells spreadsheets that the file is UTF-8.
  const content = `\ufeff${lines.map((line) => line.map(cell).join(",")).join("\r\n")}\r\n`;
  const address = URL.createObjectURL(new Blob([content], { type: "text/csv;charset=utf-8" }));
  const anchor = Object.assign(document.createElement("a"), { href: address, download: `semid-${section}.csv` });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
