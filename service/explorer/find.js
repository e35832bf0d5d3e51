// Finds items by words, and shows the codes of a text.

import { shows } from "./export.js";
import { at, codes, counted, dim, element, fill, near, row, show, state, turn } from "./parts.js";
import { go, place } from "./place.js";
import { get, itemPath, post } from "./service.js";

const MOST = 50;
const NEAR = 20;
const COUNTED = 1000;  // titles with the words, beyond which the service stops counting

// The items that answer words: by a search model if there is one, which also reads the history;
// else those with the words in their title; else those near in meaning.
async function found(words, history) {
  const exact = await get(itemPath(words)).catch(() => null);
  const first = (items) => (exact ? [exact, ...items.filter((item) => item.item_id !== exact.item_id)] : items);
  if (state.searches) {
    const ranked = await post("v1/search", { query: words, history, k: MOST });
    return { items: first(ranked.items), said: history.length ? "Ranked by the search model for these words and the history:" : "Ranked by the search model:" };
  }
  const titled = await get("v1/items", { limit: MOST, search: words });
  const items = first(titled.items);
  if (items.length) {
    const total = Math.max(titled.total, items.length);
    const more = total > items.length ? `, the first ${items.length} are shown` : "";
    const least = total < COUNTED ? "" : "at least ";
    return { items, said: `${least}${counted(total, "item")} found${more}` };
  }
  if (!state.encodes) return { items, said: "" };
  const meant = await post("v1/similar", { text: words, k: NEAR });
  return { items: meant.items, said: "No title has these words; near in meaning:" };
}

function noteOf(item) {
  if (item.score !== undefined) return `score ${item.score.toFixed(2)}`;
  return item.cosine === undefined ? "" : near(item);
}

async function search(words, history) {
  const last = turn("find");
  try {
    const { items, said } = await found(words, history);
    if (!last()) return;
    at("results-said").textContent = items.length ? said : "Nothing found.";
    at("results").replaceChildren(...items.map((item) => row(item, noteOf(item))));
    shows("results", items);
  } catch (problem) {
    if (last()) failed(problem);
  }
}

// How far registered items share the codes: "12: 340 items, 12-240: 12 items".
function sharing(answer) {
  return answer.items.map((items, level) => `${answer.codes.slice(0, level + 1).join("-")}: ${counted(items, "item")}`).join(" · ");
}

async function tokenize(text) {
  const last = turn("find");
  try {
    const [answer, meant] = await Promise.all([post("v1/codes", { text }), post("v1/similar", { text, k: NEAR })]);
    if (!last()) return;
    const deepest = answer.items.findLastIndex((items) => items) + 1;
    fill("tokenized", [
      codes({ codes: answer.codes, semantic_id: answer.codes.join("-") }, true),
      element("p", {}, dim(`${sharing(answer)} · distortion ${answer.distortion.toFixed(3)}`)),
    ]);
    at("tokenized").hidden = false;
    at("results-said").textContent = deepest
      ? `The text is not registered. Its first ${counted(deepest, "code")} lead to items; nearest items:`
      : "The text is not registered. No item has its first code; nearest items:";
    at("results").replaceChildren(...meant.items.map((item) => row(item, near(item))));
    shows("results", meant.items);
  } catch (problem) {
    if (last()) failed(problem);
  }
}

function failed(problem) {
  at("results-said").textContent = "";
  show("results", problem);
  shows("results", []);
}

let asked = "";
let read = "";  // the request and the history that the results are for

export function showFind({ q, text, history }, again = false) {
  const now = JSON.stringify([q, text, place().tokenizer, state.searches ? history : []]);
  if (now === read && !again) return;
  read = now;
  // What is typed while the page loads stays.
  if ((q || text) !== asked) at("words").value = q || text;
  asked = q || text;
  at("tokenized").hidden = true;
  if (q) search(q, history);
  else if (text) tokenize(text);
  else {
    turn("find");
    at("results-said").textContent = "";
    at("results").replaceChildren();
    shows("results", []);
  }
}

at("search").onsubmit = (event) => {
  event.preventDefault();
  const words = at("words").value.trim();
  const change = event.submitter?.id === "tokenize" ? { q: "", text: words } : { q: words, text: "" };
  if (words && Object.entries(change).every(([name, value]) => place()[name] === value)) showFind(place(), true);
  else if (words) go(change);
};
