// One user: what they did, what it says of them, and what they would be shown.

import { open, part } from "./api.js";
import { bars } from "./bars.js";
import { button, h } from "./dom.js";
import { plural, score, share, since, when } from "./format.js";
import { about, intentsOf, query, titled } from "./names.js";
import { empty, fill, notice } from "./states.js";
import { whatIf } from "./whatif.js";

const K = 10;
const INTENTS = 6; // that are shown
const MOST_INTENTS = 100; // that can be asked for, to compare
const FIRST = 12; // events of a long history that are shown at once

export function users(main, id) {
  const found = h("div", { class: "found" });
  const field = h("input", {
    id: "user", name: "user", type: "search", autocomplete: "off", spellcheck: "false", required: true, maxlength: 256,
    value: id ?? "", placeholder: "user-42",
  });
  const form = h("form", { class: "search", role: "search", onsubmit: go },
    h("label", { for: "user" }, "User id"),
    field,
    h("button", { type: "submit", class: "primary" }, "Look up"));
  function go(event) {
    event.preventDefault();
    const wanted = `#/users/${encodeURIComponent(field.value.trim())}`;
    if (location.hash === wanted) show(found, id);
    else location.hash = wanted;
  }
  main.append(h("h1", {}, "Users"), form, found);
  if (id) show(found, id);
  else {
    found.append(empty("Look a user up", "See what is stored of them, the intents that says, the list they would be shown ",
      "and why, and what one more event would change. An id nobody has seen shows what a new user gets."));
    field.focus({ preventScroll: true });
  }
}

function show(found, id) {
  return fill(found, "the user", async () => {
    const [{ interactions }, ready] = await Promise.all([open.get(`/v1/users/${part(id)}?titles=true`), open.ready()]);
    const bundleId = ready.bundle_id;
    const history = interactions.map((one) => one.item_id);
    const [answer, named] = await Promise.all([recommended(history, bundleId), intentsOf(bundleId)]);
    const its = { id, history, interactions, answer, bundleId, named, titles: titlesOf(interactions, answer, named) };
    const changes = whatIf(its, (next) => recommended(next, bundleId), () => show(found, id));
    return [
      h("p", { class: "lead" }, h("strong", {}, id), ` · ${plural(history.length, "stored event")}`,
        interactions.length ? `, the last one ${since(interactions.at(-1).timestamp)}` : ""),
      answer.source === "model" ? null : fallback(history, answer),
      h("div", { class: "columns" },
        h("div", { class: "side" }, intentCard(its), historyCard(its)),
        h("div", { class: "wide" }, changes.card, listCard(its, changes))),
    ];
  });
}

/** By history, and of one bundle: so that looking leaves no exposure, and is in no experiment. */
export function recommended(history, bundleId) {
  const asked = { history: history.slice(-1000), k: K, intents: MOST_INTENTS, titles: true, reasons: true };
  return open.post(`/v1/recommendations${query(bundleId)}`, asked);
}

function titlesOf(interactions, answer, named) {
  const typical = named.intents.flatMap((intent) => intent.top_items);
  const all = [...typical, ...answer.items, ...interactions];
  return new Map(all.filter((item) => item.title).map((item) => [item.item_id, item.title]));
}

const fallback = (history, answer) => notice("warn", history.length === 0
  ? "Nothing is stored of this user, so these are the items that are popular with everybody. Add an event to see the list become theirs."
  : `The bundle knows none of the stored items, so these are popular ones (${answer.source}).`);

function intentCard({ answer, named }) {
  const rows = answer.intents.slice(0, INTENTS).map(({ intent_id, weight }) => ({
    name: h("a", { href: `#/intents/${intent_id}` }, `Intent ${intent_id}`), value: weight, text: share(weight),
    more: h("span", { class: "quiet clip" }, about(named.intents[intent_id], 2)),
  }));
  return h("section", { class: "card", "aria-labelledby": "their-intents" },
    h("h2", { id: "their-intents" }, "Intents"),
    rows.length ? bars(rows, { label: "Strongest intents" }) : h("p", { class: "quiet" }, "None: nothing is known of this user."));
}

function historyCard({ interactions }) {
  const newest = [...interactions].reverse();
  const line = (one) => h("li", {},
    h("span", {}, one.title ?? one.item_id),
    h("span", { class: "quiet" }, one.title ? `${one.item_id} · ` : "", h("time", { datetime: one.timestamp, title: when(one.timestamp) }, since(one.timestamp))));
  const list = h("ol", { class: "history", "aria-label": "Stored events, the newest first" }, newest.slice(0, FIRST).map(line));
  const rest = newest.length - FIRST;
  const more = rest > 0 && button(`Show ${rest} older`, () => {
    list.append(...newest.slice(FIRST).map(line));
    more.remove();
  }, { class: "ghost" });
  return h("section", { class: "card", "aria-labelledby": "their-history" },
    h("h2", { id: "their-history" }, "History"),
    newest.length ? [list, more] : h("p", { class: "quiet" }, "Nothing is stored."));
}

function listCard({ answer, titles, named, bundleId }, changes) {
  const largest = Math.max(...answer.items.map((item) => item.score));
  const least = Math.min(0, ...answer.items.map((item) => item.score));
  const row = (item, place) => h("li", { class: "pick" },
    h("span", { class: "rank", "aria-hidden": "true" }, place + 1),
    h("div", { class: "what" },
      h("span", { class: "title" }, titled(item)),
      h("span", { class: "quiet" }, item.item_id),
      item.reason ? h("span", { class: "reason" }, reasonOf(item.reason, titles, named)) : null),
    h("div", { class: "scored" },
      h("span", { class: "number" }, score(item.score)),
      h("span", { class: "bar-line", "aria-hidden": "true", css: { "--part": (item.score - least) / (largest - least || 1) } })),
    button("What if?", () => changes.ask(item.item_id), { class: "ghost small", "aria-label": `What if they chose ${titled(item)}?` }));
  return h("section", { class: "card", "aria-labelledby": "their-list" },
    h("h2", { id: "their-list" }, "Recommendations"),
    h("p", { class: "quiet" }, `By ${bundleId}, outside of experiments: looking leaves no exposure.`),
    h("ol", { class: "picks" }, answer.items.map(row)));
}

function reasonOf({ intent_id, because }, titles, named) {
  const like = because.map((id) => titles.get(id) ?? id).join(" and ");
  return [
    h("a", { href: `#/intents/${intent_id}`, title: about(named.intents[intent_id], 3) }, `Intent ${intent_id}`),
    like ? ` · like ${like}` : "",
  ];
}
