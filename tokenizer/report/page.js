"use strict";
// Hovering over the map names an item; the search marks items on it, lists them, and leaves the
// families that match.
const names = JSON.parse(document.getElementById("items")?.textContent ?? "[]");
const dots = [...document.querySelectorAll(".map circle")];
const families = [...document.querySelectorAll(".family")].map((family) => [family, family.textContent.toLowerCase()]);
const tip = document.getElementById("tip"), found = document.getElementById("found");
for (const dot of dots) {
  dot.addEventListener("mouseenter", () => { tip.textContent = dot.querySelector("title").textContent; });
}
document.getElementById("find")?.addEventListener("input", (event) => {
  const words = event.target.value.trim().toLowerCase();
  const matches = ([name, id]) => name.toLowerCase().includes(words) || id.startsWith(words);
  const rows = new Set(words ? names.flatMap((item, row) => (matches(item) ? [row] : [])) : []);
  for (const dot of dots) {
    const on = rows.has(Number(dot.dataset.row));
    dot.classList.toggle("on", on);
    dot.classList.toggle("off", Boolean(words) && !on);
  }
  for (const [family, text] of families) family.hidden = Boolean(words) && !text.includes(words);
  found.replaceChildren(...[...rows].slice(0, 50).map((row) => {
    const line = document.createElement("li");
    line.textContent = `${names[row][1]}  ${names[row][0]}`;
    return line;
  }));
  tip.textContent = words ? `${rows.size} items` : "";
});
