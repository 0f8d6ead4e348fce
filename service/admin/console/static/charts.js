// The pictures of a report. One hand: light grid, thin axes, the same two colours for the same two things.

import { s } from "./dom.js";
import { drawnTo } from "./responsive.js";
import { linear, reachOf, ticks } from "./scale.js";
import { signed } from "./format.js";

const HEIGHT = 210;
const EDGE = { top: 12, right: 14, bottom: 30, left: 52 };
const ROW = 30;
const BLOCKING = 3.29; // standard errors at p = .001

const written = (value) => (value === 0 ? "0 %" : signed(value, 0)); // on an axis
const path = (points) => points.map(([x, y], place) => `${place ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
const text = (x, y, content, attributes = {}) => s("text", { x, y, ...attributes }, content);

function picture(width, height, label, ...children) {
  return s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, children);
}

/** The days along x, values up y: axes, grid and names. */
function plot(width, days, [low, high], named) {
  const x = linear([1, Math.max(days, 2)], [EDGE.left + 10, width - EDGE.right - 10]);
  const y = linear([low, high], [HEIGHT - EDGE.bottom, EDGE.top]);
  const lines = ticks(low, high, 4).map((value) => s("g", {},
    s("line", { class: value === 0 ? "zero" : "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
    text(EDGE.left - 8, y(value) + 4, named(value), { "text-anchor": "end" })));
  const names = ticks(1, Math.max(days, 2), Math.min(days, Math.floor(width / 60))).filter(Number.isInteger)
    .map((day) => text(x(day), HEIGHT - 8, `day ${day}`, { "text-anchor": "middle" }));
  return { x, y, axes: s("g", { class: "axes" }, lines, names) };
}

/** Uplift of days 1 to each as a line in its band, and of each day alone as marks. */
export function effectChart({ through, alone, days, label }) {
  const all = [...through, ...alone].map((one) => one.uplift);
  return drawnTo("chart", (width) => {
    const { x, y, axes } = plot(width, days, reachOf(all), written);
    const top = ({ uplift }) => Math.max(y(uplift.high ?? 1e6), EDGE.top - 6);
    const low = ({ uplift }) => Math.min(y(uplift.low), HEIGHT - EDGE.bottom + 6);
    const band = [...through.map((one) => [x(one.day), top(one)]), ...[...through].reverse().map((one) => [x(one.day), low(one)])];
    const marks = alone.map((one) => s("g", { class: "alone" },
      s("line", { x1: x(one.day) + 5, x2: x(one.day) + 5, y1: top(one), y2: low(one) }),
      s("circle", { cx: x(one.day) + 5, cy: y(one.uplift.value), r: 3 })));
    return picture(width, HEIGHT, label, axes, s("g", {}, marks),
      band.length > 2 ? s("path", { class: "band", d: `${path(band)}Z` }) : null,
      s("path", { class: "line", d: path(through.map((one) => [x(one.day), y(one.uplift.value)])) }),
      through.map((one) => s("circle", { class: "point", cx: x(one.day), cy: y(one.uplift.value), r: 3.5 })));
  });
}

/** Uplift of each group, a row each, with its interval. */
export function groupChart({ rows, label }) {
  return drawnTo("chart", (width) => {
    const left = Math.min(110, 0.28 * width);
    const [low, high] = reachOf(rows.map((row) => row.uplift));
    const x = linear([low, high], [left + 10, width - EDGE.right]);
    const bottom = ROW * rows.length + 8;
    const grid = ticks(low, high, Math.max(2, Math.floor((width - left) / 80))).map((value) => s("g", {},
      s("line", { class: value === 0 ? "zero" : "grid", x1: x(value), x2: x(value), y1: 4, y2: bottom }),
      text(x(value), bottom + 18, written(value), { "text-anchor": "middle" })));
    const lines = rows.map(({ name, uplift, all }, place) => {
      const at = ROW * (place + 0.5) + 4;
      const [from, to] = [Math.max(x(uplift.low), left + 4), Math.min(uplift.high === null ? 1e6 : x(uplift.high), width - 4)];
      return s("g", { class: all ? "all" : "group" },
        text(left - 4, at + 4, name, { "text-anchor": "end" }),
        s("line", { x1: from, x2: to, y1: at, y2: at }),
        s("circle", { cx: x(uplift.value), cy: at, r: 4 }));
    });
    return picture(width, bottom + 28, label, s("g", { class: "axes" }, grid), lines);
  });
}

/** Each variant's share of the users so far, in the band that chance would leave it in (p > .001). */
export function ratioChart({ arms, byDay, label }) {
  const totals = [];
  const users = arms.map(() => []);
  for (const day of byDay) {
    totals.push((totals.at(-1) ?? 0) + arms.reduce((sum, arm) => sum + day[arm.name], 0));
    for (const [place, arm] of arms.entries()) users[place].push((users[place].at(-1) ?? 0) + day[arm.name]);
  }
  const known = totals.map((total, place) => [total, place + 1]).filter(([total]) => total > 0);
  const reach = (arm, total) => BLOCKING * Math.sqrt((arm.share * (1 - arm.share)) / total);
  const shares = arms.map((_, place) => known.map(([total, day]) => [day, users[place][day - 1] / total]));
  const bands = arms.map((arm) => known.map(([total, day]) => [day, arm.share - reach(arm, total), arm.share + reach(arm, total)]));
  const values = [...shares.flat().map(([, value]) => value), ...bands.flat().flatMap(([, low, high]) => [low, high])];
  const room = 0.02 + 0.05 * (Math.max(...values) - Math.min(...values));
  const limits = [Math.max(Math.min(...values) - room, 0), Math.min(Math.max(...values) + room, 1)];
  return drawnTo("chart", (width) => {
    const { x, y, axes } = plot(width, byDay.length, limits, (value) => `${(100 * value).toFixed(0)} %`);
    return picture(width, HEIGHT, label, axes, arms.map((arm, place) => s("g", { class: `arm arm-${place % 6}` },
      s("path", { class: "band", d: `${path([...bands[place].map(([day, low]) => [x(day), y(low)]), ...[...bands[place]].reverse().map(([day, , high]) => [x(day), y(high)])])}Z` }),
      s("path", { class: "line", d: path(shares[place].map(([day, value]) => [x(day), y(value)])) }),
      shares[place].map(([day, value]) => s("circle", { class: "point", cx: x(day), cy: y(value), r: 3 })))));
  });
}
