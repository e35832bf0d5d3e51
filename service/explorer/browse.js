// Browsing: the path, the tree, a card for each prefix, and the items under a prefix.

import { at, code, element, fill, linked, row, show } from "./elements.js";
import { itemsUnder, save } from "./export.js";
import { go, place } from "./place.js";
import { ask } from "./service.js";
import { below, draw } from "./tree.js";

const PAGE = 50;

function showPath(prefix) {
  const parts = prefix ? prefix.split("-") : [];
  const steps = [["all items", ""], ...parts.map((part, level) => [part, parts.slice(0, level + 1).join("-")])];
  const buttons = steps.map(([name, target]) => {
    const made = element("button", { type: "button", textContent: name });
    made.onclick = () => go({ prefix: target });
    return made;
  });
  at("path").replaceChildren(...buttons.flatMap((made, index) => (index ? [" – ", made] : [made])));
}

function card(entry, chance) {
  const level = entry.prefix.split("-").length - 1;
  const value = Number(entry.prefix.split("-").at(-1));
  const head = element("span", {}, code(value, level), ` ${entry.items} item${entry.items === 1 ? "" : "s"}`);
  const made = linked(element("a", { className: "prefix" }, head), { prefix: entry.prefix });
  made.dataset.prefix = entry.prefix;
  made.dataset.items = entry.items;
  if (entry.words.length) made.append(element("strong", { textContent: entry.words.join(", ") }));
  const central = entry.central?.title ?? entry.central?.item_id ?? entry.example ?? "";
  made.append(element("span", { className: "dim central", textContent: central }));
  if (entry.coherence !== null && chance !== null) {
    const told = `coherence ${entry.coherence.toFixed(2)}, by chance ${chance.toFixed(2)}`;
    made.append(element("span", { className: "dim", textContent: told }));
  }
  return made;
}

function sorted(entries) {
  return place().get("sort") === "number" ? entries : [...entries].sort((one, other) => other.items - one.items);
}

const sizes = (depths) => depths.map((depth) =>
  `${depth.length} ${depth.length === 1 ? "code" : "codes"}: ${depth.prefixes.toLocaleString("en")} prefixes, ` +
  `the largest of ${depth.largest.toLocaleString("en")}, ${Math.round(100 * depth.single / depth.prefixes)} % of one item`,
).join(" · ");

let browsed = 0;  // the number of the last call; an older answer that comes late is dropped

export async function browse(prefix) {
  const turn = browsed += 1;
  const tokenizer = place().get("tokenizer") ?? "";
  showPath(prefix);
  at("sort").value = place().get("sort") ?? "items";
  try {
    const answer = await below(prefix, tokenizer);
    if (turn !== browsed) return;
    fill("prefixes", sorted(answer.prefixes).map((entry) => card(entry, answer.chance)));
    at("sizes").textContent = sizes(answer.depths);
    at("members").replaceChildren();
    at("more").hidden = true;
    at("export-prefix").onclick = async () => {
      try {
        save(await itemsUnder(prefix), `items-${prefix || "all"}.csv`);
      } catch (problem) {
        show("members", problem);
      }
    };
    await draw(prefix, tokenizer);
    if (prefix && turn === browsed) await addMembers(prefix, "");
  } catch (problem) {
    fill("members", []);
    at("tree").replaceChildren();
    show("prefixes", problem);
  }
}

async function addMembers(prefix, after) {
  const page = await ask("v1/items", { prefix, limit: PAGE, after });
  at("members").append(...page.items.map((item) => row(item)));
  at("more").hidden = !page.next;
  at("more").onclick = () => addMembers(prefix, page.next);
}
