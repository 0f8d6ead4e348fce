// What stands where content will be, is not, or cannot be: each says why, and what to do about it.

import { button, h } from "./dom.js";

const CURES = {
  unreachable: "Is intently-serve still running, and the way to its admin port open?",
  unauthorized: "Give a key: the button Key, above.",
  forbidden: "Use a key with that scope: the button Key, above.",
  not_ready: "A service without a bundle takes the first sound one that appears: intently-train run … --out bundles.",
  store_unavailable: "Bring the store back; nothing else has to be done.",
  overloaded: "Wait a moment; more workers or replicas answer more.",
  rate_limited: "Wait a moment; the rate belongs to the key.",
  log_unreadable: "Look at the service's log, then try again.",
  unknown_bundle: "The bundle was replaced meanwhile. Try again.",
};

export const cure = (error) => CURES[error.code] ?? "The service's log may say more.";

export const loading = (what) =>
  h("div", { class: "loading", role: "status" }, h("span", { class: "spinner", "aria-hidden": "true" }), `Loading ${what} …`);

export const empty = (title, ...text) => h("div", { class: "empty" }, h("h3", {}, title), h("p", {}, ...text));

export const notice = (kind, ...text) => h("div", { class: `notice ${kind}` }, ...text);

export const problem = (error) => h("div", { class: "notice bad", role: "alert" },
  h("p", {}, h("strong", {}, sentence(error.message))), h("p", {}, cure(error)));

function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

/**
 * Fill `place` with what `work` brings; until then it says so, and a failure says why and can be tried again.
 * Whoever was in it by keyboard stays at its beginning.
 */
export async function fill(place, what, work) {
  place.setAttribute("aria-busy", "true");
  if (!place.hasChildNodes()) place.replaceChildren(loading(what));
  try {
    const found = await work();
    replaced(place, [found].flat(Infinity).filter(Boolean));
  } catch (error) {
    if (error.status === undefined) throw error;
    replaced(place, [problem(error), button("Try again", () => fill(place, what, work), { class: "retry" })]);
  } finally {
    place.removeAttribute("aria-busy");
  }
}

function replaced(place, children) {
  const within = place.contains(document.activeElement);
  place.replaceChildren(...children);
  if (!within) return;
  place.tabIndex = -1;
  place.focus({ preventScroll: true });
}
