// Parts of the page that several sections show: elements, codes, rows of items, problems.

import { go, leadsTo, place } from "./place.js";

export const at = (id) => document.getElementById(id);

// What the service can do with the tokenizer that is shown.
export const state = { recommends: false, searches: false, encodes: false };

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export function dim(text) {
  return element("span", { className: "dim", textContent: text });
}

export function counted(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

// The colour of a code, by its level and value: items that are alike begin with the same colours.
export function colour(value, level) {
  return `hsl(${(value * 137.508 + level * 47) % 360} 45% 31%)`;
}

function chip(tag, value, level) {
  const made = element(tag, { className: "code", textContent: value });
  made.style.background = colour(value, level);
  return made;
}

export function code(value, level) {
  return chip("span", value, level);
}

// The codes of an item; `linked` ones lead to their prefixes.
export function codes(item, linked = false) {
  const chips = (item.codes ?? []).map((value, level) => {
    if (!linked) return code(value, level);
    const prefix = item.codes.slice(0, level + 1).join("-");
    const made = chip("a", value, level);
    made.title = `browse ${prefix}`;
    return leadsTo(made, { prefix });
  });
  if (item.suffix) chips.push(element("span", { className: "code suffix", textContent: item.suffix }));
  return element("span", { className: "codes", title: item.semantic_id ?? "" }, ...chips);
}

export function addToHistory(itemId) {
  go({ history: [...place().history, itemId] });
}

export function row(item, note) {
  const name = item.title ?? item.item_id;
  const title = leadsTo(element("a", { className: "title", textContent: name }), { item: item.item_id });
  const side = element("span", { className: "side" }, codes(item));
  const made = element("div", { className: "row" }, title, side);
  made.dataset.itemId = item.item_id;
  if (note) side.append(dim(note));
  if (state.recommends || state.searches) {
    const add = element("button", { type: "button", className: "add", textContent: "+", title: "add to history" });
    add.setAttribute("aria-label", `Add ${name} to history`);
    add.onclick = () => addToHistory(item.item_id);
    side.append(add);
  }
  return made;
}

export function near(item) {
  return item.exact ? `cosine ${item.cosine.toFixed(2)}` : `cosine ${item.cosine.toFixed(2)}, by its codes`;
}

export function fill(id, children, empty = "") {
  const none = element("p", { className: "dim", textContent: empty });
  at(id).replaceChildren(...(children.length ? children : [none]));
}

export function show(id, problem) {
  at(id).replaceChildren(element("p", { className: "problem", textContent: problem.message }));
}

// Gives each piece of work a test of whether it is still the last one of its section: answers may
// come in another order than their requests.
const turns = {};
export function turn(section) {
  const mine = (turns[section] = (turns[section] ?? 0) + 1);
  return () => turns[section] === mine;
}
