// The page over the HTTP interface: find an item, see its ID and neighbours, browse by prefix.

const PAGE = 50;
const KEY = "semid-key";
const ROOT = new URL("../", import.meta.url);  // also behind a proxy that takes a path off
const at = (id) => document.getElementById(id);

// The key, where the service takes one, is kept until the tab is closed.
async function ask(path, body) {
  const headers = {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(new URL(path, ROOT), body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
  const content = await answer.json();
  if (answer.status === 401) at("key").hidden = false;
  if (!answer.ok) throw new Error(content.detail);
  return content;
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// One code, coloured by level and value: items alike begin with the same colours.
function code(value, level) {
  const hue = (value * 137.508 + level * 47) % 360;
  const chip = element("span", { className: "code", textContent: value });
  chip.style.background = `hsl(${hue} 45% 38%)`;
  return chip;
}

function codes(item, linked = false) {
  const chips = (item.codes ?? []).map((value, level) => {
    const chip = code(value, level);
    if (!linked) return chip;
    const prefix = item.codes.slice(0, level + 1).join("-");
    const link = element("a", { href: `#prefix=${prefix}`, title: `browse ${prefix}` });
    link.className = chip.className;
    link.style.background = chip.style.background;
    link.textContent = value;
    return link;
  });
  if (item.suffix) {
    chips.push(element("span", { className: "code suffix", textContent: item.suffix }));
  }
  return element("span", { className: "codes", title: item.semantic_id ?? "" }, ...chips);
}

function row(item, note) {
  const title = element("span", { className: "title", textContent: item.title ?? item.item_id });
  const made = element("button", { className: "row", type: "button" }, title, codes(item));
  made.dataset.itemId = item.item_id;
  if (note) made.append(element("span", { className: "dim", textContent: note }));
  made.onclick = () => { location.hash = `item=${encodeURIComponent(item.item_id)}`; };
  return made;
}

function fill(id, children, empty) {
  const none = element("p", { className: "dim", textContent: empty ?? "" });
  at(id).replaceChildren(...(children.length ? children : [none]));
}

function show(id, problem) {
  at(id).replaceChildren(element("p", { className: "problem", textContent: problem.message }));
}

// Whether the service has a search model; it then ranks the answers, after the history if there is one.
let searches = false;
let recommends = false;

async function ranked(words) {
  const query = { query: words, history: history.map((item) => item.item_id), k: 20 };
  const found = await ask("v1/search", query);
  return found.items.map((item) => row(item, `score ${item.score.toFixed(2)}`));
}

async function titled(words) {
  const found = await ask(`v1/items?limit=20&search=${encodeURIComponent(words)}`);
  if (found.items.length) return found.items.map((item) => row(item));
  const near = await ask("v1/similar", { text: words, k: 20 });
  const rows = near.items.map((item) => row(item, `distance ${item.distance.toFixed(2)}`));
  const told = "No title has these words; near in meaning:";
  return [element("p", { className: "dim", textContent: told }), ...rows];
}

async function search(words) {
  try {
    const exact = await ask(`v1/items/${encodeURIComponent(words)}`).catch(() => null);
    const rows = searches ? await ranked(words) : await titled(words);
    const others = rows.filter((each) => each.dataset.itemId !== exact?.item_id);
    fill("results", exact ? [row(exact), ...others] : rows, "Nothing found.");
  } catch (problem) {
    show("results", problem);
  }
}

async function showItem(itemId) {
  at("item").hidden = false;
  try {
    const item = await ask(`v1/items/${encodeURIComponent(itemId)}`);
    at("item-heading").textContent = item.title ?? item.item_id;
    at("item-id").replaceChildren(codes(item, true));
    at("add").onclick = () => { history.push(item); recommend(); };
    at("item-facts").replaceChildren(
      element("span", { className: "dim", textContent:
        `item_id ${item.item_id} · semantic ID ${item.semantic_id} · distortion ${item.distortion.toFixed(3)}` }),
    );
    const near = await ask("v1/similar", { item_id: itemId, k: 12 });
    fill("neighbours", near.items.map((other) => row(other, `distance ${other.distance.toFixed(2)}`)), "No other items.");
  } catch (problem) {
    at("item-heading").textContent = itemId;
    fill("item-id", []);
    fill("item-facts", []);
    show("neighbours", problem);
  }
}

// The history that the page asks a recommender about: items in the order in which they were added.
const history = [];

async function recommend() {
  at("next").hidden = !history.length;
  at("history").replaceChildren(...history.map((item, place) => {
    const made = element("button", { className: "step", type: "button", title: "remove",
      textContent: `${item.title ?? item.item_id} ×` });
    made.onclick = () => { history.splice(place, 1); recommend(); };
    return made;
  }));
  if (!history.length) return;
  try {
    if (!recommends) return fill("recommended", [], "Searches now follow this history.");
    const found = await ask("v1/recommend", { history: history.map((item) => item.item_id), k: 12 });
    fill("recommended", found.lists[0].map((item) => row(item, `score ${item.score.toFixed(2)}`)), "No other items.");
  } catch (problem) {
    show("recommended", problem);
  }
}

function showPath(prefix) {
  const steps = [["all items", ""]];
  const parts = prefix ? prefix.split("-") : [];
  parts.forEach((part, level) => steps.push([part, parts.slice(0, level + 1).join("-")]));
  const buttons = steps.map(([name, target]) => {
    const made = element("button", { type: "button", textContent: name });
    made.onclick = () => { location.hash = `prefix=${target}`; };
    return made;
  });
  at("path").replaceChildren(...buttons.flatMap((made, index) => (index ? [" – ", made] : [made])));
}

async function browse(prefix) {
  showPath(prefix);
  try {
    const below = await ask(`v1/prefixes?prefix=${prefix}`);
    fill("prefixes", below.prefixes.map((entry) => {
      const value = Number(entry.prefix.split("-").at(-1));
      const level = entry.prefix.split("-").length - 1;
      const head = element("span", {}, code(value, level), ` ${entry.items} item${entry.items === 1 ? "" : "s"}`);
      const made = element("button", { className: "prefix", type: "button" }, head,
        element("span", { className: "dim", textContent: entry.example ?? "" }));
      made.dataset.prefix = entry.prefix;
      made.onclick = () => { location.hash = `prefix=${entry.prefix}`; };
      return made;
    }));
    at("members").replaceChildren();
    at("more").hidden = true;
    if (prefix) await addMembers(prefix, "");
  } catch (problem) {
    fill("members", []);
    show("prefixes", problem);
  }
}

async function addMembers(prefix, after) {
  const page = await ask(`v1/items?prefix=${prefix}&limit=${PAGE}&after=${after}`);
  at("members").append(...page.items.map((item) => row(item)));
  at("more").hidden = !page.next;
  at("more").onclick = () => addMembers(prefix, page.next);
}

async function summarise() {
  const tokenizer = await ask("v1/tokenizer");
  searches = Boolean(tokenizer.search);
  recommends = Boolean(tokenizer.recommender);
  at("add").hidden = !tokenizer.recommender && !searches;
  at("summary").textContent =
    `${tokenizer.items.toLocaleString("en")} items · ${tokenizer.levels} × ${tokenizer.codebook_size} ` +
    `${tokenizer.quantizer} codes · tokenizer ${tokenizer.fingerprint.slice(0, 12)}`;
}

function follow() {
  const target = new URLSearchParams(location.hash.slice(1));
  if (target.has("item")) showItem(target.get("item"));
  if (target.has("prefix")) browse(target.get("prefix"));
}

function start() {
  summarise().catch((problem) => show("summary", problem));
  browse("");
  follow();
}

at("search").onsubmit = (event) => {
  event.preventDefault();
  const words = at("words").value.trim();
  if (words) search(words);
};
at("key").onsubmit = (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, at("key-value").value.trim());
  at("key-value").value = "";
  at("key").hidden = true;
  start();
};
window.onhashchange = follow;
start();
