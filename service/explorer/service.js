// Requests to the HTTP interface, for the tokenizer that the page's address names.

import { place } from "./place.js";

const KEY = "semid-key";
const ROOT = new URL("../", import.meta.url);  // also behind a proxy that takes a path off
let refused = () => {};

// The key, where the service takes one, is kept until the tab is closed.
export function useKey(key) {
  sessionStorage.setItem(KEY, key);
}

export function onRefusal(done) {
  refused = done;
}

function address(path, parameters) {
  const found = new URL(path, ROOT);
  for (const [name, value] of Object.entries(parameters)) found.searchParams.set(name, value);
  if (place().tokenizer && !parameters.tokenizer) found.searchParams.set("tokenizer", place().tokenizer);
  return found;
}

async function request(path, parameters, how) {
  const headers = { ...how.headers };
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  let answer;
  try {
    answer = await fetch(address(path, parameters), { ...how, headers });
  } catch {
    throw new Error("The service does not answer. Check that it runs, then reload the page.");
  }
  const content = await answer.json().catch(() => ({ detail: `the answer ${answer.status} has no content that can be read` }));
  if (answer.status === 401) {
    refused();
    throw new Error("This service needs an API key with the scope read. Give it above.");
  }
  if (!answer.ok) throw Object.assign(new Error(content.detail), { status: answer.status });
  return content;
}

export function get(path, parameters = {}) {
  return request(path, parameters, {});
}

export function post(path, body) {
  return request(path, {}, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
}

export function itemPath(itemId) {
  return `v1/items/${encodeURIComponent(itemId)}`;
}

export function fieldsPath(itemId) {
  return `v1/fields/${encodeURIComponent(itemId)}`;
}
