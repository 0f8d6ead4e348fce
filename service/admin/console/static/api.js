// The way to the service: the admin port's own calls, and those of the public port through /console/api.

import { askForKey } from "./key.js";

const KEY = "api-key"; // in sessionStorage: gone with the tab, never in an address
const PUBLIC = "/console/api";

/** An answer that is no answer: status 0 when nobody answered at all. */
export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

export const hasKey = () => sessionStorage.getItem(KEY) !== null;

/** Take another key, or none. */
export function setKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

export const admin = {
  get: (path) => asked("GET", `/admin${path}`),
  post: (path, body) => asked("POST", `/admin${path}`, body),
  remove: (path) => asked("DELETE", `/admin${path}`),
};

export const open = {
  get: (path) => asked("GET", PUBLIC + path),
  post: (path, body) => asked("POST", PUBLIC + path, body),
  ready: () => once("GET", `${PUBLIC}/health/ready`),
  metrics: async () => (await fetch("/metrics")).text(),
};

/** Ids in paths: dots too, for browsers take `..` as a way up. */
export const part = (id) => encodeURIComponent(id).replaceAll(".", "%2E");

async function asked(method, path, body) {
  try {
    return await once(method, path, body);
  } catch (error) {
    if (error.status !== 401 || !(await askForKey(hasKey() ? "This key is not valid" : "This service asks for a key", setKey))) throw error;
    return once(method, path, body);
  }
}

async function once(method, path, body) {
  const headers = hasKey() ? { authorization: `Bearer ${sessionStorage.getItem(KEY)}` } : {};
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Refused(0, "unreachable", "the admin port does not answer");
  }
  const found = await answer.json().catch(() => null);
  if (answer.ok && found !== null) return found;
  const { code = "unknown", message = answer.statusText } = found?.error ?? {};
  throw new Refused(answer.status, code, message);
}
