// The frame: which section is shown, how the service is, theme and key.

import { hasKey, open, setKey } from "./api.js";
import { bundles } from "./bundles.js";
import { h, say } from "./dom.js";
import { experiments } from "./experiments.js";
import { shortened } from "./format.js";
import { intents } from "./intents.js";
import { askForKey } from "./key.js";
import { users } from "./users.js";

const SECTIONS = { users, intents, bundles, experiments };
const THEMES = ["system", "light", "dark"];
const HEALTH_SECONDS = 5;

const main = document.getElementById("main");
const health = document.getElementById("health");
let shown = null;

/** `#/users/ID`: a section, and what is looked at there. */
function route() {
  const [, name = "users", ...rest] = location.hash.split("/");
  const chosen = SECTIONS[name] ? name : "users";
  const wanted = rest.length ? decodeURIComponent(rest.join("/")) : null;
  for (const link of document.querySelectorAll("#sections a")) {
    const here = link.hash === `#/${chosen}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${wanted ? `${wanted} · ` : ""}${chosen[0].toUpperCase()}${chosen.slice(1)} · Intently console`;
  const place = h("div", { class: `view ${chosen}` });
  main.replaceChildren(place);
  SECTIONS[chosen](place, wanted);
  if (shown !== null && shown !== chosen) main.focus({ preventScroll: true });
  if (shown !== chosen) scrollTo(0, 0);
  shown = chosen;
}

async function watch() {
  const [kind, text, more] = await open.ready().then(
    (found) => found.store === "ok" ? ["good", "ready", found.bundle_id] : ["warn", "no store", found.bundle_id],
    (error) => ["bad", error.code === "not_ready" ? "not ready" : error.status ? error.code : "away", ""],
  );
  if (health.title !== more || health.children[1].textContent !== text) {
    health.className = `pill ${kind}`;
    health.replaceChildren(h("span", { class: "dot", "aria-hidden": "true" }), h("span", {}, text),
      h("span", { class: "which" }, shortened(more)));
    health.title = more;
  }
  setTimeout(watch, 1000 * HEALTH_SECONDS);
}

function themes() {
  const switched = document.getElementById("theme");
  const root = document.documentElement;
  const show = () => {
    switched.replaceChildren(h("span", { class: "which" }, "Theme: "), root.dataset.theme);
    switched.setAttribute("aria-label", `Theme: ${root.dataset.theme}`);
  };
  switched.addEventListener("click", () => {
    root.dataset.theme = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
    localStorage.setItem("theme", root.dataset.theme);
    show();
    say(`Theme: ${root.dataset.theme}`);
  });
  show();
}

document.getElementById("key").addEventListener("click", async () => {
  if (await askForKey(hasKey() ? "Use another key" : "Use a key", setKey)) route();
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the section
  main.focus();
});
addEventListener("hashchange", route);
themes();
route();
watch();
if (hasKey()) document.getElementById("key").title = "A key is being used";
