// Requests to the service, with its key and the tokenizer that was chosen.

import { place } from "./place.js";

const KEY = "semid-key";
const ROOT = new URL("../", import.meta.url);  // also behind a proxy that takes a path off

// The key, where the service takes one, is kept until the tab is closed.
export const useKey = (key) => sessionStorage.setItem(KEY, key);

export async function ask(path, query = {}, body) {
  const address = new URL(path, ROOT);
  const tokenizer = place().get("tokenizer");
  for (const [name, value] of Object.entries(query)) address.searchParams.set(name, value);
  if (tokenizer) address.searchParams.set("tokenizer", tokenizer);
  const headers = {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(address, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
  const content = await answer.json();
  if (answer.status === 401) document.getElementById("key").hidden = false;
  if (!answer.ok) throw Object.assign(new Error(content.detail), { status: answer.status });
  return content;
}

export const itemPath = (itemId) => `v1/items/${encodeURIComponent(itemId)}`;
export const fieldsPath = (itemId) => `v1/fields/${encodeURIComponent(itemId)}`;
