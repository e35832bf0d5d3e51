// The tree of prefixes as an icicle: a row for each code, a box as wide as its items are many.

import { at, colour } from "./elements.js";
import { go } from "./place.js";
import { ask } from "./service.js";

const WIDTH = 1000, HEIGHT = 34, NARROWEST = 26;
const kept = new Map();

// The answer on a prefix, kept while the page is open: walking back asks nothing again.
export function below(prefix, tokenizer) {
  const name = `${tokenizer} ${prefix}`;
  if (!kept.has(name)) {
    const asked = ask("v1/prefixes", { prefix });
    asked.catch(() => kept.delete(name));
    kept.set(name, asked);
  }
  return kept.get(name);
}

export const forget = () => kept.clear();

function made(tag, attributes, ...children) {
  const one = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
  one.append(...children);
  return one;
}

function box(entry, left, width, level, on) {
  const value = Number(entry.prefix.split("-").at(-1));
  const words = entry.words.join(", ");
  const title = made("title", {}, `${entry.prefix}: ${entry.items} items${words ? `, ${words}` : ""}`);
  const rect = made("rect", { x: left, y: level * HEIGHT, width: Math.max(width - 1, .5), height: HEIGHT - 2 });
  rect.style.fill = colour(value, level);
  const one = made("g", { class: on ? "box on" : "box", "data-prefix": entry.prefix }, title, rect);
  if (width >= NARROWEST) {
    const most = Math.floor(width / 7);
    const said = `${value} ${words}`.slice(0, most);
    one.append(made("text", { x: left + 4, y: level * HEIGHT + HEIGHT / 2 + 4 }, said));
  }
  one.onclick = () => go({ prefix: entry.prefix });
  return one;
}

export async function draw(prefix, tokenizer) {
  const parts = prefix ? prefix.split("-") : [];
  const rows = [];
  for (let level = 0; level <= parts.length; level += 1) {
    const answer = await below(parts.slice(0, level).join("-"), tokenizer);
    if (answer.prefixes.length) rows.push(answer.prefixes);
  }
  const boxes = rows.flatMap((entries, level) => {
    const sorted = [...entries].sort((one, other) => other.items - one.items);
    const total = sorted.reduce((sum, entry) => sum + entry.items, 0);
    let left = 0;
    return sorted.map((entry) => {
      const width = WIDTH * entry.items / total;
      const drawn = box(entry, left, width, level, entry.prefix === parts.slice(0, level + 1).join("-"));
      left += width;
      return drawn;
    });
  });
  at("tree").setAttribute("viewBox", `0 0 ${WIDTH} ${rows.length * HEIGHT}`);
  at("tree").replaceChildren(...boxes);
}
