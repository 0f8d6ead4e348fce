// What one more event would change: the list and the intents as they are, beside those with the item in the history.

import { open } from "./api.js";
import { bars } from "./bars.js";
import { confirmed } from "./confirm.js";
import { h, s, say } from "./dom.js";
import { plural, share } from "./format.js";
import { about, titled } from "./names.js";
import { fill, notice } from "./states.js";

const INTENTS = 4;

/** -> {card, ask(itemId)}. `recommend(history)` answers for a hypothetical one; `changed()` is called once it is real. */
export function whatIf(its, recommend, changed) {
  const found = h("div", { class: "found", "aria-live": "polite" });
  const field = h("input", {
    id: "item", name: "item", list: "items", autocomplete: "off", spellcheck: "false", required: true, maxlength: 256,
    placeholder: its.answer.items[0]?.item_id ?? "item id",
  });
  const options = [...its.titles].map(([id, title]) => h("option", { value: id }, title));
  const card = h("section", { class: "card what-if", "aria-labelledby": "what-if" },
    h("h2", { id: "what-if" }, "What if?"),
    h("form", { class: "search", onsubmit: submit },
      h("label", { for: "item" }, "If their next item were"),
      field, h("datalist", { id: "items" }, options),
      h("button", { type: "submit" }, "Compare")),
    found);
  function submit(event) {
    event.preventDefault();
    return ask(field.value.trim());
  }
  function ask(itemId) {
    field.value = itemId;
    card.scrollIntoView({ block: "nearest" });
    return fill(found, "the other list", async () => {
      const after = await recommend([...its.history, itemId]);
      return compared(its, itemId, after, () => post(its, itemId, changed));
    });
  }
  return { card, ask };
}

function compared(its, itemId, after, postIt) {
  if (after.unknown_items.includes(itemId)) {
    return [notice("warn", `The bundle does not know ${itemId}, so nothing changes. The event would be stored all the same.`), postButton(postIt)];
  }
  const moves = movesOf(its.answer.items, after.items);
  const gone = its.answer.items.filter((item) => !after.items.some((one) => one.item_id === item.item_id));
  return [
    h("p", { class: "summary" }, summary(moves, gone, itemId)),
    board(its.answer.items, after.items, moves, itemId),
    h("h3", {}, "Their intents then"),
    intentBars(its, after),
    postButton(postIt),
  ];
}

const postButton = (postIt) => h("div", { class: "row end" },
  h("button", { type: "button", class: "primary", onclick: postIt }, "Post this event …"));

/** For each place of the new list: {kind, by}, by how many places it moved. */
export function movesOf(before, after) {
  const places = new Map(before.map((item, place) => [item.item_id, place]));
  return after.map((item, place) => {
    if (!places.has(item.item_id)) return { kind: "new", by: 0, from: null };
    const by = places.get(item.item_id) - place;
    return { kind: by > 0 ? "up" : by < 0 ? "down" : "same", by: Math.abs(by), from: places.get(item.item_id) };
  });
}

function summary(moves, gone, itemId) {
  const of = (kind) => moves.filter((move) => move.kind === kind).length;
  const left = gone.filter((item) => item.item_id !== itemId).length;
  const said = [[of("new"), "new"], [of("up"), "up"], [of("down"), "down"], [of("same"), "where they were"], [left, "gone"]];
  const text = said.filter(([number]) => number).map(([number, what]) => `${number} ${what}`).join(", ");
  const taken = gone.length > left ? ", and the item itself, which they would have seen" : "";
  return `${text}${taken}.`;
}

const BADGES = { new: "new", up: "▲", down: "▼", same: "=" };
const SPOKEN = { new: "new", up: "up", down: "down", same: "where it was" };

/** Both lists, and lines from each item to where it moves. */
function board(before, after, moves, itemId) {
  const rows = Math.max(before.length, after.length);
  const stays = new Set(after.map((item) => item.item_id));
  const old = before.map((item) => h("li", { class: stays.has(item.item_id) ? "" : "leaves" },
    h("span", { class: "title" }, titled(item)),
    stays.has(item.item_id) ? null : h("span", { class: "move" }, item.item_id === itemId ? "seen" : "gone")));
  const fresh = after.map((item, place) => {
    const { kind, by } = moves[place];
    return h("li", { class: kind },
      h("span", { class: "move", "aria-hidden": "true" }, `${BADGES[kind]}${by || ""}`),
      h("span", { class: "spoken" }, `${SPOKEN[kind]}${by ? ` ${by}` : ""}: `),
      h("span", { class: "title" }, titled(item)));
  });
  const lines = moves.map(({ kind, from }, place) => from === null ? null
    : s("path", { class: kind, d: `M0 ${from + 0.5}C50 ${from + 0.5} 50 ${place + 0.5} 100 ${place + 0.5}` }));
  return h("div", { class: "board", css: { "--rows": rows } },
    h("h3", {}, "Now"), h("span", {}), h("h3", {}, "Then"),
    h("ol", { "aria-label": "The list now" }, old),
    s("svg", { viewBox: `0 0 100 ${rows}`, preserveAspectRatio: "none", "aria-hidden": "true" }, lines),
    h("ol", { "aria-label": "The list then" }, fresh));
}

function intentBars({ answer, named }, after) {
  const before = new Map(answer.intents.map((one) => [one.intent_id, one.weight]));
  const rows = after.intents.slice(0, INTENTS).map(({ intent_id, weight }) => ({
    name: `Intent ${intent_id}`, value: weight, before: before.get(intent_id) ?? 0,
    text: `${share(before.get(intent_id) ?? 0)} → ${share(weight)}`,
    more: h("span", { class: "quiet clip" }, about(named.intents[intent_id], 2)),
  }));
  return bars(rows, { label: "Strongest intents then; the tick is what they are now" });
}

async function post(its, itemId, changed) {
  const name = its.titles.get(itemId) ?? itemId;
  const event = { user_id: its.id, item_id: itemId, type: "click", timestamp: Date.now() / 1000 };
  let status = null;
  const done = await confirmed({
    title: "Post this event?",
    text: `${its.id} clicked ${name}, now. It is stored and logged like any other event, and can only be taken back by erasing the user.`,
    action: "Post the event",
    change: async () => {
      [status] = (await open.post("/v1/events", { events: [event] })).results;
    },
  });
  if (!done) return;
  await changed();
  say(status.status === "accepted" ? `Accepted: ${plural(its.history.length + 1, "event")} now, and the list is new.` : `The event was not stored: ${status.status}. ${status.reason ?? ""}`);
}
