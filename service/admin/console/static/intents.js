// The intents of the bundle being served: where they lie, how large they are, what they are about.

import { open } from "./api.js";
import { bars } from "./bars.js";
import { h } from "./dom.js";
import { count, plural, score, share } from "./format.js";
import { intentMap } from "./map.js";
import { about, intentsOf, titled } from "./names.js";
import { empty, fill, notice } from "./states.js";

const ITEMS = 6;

export function intents(main, id) {
  const found = h("div", { class: "found" });
  main.append(h("h1", {}, "Intents"), found);
  return fill(found, "the intents", async () => {
    const its = await intentsOf();
    const map = await open.get(`/v1/intents/map?bundle_id=${encodeURIComponent(its.bundle_id)}`);
    const bySize = [...its.intents].sort((one, other) => other.size - one.size);
    const details = h("div", { class: "details", id: "details" });
    const drawn = intentMap(map, its.intents, choose);
    const table = intentTable(bySize, choose);

    async function choose(chosen) {
      history.replaceState(null, "", `#/intents/${chosen}`);
      table.mark(chosen);
      drawn.mark(chosen, []);
      await fill(details, `intent ${chosen}`, async () => {
        const one = await open.get(`/v1/intents/${chosen}?k=${ITEMS}&bundle_id=${encodeURIComponent(its.bundle_id)}`);
        drawn.mark(chosen, one.neighbours);
        return described(one, its, choose);
      });
    }

    choose(its.intents[Number(id)] && id !== null ? Number(id) : bySize[0].intent_id);
    return [
      h("p", { class: "lead" }, h("strong", {}, `${its.intents.length} intents`), ` of ${its.bundle_id}: ${its.meaning}.`),
      map.degraded ? notice("warn", "The store is away, so no users are on the map. They come back with it.") : null,
      h("div", { class: "columns map" }, h("div", { class: "wide" }, mapCard(drawn, map)), h("div", { class: "side" }, details)),
      table.card,
    ];
  });
}

function mapCard(drawn, map) {
  const [x, y] = map.explained;
  return h("section", { class: "card", "aria-labelledby": "the-map" },
    h("h2", { id: "the-map" }, "Map"),
    drawn.element,
    h("p", { class: "quiet" },
      `Circles are intents, their area is their size. Dots are ${plural(map.users.length, "stored user")}, `,
      `each at the mean of the intents by their weights. Both axes together show ${share(x + y, 0)} of how the intents differ, `,
      "so that what is near here may be far apart. Arrow keys move from intent to intent."),
    map.users.length ? null : empty("No users yet", "Nobody is stored: fill the store with intently-serve load, or post events."));
}

function described(one, its, choose) {
  const rows = (items) => items.slice(0, ITEMS).map((item) => ({ name: titled(item), value: Math.max(item.score, 0), text: score(item.score) }));
  const neighbour = ({ intent_id, similarity }) => h("li", {},
    h("button", { type: "button", class: "chip", onclick: () => choose(intent_id) },
      `Intent ${intent_id}`, h("span", { class: "quiet" }, similarity.toFixed(2))));
  return h("section", { class: "card", "aria-labelledby": "chosen" },
    h("h2", { id: "chosen" }, `Intent ${one.intent_id}`),
    h("p", { class: "quiet" }, `${plural(one.size, "training user")}, ${share(one.share)} of them`),
    h("h3", {}, "Typical items"),
    one.top_items.length ? bars(rows(one.top_items), { label: "Typical items" }) : h("p", { class: "quiet" }, "None: no training user has this intent."),
    h("h3", {}, "Nearest items"),
    bars(rows(one.items), { label: "Nearest items" }),
    h("h3", {}, "Neighbours"),
    h("ul", { class: "chips", "aria-label": "Neighbouring intents" }, one.neighbours.map(neighbour)));
}

function intentTable(bySize, choose) {
  const rows = new Map(bySize.map((one) => [one.intent_id, h("tr", {},
    h("th", { scope: "row" }, h("button", { type: "button", class: "link", onclick: () => choose(one.intent_id) }, `Intent ${one.intent_id}`)),
    h("td", { class: "number" }, count(one.size)),
    h("td", { class: "number" }, share(one.share)),
    h("td", {}, about(one, 3)))]));
  const card = h("section", { class: "card", "aria-labelledby": "all" },
    h("h2", { id: "all" }, "All intents"),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-labelledby": "all" },
      h("table", {},
        h("thead", {}, h("tr", {}, ["Intent", "Users", "Share", "Typical items"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, [...rows.values()]))));
  const mark = (chosen) => {
    for (const [id, row] of rows) row.classList.toggle("chosen", id === chosen);
  };
  return { card, mark };
}
