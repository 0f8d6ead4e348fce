// Nothing is changed without a question that says what will happen.

import { h } from "./dom.js";
import { problem } from "./states.js";

let number = 0;

/**
 * Ask, and do it: `change` gets the share (0 to 1) where one is asked for, and may refuse; its reason is shown.
 * -> whether it was done. `share`: {value, least, of} in percent.
 */
export function confirmed({ title, text, action, danger = false, share = null, change }) {
  const id = `confirm-${++number}`;
  const said = h("div", { class: "said" });
  const field = share && h("input", {
    id: `${id}-share`, type: "number", min: share.least ?? 0.01, max: 100, step: "any", value: share.value, required: true,
    inputmode: "decimal", "aria-describedby": `${id}-of`,
  });
  const does = h("button", { type: "submit", class: danger ? "danger" : "primary" }, action);
  const cancel = h("button", { type: "button", class: "ghost", onclick: () => shown.close() }, "Cancel");
  const form = h("form", { onsubmit: submit },
    h("h2", { id }, title),
    h("p", {}, text),
    field && h("label", { for: `${id}-share` }, "Share"),
    field && h("div", { class: "row" }, field, h("span", { id: `${id}-of` }, `% of ${share.of}`)),
    said,
    h("div", { class: "row end" }, cancel, does));
  const shown = h("dialog", { "aria-labelledby": id }, form);
  let done = false;

  async function submit(event) {
    event.preventDefault();
    does.disabled = cancel.disabled = true;
    does.setAttribute("aria-busy", "true");
    said.replaceChildren();
    try {
      await change(field && Number(field.value) / 100);
      done = true;
      shown.close();
    } catch (error) {
      if (error.status === undefined) throw error;
      said.replaceChildren(problem(error));
    } finally {
      does.disabled = cancel.disabled = false;
      does.removeAttribute("aria-busy");
    }
  }

  document.body.append(shown);
  shown.showModal();
  (field ?? cancel).focus();
  return new Promise((resolve) => shown.addEventListener("close", () => (shown.remove(), resolve(done))));
}
