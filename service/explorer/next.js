// The history, and what a recommender says comes next after it.

import { shows } from "./export.js";
import { at, element, fill, row, show, state, turn } from "./parts.js";
import { go } from "./place.js";
import { get, itemPath, post } from "./service.js";

const MOST = 12;
const titles = new Map();

async function titleOf(itemId) {
  if (!titles.has(itemId)) {
    const item = await get(itemPath(itemId)).catch(() => null);
    titles.set(itemId, item?.title ?? itemId);
  }
  return titles.get(itemId);
}

function step(history, index, title) {
  const made = element("button", { className: "step", type: "button", title: "remove", textContent: `${title}\u00a0×` });
  made.setAttribute("aria-label", `Remove ${title} from history`);
  made.onclick = () => go({ history: history.filter((_, other) => other !== index) });
  return element("li", {}, made);
}

export async function showNext(history) {
  const last = turn("next");
  at("next").hidden = !history.length;
  if (!history.length) return;
  const names = await Promise.all(history.map(titleOf));
  if (!last()) return;
  at("history").replaceChildren(...names.map((title, index) => step(history, index, title)));
  at("clear").onclick = () => go({ history: [] });
  if (!state.recommends) {
    fill("recommended", [], "No recommender is served; searches follow this history.");
    shows("recommended", []);
    return;
  }
  try {
    const found = await post("v1/recommend", { history, k: MOST });
    if (!last()) return;
    const [items] = found.lists;
    fill("recommended", items.map((item) => row(item, `score ${item.score.toFixed(2)}`)), "No other items.");
    shows("recommended", items);
  } catch (problem) {
    if (!last()) return;
    show("recommended", problem);
    shows("recommended", []);
  }
}
