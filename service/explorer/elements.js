// The parts that the page is made of.

import { go, place } from "./place.js";

export const at = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// One code, coloured by level and value: items alike begin with the same colours.
export const colour = (value, level) => `hsl(${(value * 137.508 + level * 47) % 360} 45% 38%)`;

export function code(value, level, tag = "span") {
  const chip = element(tag, { className: "code", textContent: value });
  chip.style.background = colour(value, level);
  return chip;
}

// A link to a place in the page, which a new tab can open too.
export function linked(made, changes) {
  const target = place();
  for (const [name, value] of Object.entries(changes)) target.set(name, value);
  made.href = `#${target}`;
  made.onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(changes);
  };
  return made;
}

export function codes(item, browsable = false) {
  const chips = (item.codes ?? []).map((value, level) => {
    const prefix = item.codes.slice(0, level + 1).join("-");
    const chip = code(value, level, browsable ? "a" : "span");
    return browsable ? Object.assign(linked(chip, { prefix }), { title: `browse ${prefix}` }) : chip;
  });
  if (item.suffix) chips.push(element("span", { className: "code suffix", textContent: item.suffix }));
  return element("span", { className: "codes", title: item.semantic_id ?? "" }, ...chips);
}

export function row(item, note) {
  const title = element("span", { className: "title", textContent: item.title ?? item.item_id });
  const made = linked(element("a", { className: "row" }, title, codes(item)), { item: item.item_id });
  made.dataset.itemId = item.item_id;
  if (note) made.append(element("span", { className: "dim", textContent: note }));
  return made;
}

export function fill(id, children, empty) {
  const none = element("p", { className: "dim", textContent: empty ?? "" });
  at(id).replaceChildren(...(children.length ? children : [none]));
}

export function show(id, problem) {
  at(id).replaceChildren(element("p", { className: "problem", textContent: problem.message }));
}
