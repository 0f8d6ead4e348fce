// An experiment's report: may it be believed, what to do, and the numbers behind it.

import { effectChart, groupChart, ratioChart } from "./charts.js";
import { h } from "./dom.js";
import { between, count, pValue, plural, share, signed, when } from "./format.js";
import { empty, notice } from "./states.js";

const VERDICTS = { ship: "good", "do not ship": "bad", "guardrail violated": "bad", blocked: "bad", "go on": "info" };

export function reported(report) {
  return [
    splitNotice(report),
    h("p", { class: "quiet" }, `Phase ${report.phase}, day ${report.day} of ${report.days}, as of ${when(report.until)}. `,
      report.valid === "at any time"
        ? "Intervals hold at every look, however often you look."
        : "The planned end is reached: these are the results to decide by.",
      report.adjusted ? " Adjusted by what users did before (CUPED)." : ""),
    report.treatments.map((one) => treatment(report, one)),
    h("div", { class: "pair" }, armsCard(report), ratioCard(report)),
  ];
}

function splitNotice({ split }) {
  if (!split.blocks) return null;
  const where = split.off.map((one) => `${one.cut} ${one.piece}`).join(", ");
  return notice("bad", h("p", {}, h("strong", {}, "The variants did not get the users they were to get.")),
    h("p", {}, `Sample ratio: p ${pValue(split.p_value)}. Nothing else in this report may be believed. `,
      where ? `It is off at: ${where}. ` : "", "Find the cause (a variant that fails, a redirect, a filter), mend it, and begin a new phase."));
}

function treatment(report, its) {
  const rows = its.overall.map((result, place) => resultRow(result, report.metrics[place]));
  const [decision, ...why] = its.decision.split(": ");
  const because = [...why, its.because.length ? `because of ${its.because.join(", ")}` : null].filter(Boolean).join(", ");
  return h("section", { class: "card", "aria-labelledby": `treatment-${its.variant}` },
    h("div", { class: "row between" },
      h("h3", { id: `treatment-${its.variant}` }, `${its.variant} against ${its.control}`),
      h("span", { class: `badge large ${VERDICTS[decision] ?? "info"}` }, decision)),
    because ? h("p", { class: "quiet" }, `${because[0].toUpperCase()}${because.slice(1)}.`) : null,
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Results of ${its.variant}` },
      h("table", { class: "results" },
        h("thead", {}, h("tr", {}, ["Metric", its.control, its.variant, "Uplift", `${share(report.level, 0)} interval`, "p", "Detectable"]
          .map((name, place) => h("th", { scope: "col", class: place ? "number" : null }, name)))),
        h("tbody", {}, rows))),
    h("div", { class: "charts" }, report.metrics.map((metric, place) => metricFigures(report, its, metric, place))));
}

function resultRow(result, metric) {
  const name = h("th", { scope: "row" }, metric.name,
    h("span", { class: "quiet" }, ` ${metric.role}${metric.better === "down" ? ", less is better" : ""}`));
  if (result.problem) return h("tr", {}, name, h("td", { colspan: 6, class: "quiet" }, result.problem));
  const value = (number) => (number === null ? "–" : metric.kind === "mean" ? number.toFixed(2) : share(number, 2));
  const uplift = result.uplift;
  const known = uplift && (uplift.low > 0 || (uplift.high !== null && uplift.high < 0));
  const better = known && (uplift.value > 0) === (metric.better === "up");
  return h("tr", {}, name,
    h("td", { class: "number" }, value(result.control)),
    h("td", { class: "number" }, value(result.treatment)),
    h("td", { class: `number ${known ? (better ? "up" : "down") : ""}` }, uplift ? signed(uplift.value) : "–"),
    h("td", { class: "number" }, uplift ? between(uplift.low, uplift.high) : "–"),
    h("td", { class: "number" }, pValue(result.p_corrected ?? result.p_value)),
    h("td", { class: "number" }, result.detectable === null ? "–" : share(result.detectable)));
}

function metricFigures(report, its, metric, place) {
  const uplifts = (slices) => slices.map((one) => ({ day: Number(one.name), uplift: one.results[place].uplift })).filter((one) => one.uplift);
  const through = uplifts(its.through);
  const groups = its.groups.map((one) => ({ name: one.name.replaceAll("_", " "), uplift: one.results[place].uplift })).filter((row) => row.uplift);
  const overall = its.overall[place].uplift;
  if (overall) groups.push({ name: "all", uplift: overall, all: true });
  const name = `${metric.name}: uplift of ${its.variant}`;
  return [
    h("figure", {}, h("figcaption", {}, metric.name, h("span", { class: "quiet" }, " uplift over time")),
      through.length
        ? [effectChart({ through, alone: uplifts(its.days), days: report.days, label: `${name} over time, now ${overall ? signed(overall.value) : "not known"}` }), effectLegend()]
        : empty("Not yet", "The first look is a day after the start.")),
    h("figure", {}, h("figcaption", {}, metric.name, h("span", { class: "quiet" }, " by group")),
      groups.length ? groupChart({ rows: groups, label: `${name} by group` }) : empty("Not yet", "No group has enough users.")),
  ];
}

const effectLegend = () => h("p", { class: "legend", "aria-hidden": "true" },
  h("span", { class: "key effect" }, "days 1 to each, at every look"), h("span", { class: "key alone" }, "the day alone"));

function armsCard({ variants }) {
  return h("section", { class: "card", "aria-labelledby": "arms" },
    h("h3", { id: "arms" }, "Variants"),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-labelledby": "arms" },
      h("table", {},
        h("thead", {}, h("tr", {}, ["Variant", "To get", "Users", "Lists", "Clicks", "Conversions"]
          .map((name, place) => h("th", { scope: "col", class: place ? "number" : null }, name)))),
        h("tbody", {}, variants.map((arm) => h("tr", {}, h("th", { scope: "row" }, arm.name),
          [share(arm.share, 0), count(arm.users), count(arm.page_views), count(arm.clicks), count(arm.conversions)]
            .map((value) => h("td", { class: "number" }, value))))))));
}

function ratioCard({ variants, split }) {
  const users = variants.reduce((sum, arm) => sum + arm.users, 0);
  const verdict = split.blocks ? "off" : "as planned";
  return h("section", { class: "card", "aria-labelledby": "ratio" },
    h("div", { class: "row between" }, h("h3", { id: "ratio" }, "Sample ratio"),
      h("span", { class: `badge ${split.blocks ? "bad" : "good"}` }, verdict)),
    split.by_day.length
      ? [ratioChart({ arms: variants, byDay: split.by_day, label: `Share of ${plural(users, "user")} by variant and day: ${verdict}, p ${pValue(split.p_value)}` }),
        h("p", { class: "legend", "aria-hidden": "true" }, variants.map((arm, place) => h("span", { class: `key arm-${place % 6}` }, arm.name))),
        h("p", { class: "quiet" }, `p ${pValue(split.p_value)}; the bands are what chance leaves (p > 0.001).`)]
      : empty("Nobody yet", "No exposures are in files: the event log's writer moves them within half a minute."));
}
