// Asks for an API key, once, however many calls wait for it.

import { h } from "./dom.js";

let asking = null;

/** -> whether one was given, and taken. `why` is the question's title. */
export function askForKey(why, take) {
  asking ??= dialog(why, take).finally(() => (asking = null));
  return asking;
}

function dialog(why, take) {
  const field = h("input", {
    id: "key-field", name: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true,
    "aria-describedby": "key-help",
  });
  const form = h("form", { method: "dialog" },
    h("h2", { id: "key-title" }, why),
    h("p", { id: "key-help", class: "quiet" },
      "Users and intents need the scope read, posting events the scope events, bundles and experiments the scope ",
      "admin. The key stays in this tab and goes with it. Make one with ",
      h("code", {}, "intently-serve key NAME --keys keys.json --scope read --scope events --scope admin"), "."),
    h("label", { for: "key-field" }, "API key or token"),
    field,
    h("div", { class: "row end" },
      h("button", { type: "button", class: "ghost", onclick: () => shown.close() }, "Cancel"),
      h("button", { type: "submit", value: "given", class: "primary" }, "Use this key")));
  const shown = h("dialog", { "aria-labelledby": "key-title" }, form);
  document.body.append(shown);
  shown.showModal();
  field.focus();
  return new Promise((resolve) => {
    shown.addEventListener("close", () => {
      const given = shown.returnValue === "given" && field.value.trim();
      if (given) take(given);
      shown.remove();
      resolve(Boolean(given));
    });
  });
}
