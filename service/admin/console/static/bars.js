// A list of names with values as bars, the same wherever something is weighed.

import { h } from "./dom.js";

/** `rows`: {name, value, text, before?, more?}; the largest fills its line. `before` is marked by a tick. */
export function bars(rows, { label, ordered = true }) {
  const largest = Math.max(...rows.map((row) => Math.max(row.value, row.before ?? 0)), 1e-12);
  const list = rows.map((row) => h("li", { class: "bar-row" },
    h("span", { class: "bar-name" }, row.name),
    h("span", { class: "bar-value" }, row.text),
    h("span", { class: "bar-line", "aria-hidden": "true", css: { "--part": row.value / largest } },
      row.before === undefined ? null : h("span", { class: "tick", css: { "--part": row.before / largest } })),
    row.more ?? null));
  return h(ordered ? "ol" : "ul", { class: "bars", "aria-label": label }, list);
}
