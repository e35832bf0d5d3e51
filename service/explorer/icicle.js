// Draws the tree of prefixes as an icicle: each prefix is as wide as its share of the items, and
// what is below it stands below it. Arrow keys walk it, Enter opens a prefix.

import { at, colour, counted } from "./parts.js";
import { leadsTo } from "./place.js";
import { get } from "./service.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 34;
const BRANCHES = 24;  // widest prefixes of which the next level is drawn, too
const NARROWEST = 12;  // pixels of a part, below which what is below it is not drawn
const READABLE = 32;  // pixels of a part, below which its code does not fit

function drawn(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const pixels = (width) => (at("icicle").clientWidth * width) / 100;

// A part of the picture; a nested <svg> cuts off what does not fit its width.
function part({ prefix, items, words }, { x, width, depth }) {
  const parts = prefix ? prefix.split("-") : [];
  const name = prefix || "all items";
  const told = [name, counted(items, "item"), ...(words?.length ? [words.join(", ")] : [])].join(": ");
  const fill = prefix ? colour(Number(parts.at(-1)), parts.length - 1) : "#4a5565";
  const label = [parts.at(-1) ?? "all items", ...(words ?? []).slice(0, 3)].join(" ");
  const box = drawn("svg", { x: `${x}%`, y: depth * HEIGHT, width: `${width}%`, height: HEIGHT },
    drawn("rect", { width: "100%", height: HEIGHT, fill }),
    ...(pixels(width) > READABLE ? [drawn("text", { x: 5, y: HEIGHT / 2 + 5 }, label)] : []));
  const made = leadsTo(drawn("a", { "aria-label": told, tabindex: -1 }, drawn("title", {}, told), box), { prefix });
  if (pixels(width) < 4) made.classList.add("thin");
  made.dataset.depth = depth;
  made.dataset.middle = x + width / 2;
  made.dataset.prefix = prefix;
  return made;
}

// Parts side by side in one row, from `x` on, in all as wide as `width`.
function level(entries, { x, width, depth }) {
  const total = entries.reduce((sum, entry) => sum + entry.items, 0);
  let start = x;
  return entries.map((entry) => {
    const share = (width * entry.items) / total;
    const placed = { x: start, width: share, depth };
    start += share;
    return { entry, placed, made: part(entry, placed) };
  });
}

export async function drawIcicle(prefix, entries, order, last) {
  const steps = prefix ? prefix.split("-") : [];
  const items = entries.reduce((sum, entry) => sum + entry.items, 0);
  at("icicle").replaceChildren();
  if (!entries.length) return;
  const above = steps.map((_, depth) => steps.slice(0, depth).join("-"));
  const path = [...above, prefix];
  const counts = await Promise.all(above.map((one) => itemsOf(one).catch(() => null)));
  if (!last()) return;
  const rows = path.map((one, depth) => part(
    { prefix: one, items: counts[depth] ?? items }, { x: 0, width: 100, depth }));
  const children = level(entries, { x: 0, width: 100, depth: path.length });
  const picture = drawn("svg", { role: "group", "aria-label": "Tree of prefixes; arrow keys walk it", width: "100%", height: (path.length + 1) * HEIGHT },
    ...rows, ...children.map(({ made }) => made));
  at("icicle").replaceChildren(picture);
  rows.at(-1).setAttribute("tabindex", 0);
  picture.onkeydown = (event) => walk(picture, event);
  const wide = children.filter(({ placed }) => pixels(placed.width) > NARROWEST)
    .toSorted((one, other) => other.placed.width - one.placed.width).slice(0, BRANCHES);
  const below = await Promise.all(wide.map(({ entry }) =>
    get("v1/prefixes", { prefix: entry.prefix, named: false }).catch(() => ({ prefixes: [] }))));
  if (!last() || !below.some(({ prefixes }) => prefixes.length)) return;
  picture.setAttribute("height", (path.length + 2) * HEIGHT);
  below.forEach(({ prefixes }, index) => {
    const placed = { ...wide[index].placed, depth: path.length + 1 };
    picture.append(...level(prefixes.toSorted(order), placed).map(({ made }) => made));
  });
}

async function itemsOf(prefix) {
  return (await get("v1/items", { prefix, limit: 1 })).total;
}

// Left and right go along a row; up and down go to what stands above or below.
function walk(picture, event) {
  const here = event.target.closest("a");
  const all = [...picture.querySelectorAll("a")];
  const depth = Number(here.dataset.depth);
  const inRow = (number) => all.filter((one) => Number(one.dataset.depth) === number);
  const nearest = (number) => inRow(number).toSorted((one, other) => distance(one, here) - distance(other, here))[0];
  const siblings = inRow(depth);
  const index = siblings.indexOf(here);
  const target = {
    ArrowLeft: () => siblings[index - 1], ArrowRight: () => siblings[index + 1],
    Home: () => siblings[0], End: () => siblings.at(-1),
    ArrowUp: () => nearest(depth - 1), ArrowDown: () => nearest(depth + 1),
  }[event.key]?.();
  if (!target) return;
  event.preventDefault();
  here.setAttribute("tabindex", -1);
  target.setAttribute("tabindex", 0);
  target.focus();
}

function distance(one, other) {
  return Math.abs(one.dataset.middle - other.dataset.middle);
}
