// The page over the HTTP interface: find an item, search, tokenize a text, browse, recommend.

import { browse } from "./browse.js";
import { at, codes, element, fill, row, show } from "./elements.js";
import { save } from "./export.js";
import { showItem } from "./item.js";
import { go, past, place, withPast } from "./place.js";
import { ask, itemPath, useKey } from "./service.js";
import { forget } from "./tree.js";

// The tokenizer's description, which says what the service can do.
let described = Promise.resolve({});

// What the search model ranks for the words after the history; null where there is no such model.
async function ranked(words) {
  const { search } = await described;
  if (!search) return null;
  const found = await ask("v1/search", {}, { query: words, history: past(), k: 20 });
  return found.items;
}

async function search(words) {
  try {
    const exact = await ask(itemPath(words)).catch(() => null);
    const answers = await ranked(words);
    let found = answers ?? (await ask("v1/items", { limit: 20, search: words })).items;
    if (exact) found = [exact, ...found.filter((item) => item.item_id !== exact.item_id)];
    const rows = found.map((item) => row(item, item.score === undefined ? undefined : `score ${item.score.toFixed(2)}`));
    if (!rows.length) {
      const near = await ask("v1/similar", {}, { text: words, k: 20 });
      found = near.items;
      rows.push(...found.map((item) => row(item, `cosine ${item.cosine.toFixed(2)}`)));
      rows.unshift(element("p", { className: "dim", textContent: "No title has these words; near in meaning:" }));
    }
    fill("results", rows, "Nothing found.");
    at("export-results").hidden = !found.length;
    at("export-results").onclick = () => save(found, "results.csv");
  } catch (problem) {
    at("export-results").hidden = true;
    show("results", problem);
  }
}

async function tokenize(text) {
  try {
    const found = await ask("v1/codes", {}, { text });
    const shared = found.items.map((items, level) => `${items} share ${level + 1}`).join(", ");
    const near = await ask("v1/similar", {}, { text, k: 5 });
    at("tried").replaceChildren(
      codes({ codes: found.codes, semantic_id: found.prefix }, true),
      element("p", { className: "dim", textContent: `distortion ${found.distortion.toFixed(3)} · of the items, by number of first codes: ${shared}` }),
      ...near.items.map((item) => row(item, `cosine ${item.cosine.toFixed(2)}`)),
    );
  } catch (problem) {
    show("tried", problem);
  }
}

// The history that searches and the recommender read: items in the order in which they were added.
async function recommend(itemIds) {
  at("next").hidden = !itemIds.length;
  if (!itemIds.length) return;
  const titles = await Promise.all(itemIds.map((itemId) => ask(itemPath(itemId)).then((item) => item.title ?? itemId).catch(() => itemId)));
  at("history").replaceChildren(...titles.map((title, number) => {
    const made = element("button", { className: "step", type: "button", title: "remove", textContent: `${title} ×` });
    made.onclick = () => go({ history: withPast(itemIds.filter((_, other) => other !== number)) });
    return made;
  }));
  try {
    const { recommender } = await described;
    if (!recommender) return fill("recommended", [], "No recommender is served; searches follow this history.");
    const found = await ask("v1/recommend", {}, { history: itemIds, k: 12 });
    fill("recommended", found.lists[0].map((item) => row(item, `score ${item.score.toFixed(2)}`)), "No other items.");
  } catch (problem) {
    show("recommended", problem);
  }
}

async function summarise() {
  described = ask("v1/tokenizer");
  const tokenizer = await described;
  at("add").hidden = !tokenizer.recommender && !tokenizer.search;
  at("summary").textContent =
    `${tokenizer.items.toLocaleString("en")} items · ${tokenizer.levels} × ${tokenizer.codebook_size} ` +
    `${tokenizer.quantizer} codes · tokenizer ${tokenizer.fingerprint.slice(0, 12)}`;
  at("choose").hidden = tokenizer.held.length < 2;
  at("tokenizer").replaceChildren(...tokenizer.held.map((fingerprint) =>
    element("option", { value: fingerprint.slice(0, 16), textContent: fingerprint.slice(0, 12), selected: fingerprint === tokenizer.fingerprint })));
}

// What the page shows now, so that only what has changed is asked again.
let current = {};

function follow() {
  const target = place();
  const read = (name) => target.get(name) ?? "";
  const before = current;
  current = Object.fromEntries(["q", "text", "item", "prefix", "sort", "history", "tokenizer"].map((name) => [name, read(name)]));
  const other = before.tokenizer !== current.tokenizer;
  const changed = (name) => other || before[name] !== current[name];
  if (other) {
    forget();
    summarise().catch((problem) => show("summary", problem));
  }
  if (changed("q") || (current.q && changed("history"))) {
    at("words").value = current.q;
    if (current.q) search(current.q);
    else { fill("results", []); at("export-results").hidden = true; }
  }
  if (changed("text")) {
    at("text").value = current.text;
    if (current.text) tokenize(current.text);
    else at("tried").replaceChildren();
  }
  if (changed("item")) {
    if (current.item) showItem(current.item);
    else at("item").hidden = true;
  }
  if (changed("prefix") || changed("sort")) browse(current.prefix);
  if (changed("history")) recommend(past());
}

function start() {
  current = {};
  forget();
  follow();
}

at("search").onsubmit = (event) => {
  event.preventDefault();
  go({ q: at("words").value.trim() });
};
at("try").onsubmit = (event) => {
  event.preventDefault();
  go({ text: at("text").value.trim() });
};
at("sort").onchange = () => go({ sort: at("sort").value });
at("clear").onclick = () => go({ history: null });
at("tokenizer").onchange = () => go({ tokenizer: at("tokenizer").value, prefix: null });
at("key").onsubmit = (event) => {
  event.preventDefault();
  useKey(at("key-value").value.trim());
  at("key-value").value = "";
  at("key").hidden = true;
  start();
};
window.onhashchange = follow;
start();
