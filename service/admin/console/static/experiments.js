// Experiments: which there are, how they stand, and what may be decided about them.

import { admin, open, part } from "./api.js";
import { confirmed } from "./confirm.js";
import { button, h, say } from "./dom.js";
import { plural, share, since } from "./format.js";
import { reported } from "./report.js";
import { empty, fill } from "./states.js";

const BUCKETS = 10_000;
const FOLLOWED = 1500; // milliseconds until every worker knows what was decided
const STATES = { draft: "info", running: "good", stopped: "off" };
const shareOf = (one) => one.buckets.reduce((sum, [from, below]) => sum + below - from, 0) / BUCKETS;

export function experiments(main, name) {
  const found = h("div", { class: "found" });
  main.append(h("h1", {}, "Experiments"), found);
  return show(found, name);
}

function show(found, name, wait = 0) {
  return fill(found, "the experiments", async () => {
    const { experiments: all, holdout } = await admin.get("/experiments");
    if (!all.length) {
      return empty("No experiment yet", "Declare one in a file and create it with ", h("code", {}, "intently-serve experiments create diversity.yaml"),
        "; start it here. The service needs ", h("code", {}, "--events"), " to keep exposures.");
    }
    const chosen = all.find((one) => one.name === name) ?? all.find((one) => one.state === "running") ?? all[0];
    const place = h("div", { class: "found" });
    if (chosen.phases.length) reportInto(place, chosen.name, wait);
    else place.append(empty("Not started", "A draft has no exposures: start it to see a report."));
    return [
      holdout ? h("p", { class: "quiet" }, `${share(holdout)} of the users are held out of every experiment.`) : null,
      h("div", { class: "columns list" },
        h("nav", { class: "side", "aria-label": "Experiments" }, h("ul", { class: "plain chooser" }, all.map((one) => entry(one, one === chosen)))),
        h("div", { class: "wide" }, headCard(chosen, () => show(found, chosen.name, FOLLOWED), () => show(found, null)), place)),
    ];
  });
}

const reportInto = (place, name, wait) => fill(place, "the report", async () => {
  await new Promise((resolve) => setTimeout(resolve, wait));
  return reported(await open.get(`/v1/experiments/${part(name)}/report`));
});

const entry = (one, chosen) => h("li", {},
  h("a", { href: `#/experiments/${encodeURIComponent(one.name)}`, "aria-current": chosen ? "true" : null },
    h("span", { class: "title" }, one.name),
    h("span", { class: "quiet" }, `${one.layer} · ${one.state === "running" ? share(shareOf(one), 0) : plural(one.variants.length, "variant")}`),
    h("span", { class: `badge ${STATES[one.state]}` }, one.state)));

function headCard(one, again, gone) {
  const phase = one.phases.at(-1);
  const facts = [
    ["Layer", one.layer],
    ["Share of the layer", one.state === "running" ? share(shareOf(one), shareOf(one) < 0.01 ? 2 : 0) : "none"],
    ["Phase", phase ? `${phase.number}, begun ${since(phase.started)}` : "none"],
    ["Planned", `${plural(one.days, "day")}${phase && one.state === "running" ? `, ends ${since(phase.ends)}` : ""}`],
  ];
  return h("section", { class: "card", "aria-labelledby": "experiment" },
    h("div", { class: "row between" }, h("h2", { id: "experiment" }, one.name), h("span", { class: `badge ${STATES[one.state]}` }, one.state)),
    one.description ? h("p", {}, one.description) : null,
    h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    h("ul", { class: "split", "aria-label": "Variants" }, one.variants.map((variant, place) => variantOf(variant, phase?.weights[place] ?? variant.weight, place))),
    h("div", { class: "row" }, actions(one, again, gone)));
}

function variantOf({ name, bundle_id: bundleId, options }, weight, place) {
  const set = Object.entries(options ?? {}).filter(([, value]) => value !== null).map(([option, value]) => `${option} ${value}`);
  return h("li", { class: `arm-${place % 6}`, css: { "--part": weight } },
    h("span", { class: "title" }, name),
    h("span", { class: "quiet" }, `${share(weight / BUCKETS, 0)} · ${[bundleId ?? (set.length ? null : "the active bundle"), ...set].filter(Boolean).join(", ")}`));
}

function actions(one, again, gone) {
  const { name } = one;
  const at = `/experiments/${encodeURIComponent(name)}`;
  const ask = (label, question, after, then = again) => button(`${label} …`, async () => {
    if (!(await confirmed({ action: label, ...question }))) return;
    await then();
    say(`${name} ${after}.`);
  });
  if (one.state === "running") {
    const now = 100 * shareOf(one);
    return [
      ask("Ramp", { title: `Ramp ${name}?`, text: "More users, and all who were in it, who keep their variants. A share only grows; a smaller one is a new phase.",
        share: { value: Math.min(100, Math.max(1, 2 * now)), least: now, of: "the layer's users" }, change: (wanted) => admin.post(`${at}/ramp`, { share: wanted }) }, "is ramped"),
      ask("New phase", { title: `Begin a new phase of ${name}?`, text: "Every user draws a variant anew, and the report begins anew.",
        share: { value: now, of: "the layer's users" }, change: (wanted) => admin.post(`${at}/phase`, { share: wanted }) }, "is in a new phase"),
      ask("Stop", { title: `Stop ${name}?`, danger: true, text: "Nobody is in it any more; its report stays as it is then. Starting it again is a new phase.",
        change: () => admin.post(`${at}/stop`) }, "is stopped"),
    ];
  }
  return [
    ask("Start", { title: `Start ${name}?`, text: "Its bundles are checked first, which takes some seconds. Then these users draw a variant, in a new phase.",
      share: { value: 5, of: "the layer's users" }, change: (wanted) => admin.post(`${at}/start`, { share: wanted }) }, "is running"),
    ask("Delete", { title: `Delete ${name}?`, danger: true, text: "It is forgotten; its exposures stay in their files.",
      change: () => admin.remove(at) }, "is deleted", gone),
  ];
}
