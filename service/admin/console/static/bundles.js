// Which bundles there are, how they did, what their intents look like, and which one is served.

import { admin, open } from "./api.js";
import { confirmed } from "./confirm.js";
import { button, h, say } from "./dom.js";
import { count, plural, share, since, when } from "./format.js";
import { empty, fill, notice } from "./states.js";

const SHOWN = ["HR@5", "HR@20", "NDCG@5", "NDCG@20"];
const REPORT = {
  used: ["Intents in use", (value) => count(value)],
  effective: ["Effective number", (value) => value.toFixed(1)],
  largest_share: ["Largest share", (value) => share(value)],
  lift: ["Lift over popularity", (value) => `${value.toFixed(1)} ×`],
  length_r2: ["Explained by length (R²)", (value) => value.toFixed(2)],
  seed_agreement: ["Agreement with another seed", (value) => value.toFixed(2)],
  nmi: ["Agreement with the truth", (value) => value.toFixed(2)],
  "index_recall@20": ["Recall of the index", (value) => value.toFixed(3)],
};
const id = (bundleId) => encodeURIComponent(bundleId);

export function bundles(main) {
  const found = h("div", { class: "found" });
  main.append(h("h1", {}, "Bundles"), found);
  return show(found);
}

function show(found) {
  const again = () => show(found);
  return fill(found, "the bundles", async () => {
    const [{ bundles: all, control }, overlap] = await Promise.all([admin.get("/bundles"), shadowOverlap()]);
    const active = all.find((one) => one.active);
    if (!all.length) {
      return empty("No bundle yet", "Train one with ", h("code", {}, "intently-train run iclrec --data … --out bundles"),
        ": a running service takes it up by itself.");
    }
    return [
      servedCard(active, control, again),
      control.shadow || control.canary ? trialsCard(control, overlap, again) : null,
      h("h2", {}, plural(all.length, "bundle"), ", the newest first"),
      h("ul", { class: "plain bundles-list" }, all.map((one) => bundleCard(one, active, control, again))),
    ];
  });
}

/** What the shadow's lists had in common with those that were shown; counted since the service started. */
async function shadowOverlap() {
  const text = await open.metrics().catch(() => "");
  const [sum, lists] = ["sum", "count"].map((kind) => Number(text.match(new RegExp(`^intently_shadow_overlap_${kind} (\\S+)`, "m"))?.[1] ?? 0));
  return lists ? `${share(sum / lists, 0)} of a list on average, over ${plural(lists, "list")} since the service started` : null;
}

function servedCard(active, control, again) {
  const decided = control.active
    ? "Decided: newer bundles wait until somebody activates them, or the newest is followed again."
    : "Nothing is decided, so the newest sound bundle is served, and the next one will be.";
  return h("section", { class: "card served", "aria-labelledby": "served" },
    h("div", { class: "row between" },
      h("h2", { id: "served" }, "Served"),
      h("span", { class: "quiet" }, `decision ${control.version}`)),
    h("p", { class: "big" }, active?.bundle_id ?? control.active ?? "none"),
    h("p", { class: "quiet" }, decided),
    h("div", { class: "row" },
      button("Roll back …", () => rollBack(control, again), { disabled: !control.before.length, title: control.before.length ? null : "Nothing was active before" }),
      button("Follow the newest …", () => followNewest(again), { disabled: !control.active })));
}

async function rollBack(control, again) {
  const before = control.before.at(-1);
  const done = await confirmed({
    title: "Roll back?", danger: true, action: "Roll back",
    text: `${before} is served again, by every worker, within seconds. Trials end; experiments go on.`,
    change: () => admin.post("/bundles/rollback"),
  });
  if (done) await told(again, `Rolled back to ${before}.`);
}

async function followNewest(again) {
  const done = await confirmed({
    title: "Follow the newest?", action: "Follow the newest",
    text: "The newest sound bundle is served, and every newer one as soon as it is published. Trials end, and what was active before is forgotten.",
    change: () => admin.post("/bundles/newest"),
  });
  if (done) await told(again, "The newest bundle is followed.");
}

function trialsCard(control, overlap, again) {
  const trial = (kind, what, more) => control[kind] && h("div", { class: "trial" },
    h("div", {},
      h("h3", {}, kind === "canary" ? "Canary" : "Shadow"),
      h("p", {}, h("strong", {}, control[kind].bundle_id), ` · ${share(control[kind].share)} ${what}`),
      more ? h("p", { class: "quiet" }, more) : null),
    button(`End the ${kind} …`, async () => {
      const done = await confirmed({
        title: `End the ${kind}?`, action: `End the ${kind}`,
        text: kind === "canary" ? "Every user gets the active bundle again." : "Nothing is compared any more.",
        change: () => admin.remove(`/bundles/${kind}`),
      });
      if (done) await told(again, `The ${kind} has ended.`);
    }));
  return h("section", { class: "card", "aria-labelledby": "trials" },
    h("h2", { id: "trials" }, "On trial"),
    trial("canary", "of the users, always the same ones"),
    trial("shadow", "of the requests, answering nobody", overlap ? `In common with what was shown: ${overlap}.` : "Nothing has been compared yet."));
}

function bundleCard(one, active, control, again) {
  const badges = [one.active && ["good", "served"], control.canary?.bundle_id === one.bundle_id && ["warn", "canary"],
    control.shadow?.bundle_id === one.bundle_id && ["info", "shadow"], one.problem && ["bad", "not sound"]];
  const name = h("h3", {}, one.bundle_id, badges.filter(Boolean).map(([kind, text]) => h("span", { class: `badge ${kind}` }, text)));
  if (one.problem) {
    return h("li", { class: "card" }, name, notice("bad", h("p", {}, h("strong", {}, one.problem)), h("p", {}, "Publish it again; the bundle that is served stays.")));
  }
  return h("li", { class: "card" }, name,
    h("p", { class: "quiet" }, `${one.method} · ${count(one.items)} items · ${plural(one.intents, "intent")} · ${plural(one.training_users, "training user")} · `,
      h("time", { datetime: one.created, title: when(one.created) }, since(one.created)), one.parent ? ` · made of ${one.parent}` : ""),
    metrics(one, active),
    one.intent_warnings.map((text) => notice("warn", text)),
    h("details", {}, h("summary", {}, "All metrics and the intent report"), facts(one)),
    h("div", { class: "row" }, actions(one, control, again)));
}

function metrics(one, active) {
  const cell = (name) => {
    if (one.metrics[name] === undefined) return null;
    const other = active && active !== one ? active.metrics?.[name] : undefined;
    const change = other ? one.metrics[name] / other - 1 : null;
    const kind = change === null || Math.abs(change) < 0.001 ? "same" : change > 0 ? "up" : "down";
    return h("div", {}, h("dt", {}, name), h("dd", {}, one.metrics[name].toFixed(4),
      change === null ? null : h("span", { class: `move ${kind}` }, `${kind === "up" ? "▲ " : kind === "down" ? "▼ " : "= "}${share(Math.abs(change))}`, h("span", { class: "spoken" }, " against the one that is served"))));
  };
  const cells = SHOWN.map(cell).filter(Boolean);
  return cells.length ? h("dl", { class: "facts" }, cells) : h("p", { class: "quiet" }, "Its manifest has no metrics.");
}

function facts({ metrics: all, intent_report: report, meaning }) {
  const rows = Object.entries(report).filter(([name]) => REPORT[name]).map(([name, value]) => [REPORT[name][0], REPORT[name][1](value)]);
  const table = (title, pairs) => h("table", {},
    h("caption", {}, title),
    h("tbody", {}, pairs.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "number" }, value)))));
  const measured = Object.entries(all).filter(([name]) => !name.includes("/")).map(([name, value]) => [name, value.toFixed(4)]);
  return h("div", { class: "two" },
    table("Metrics of the test split", measured),
    h("div", {}, table("Intent report", rows), h("p", { class: "quiet" }, `Intent weights: ${meaning}.`)));
}

function actions(one, control, again) {
  const share = { value: 5 };
  const ask = (action, kind, text, done, of) => button(`${action} …`, async () => {
    const agreed = await confirmed({
      title: `${action} ${one.bundle_id}?`, action, text, share: of ? { ...share, of } : null,
      change: (wanted) => admin.post(`/bundles/${id(one.bundle_id)}/${kind}`, of ? { share: wanted } : undefined),
    });
    if (agreed) await told(again, `${one.bundle_id} ${done}.`);
  }, { "aria-label": `${action} ${one.bundle_id}` });
  const isActive = one.active && control.active === one.bundle_id;
  return [
    isActive ? null : ask("Activate", "activate", one.active
      ? "It is served already; from now on it is decided, and newer bundles wait. It is checked first, which takes some seconds."
      : "It is checked first, which takes some seconds. Then every worker loads it beside the one it serves, and swaps. Newer bundles wait until somebody decides again.", "is active"),
    one.active ? null : ask("Canary", "canary", "These users are answered by it, always the same ones, until the trial ends.", "is the canary", "the users"),
    one.active ? null : ask("Shadow", "shadow", "It is asked beside the one that is served, and answers nobody.", "is the shadow", "the requests"),
  ];
}

async function told(again, text) {
  await again();
  say(text);
}
