// Walks the tree of prefixes: a picture of the branches, a card for each prefix, and its items.

import { shows } from "./export.js";
import { drawIcicle } from "./icicle.js";
import { at, code, counted, dim, element, fill, row, show, turn } from "./parts.js";
import { go, leadsTo } from "./place.js";
import { get } from "./service.js";

const PAGE = 50;
const COLUMNS = ["prefix", "items", "words", "central_item_id", "central_title", "coherence", "example"];

const lastCode = (entry) => Number(entry.prefix.split("-").at(-1));
const ORDERS = {
  size: (one, other) => other.items - one.items || lastCode(one) - lastCode(other),
  number: (one, other) => lastCode(one) - lastCode(other),
  coherence: (one, other) => (other.coherence ?? -2) - (one.coherence ?? -2) || ORDERS.size(one, other),
};

function showPath(prefix) {
  const steps = [["all items", ""]];
  const parts = prefix ? prefix.split("-") : [];
  parts.forEach((part, level) => steps.push([part, parts.slice(0, level + 1).join("-")]));
  const links = steps.map(([name, target], index) => {
    const made = leadsTo(element("a", { textContent: name }), { prefix: target });
    if (index === steps.length - 1) made.setAttribute("aria-current", "true");
    return made;
  });
  at("path").replaceChildren(...links.flatMap((made, index) => (index ? [" – ", made] : [made])));
}

function card(entry, chance) {
  const level = entry.prefix.split("-").length - 1;
  const head = element("span", { className: "head" }, code(lastCode(entry), level), ` ${counted(entry.items, "item")}`);
  const made = leadsTo(element("a", { className: "prefix" }, head), { prefix: entry.prefix });
  made.dataset.prefix = entry.prefix;
  if (entry.words?.length) made.append(element("span", { className: "words", textContent: entry.words.join(", ") }));
  const central = entry.central ? entry.central.title ?? entry.central.item_id : entry.example;
  if (central) made.append(dim(central));
  if (entry.coherence !== undefined && entry.coherence !== null) {
    const against = chance === undefined || chance === null ? "" : `, by chance ${chance.toFixed(2)}`;
    made.append(dim(`coherence ${entry.coherence.toFixed(2)}${against}`));
  }
  return made;
}

function depthText({ length, prefixes, largest, single }) {
  const alone = single ? `, ${single.toLocaleString("en")} with a single item` : "";
  return `${counted(length, "code")}: ${counted(prefixes, "prefix", "prefixes")}, the largest with ${counted(largest, "item")}${alone}`;
}

function exported(entry) {
  return {
    ...entry, words: entry.words?.length ? entry.words.join(" ") : null,
    central_item_id: entry.central?.item_id, central_title: entry.central?.title,
  };
}

export async function showTree({ prefix, sort }) {
  const last = turn("tree");
  const order = ORDERS[sort] ? sort : "size";
  at("sort").value = order;
  showPath(prefix);
  try {
    const below = await get("v1/prefixes", { prefix });
    if (!last()) return;
    const entries = below.prefixes.toSorted(ORDERS[order]);
    fill("prefixes", entries.map((entry) => card(entry, below.chance)), prefix ? "" : "There are no items yet.");
    at("depths").replaceChildren(...(below.depths ?? []).map((depth) => element("li", { textContent: depthText(depth) })));
    shows("prefixes", entries.map(exported), COLUMNS);
    drawIcicle(prefix, entries, ORDERS[order], last);
    at("members").replaceChildren();
    shows("members", []);
    at("more").hidden = true;
    if (prefix) await addMembers(prefix, "", [], last);
  } catch (problem) {
    if (!last()) return;
    for (const id of ["members", "depths", "icicle"]) at(id).replaceChildren();
    at("more").hidden = true;
    shows("prefixes", [], COLUMNS);
    shows("members", []);
    show("prefixes", problem);
  }
}

async function addMembers(prefix, after, before, last) {
  const page = await get("v1/items", { prefix, limit: PAGE, after });
  if (!last()) return;
  const items = [...before, ...page.items];
  at("members").append(...page.items.map((item) => row(item)));
  shows("members", items);
  at("more").hidden = !page.next;
  at("more").onclick = () => addMembers(prefix, page.next, items, last).catch((problem) => show("members", problem));
}

at("sort").onchange = () => go({ sort: at("sort").value === "size" ? "" : at("sort").value });
