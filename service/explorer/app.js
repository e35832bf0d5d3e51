// The page over the HTTP interface: it shows the place that its address names.

import { showFind } from "./find.js";
import { showItem } from "./item.js";
import { showNext } from "./next.js";
import { at, counted, element, show, state, turn } from "./parts.js";
import { go, place } from "./place.js";
import { get, onRefusal, useKey } from "./service.js";
import { showTree } from "./tree.js";

const SECTIONS = [
  [["q", "text", "history"], showFind],
  [["item"], ({ item }) => showItem(item)],
  [["history"], ({ history }) => showNext(history)],
  [["prefix", "sort"], showTree],
];
let before = null;

async function summarise() {
  const tokenizer = await get("v1/tokenizer");
  state.recommends = Boolean(tokenizer.recommender);
  state.searches = Boolean(tokenizer.search);
  at("add").hidden = !state.recommends && !state.searches;
  state.encodes = Boolean(tokenizer.encoder);
  at("tokenize").hidden = !state.encodes;
  const names = new Set(["tokenizer", tokenizer.name, tokenizer.fingerprint.slice(0, 12)]);
  at("summary").textContent =
    `${counted(tokenizer.items, "item")} · ${tokenizer.levels} × ${tokenizer.codebook_size} ` +
    `${tokenizer.quantizer} codes · ${[...names].join(" ")}`;
  if (tokenizer.held.length > 1) await offer(tokenizer);
}

// Lists the tokenizers that the service has loaded.
async function offer(chosen) {
  const all = await Promise.all(tokenizersOf(chosen));
  at("tokenizer").replaceChildren(...all.map((one) => element("option", {
    value: one.fingerprint, selected: one.fingerprint === chosen.fingerprint,
    textContent: `${one.name}: ${one.levels} × ${one.codebook_size} ${one.quantizer}${one.default ? ", default" : ""}`,
  })));
  at("tokenizer").onchange = () => {
    const picked = all.find((one) => one.fingerprint === at("tokenizer").value);
    // A prefix means something else to each tokenizer.
    go({ tokenizer: picked.default ? "" : picked.fingerprint.slice(0, 16), prefix: "" });
  };
  at("choice").hidden = false;
}

function tokenizersOf(chosen) {
  return chosen.held.map((fingerprint) =>
    (fingerprint === chosen.fingerprint ? chosen : get("v1/tokenizer", { tokenizer: fingerprint })));
}

// Show the sections whose part of the place has changed.
async function follow() {
  const last = turn("follow");
  if (before?.tokenizer !== place().tokenizer) {
    before = null;  // everything is to be shown, also if the place changes before the answer comes
    await summarise().catch((problem) => show("summary", problem));
    if (!last()) return;
  }
  const here = place();
  const due = SECTIONS.filter(([names]) => !before || names.some((name) => String(before[name]) !== String(here[name])));
  const opened = before && here.item && here.item !== before.item;
  const again = !before;
  before = here;
  document.body.classList.toggle("has-item", Boolean(here.item));
  document.body.classList.toggle("has-next", Boolean(here.history.length));
  due.forEach(([, showSection]) => showSection(here, again));
  if (opened) at("item-heading").focus();
}

onRefusal(() => { at("key").hidden = false; });
at("key").onsubmit = (event) => {
  event.preventDefault();
  useKey(at("key-value").value.trim());
  at("key-value").value = "";
  at("key").hidden = true;
  before = null;
  follow();
};
window.onhashchange = follow;
follow();
