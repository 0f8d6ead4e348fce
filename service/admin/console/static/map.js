// The map of intents: circles by size, users as dots among them, lines to neighbours. One stop of the tab key; arrows move.

import { s } from "./dom.js";
import { plural } from "./format.js";
import { about } from "./names.js";
import { drawnTo } from "./responsive.js";

const LARGEST = 23; // radius
const MARGIN = LARGEST + 24; // for a circle and its name
const SMALLEST = 5;
const LABELS = 12;
const TOWARDS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** -> {element, mark(chosen, neighbours)}; `choose(intentId)` is called when one is clicked or entered. */
export function intentMap(map, intents, choose) {
  let marked = { chosen: null, neighbours: [] };
  let parts = null;
  const element = drawnTo("map", (width) => {
    parts = draw(map, intents, width, Math.min(Math.max(0.66 * width, 300), 560), choose);
    mark(marked.chosen, marked.neighbours);
    return parts.svg;
  });

  function mark(chosen, neighbours) {
    marked = { chosen, neighbours };
    if (parts === null || chosen === null) return;
    const near = new Set(neighbours.map((one) => one.intent_id));
    for (const [id, circle] of parts.circles) {
      circle.classList.toggle("chosen", id === chosen);
      circle.classList.toggle("near", near.has(id));
      circle.setAttribute("aria-pressed", id === chosen);
      circle.setAttribute("tabindex", id === chosen ? 0 : -1);
    }
    for (const [id, label] of parts.labels) label.classList.toggle("chosen", id === chosen);
    for (const [id, dots] of parts.dots) dots.classList.toggle("chosen", id === chosen);
    const from = parts.places.get(chosen);
    parts.lines.replaceChildren(...neighbours.map(({ intent_id, similarity }) => {
      const to = parts.places.get(intent_id);
      return s("line", { x1: from.x, y1: from.y, x2: to.x, y2: to.y, "stroke-opacity": Math.max(0.25, Math.min(1, similarity)) });
    }));
  }

  return { element, mark };
}

function draw(map, intents, width, height, choose) {
  const project = projection(map, width, height);
  const places = new Map(map.intents.map((one) => [one.intent_id, project(one)]));
  const largest = Math.max(...intents.map((one) => one.size), 1);
  const radius = (intent) => Math.max(SMALLEST, LARGEST * Math.sqrt(intent.size / largest) * Math.min(1, width / 640));
  const bySize = [...intents].sort((one, other) => other.size - one.size);
  const dots = dotsOf(map.users, project);
  const circles = new Map(bySize.map((intent) => [intent.intent_id, circleOf(intent, places.get(intent.intent_id), radius(intent))]));
  const labels = labelsOf(bySize, places, radius, width);
  const lines = s("g", { class: "lines" });
  const svg = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Map of intents" },
    s("g", { class: "dots", "aria-hidden": "true" }, [...dots.values()]), lines,
    s("g", {}, [...circles.values()]),
    s("g", { class: "labels", "aria-hidden": "true" }, [...labels.values()]));
  for (const [id, circle] of circles) {
    circle.addEventListener("click", () => choose(id));
    circle.addEventListener("keydown", (event) => keyed(event, id, places, circles, choose));
  }
  return { svg, circles, labels, dots, places, lines };
}

/** From the map's coordinates to the picture's: as large as it can be, and no axis stretched. */
function projection(map, width, height) {
  const all = [...map.intents, ...map.users];
  const range = (axis) => [Math.min(...all.map((one) => one[axis])), Math.max(...all.map((one) => one[axis]))];
  const [[left, right], [low, high]] = [range("x"), range("y")];
  const scale = Math.min((width - 2 * MARGIN) / (right - left || 1), (height - 2 * MARGIN) / (high - low || 1));
  return ({ x, y }) => ({
    x: width / 2 + scale * (x - (left + right) / 2),
    y: height / 2 - scale * (y - (low + high) / 2),
  });
}

function dotsOf(users, project) {
  const groups = new Map();
  for (const user of users) {
    if (!groups.has(user.intent_id)) groups.set(user.intent_id, s("g", {}));
    const { x, y } = project(user);
    groups.get(user.intent_id).append(s("circle", { cx: x.toFixed(1), cy: y.toFixed(1), r: 2 }));
  }
  return groups;
}

function circleOf(intent, { x, y }, radius) {
  const name = `Intent ${intent.intent_id}, ${plural(intent.size, "user")}, ${about(intent)}`;
  return s("g", { class: "intent", role: "button", tabindex: -1, "aria-pressed": "false", "aria-label": name },
    s("title", {}, name),
    s("circle", { class: "reach", cx: x, cy: y, r: Math.max(radius, 12) }), // to be hit by a finger
    s("circle", { cx: x, cy: y, r: radius }));
}

/** The largest intents get names, as many as find room below or above them; so does the one that is chosen. */
function labelsOf(bySize, places, radius, width) {
  const taken = bySize.map((intent) => {
    const { x, y } = places.get(intent.intent_id);
    return around(x, y, radius(intent), radius(intent));
  });
  const labels = new Map();
  for (const [order, intent] of bySize.entries()) {
    const { x, y } = places.get(intent.intent_id);
    const text = cut(about(intent), width < 500 ? 16 : 26);
    const half = 3.2 * text.length;
    const middle = Math.min(Math.max(x, half + 4), width - half - 4);
    const [below, above] = [y + radius(intent) + 9, y - radius(intent) - 9];
    const free = order < LABELS ? [below, above].find((at) => !taken.some((one) => meet(one, around(middle, at, half, 7)))) : undefined;
    if (free !== undefined) taken.push(around(middle, free, half, 7));
    labels.set(intent.intent_id,
      s("text", { class: free === undefined ? "" : "shown", x: middle, y: (free ?? below) + 4, "text-anchor": "middle" }, text));
  }
  return labels;
}

const around = (x, y, across, down) => ({ left: x - across, right: x + across, top: y - down, bottom: y + down });
const meet = (one, other) => one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;

const cut = (text, length) => (text.length <= length ? text : `${text.slice(0, length - 1)}…`);

function keyed(event, id, places, circles, choose) {
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    choose(id);
  }
  const way = TOWARDS[event.key];
  if (way === undefined) return;
  event.preventDefault();
  const next = nearestTowards(id, way, places);
  if (next !== null) circles.get(next).focus();
}

/** The intent that lies nearest in that direction, within 45° of it. */
function nearestTowards(id, [right, down], places) {
  const from = places.get(id);
  let best = null;
  for (const [other, { x, y }] of places) {
    const [along, aside] = [(x - from.x) * right + (y - from.y) * down, (x - from.x) * down + (y - from.y) * right];
    if (other === id || along <= 0 || Math.abs(aside) > along) continue;
    const distance = Math.hypot(along, aside);
    if (best === null || distance < best.distance) best = { other, distance };
  }
  return best?.other ?? null;
}
