// Elements by hand. What comes from outside is always text, so it can never become markup.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element: h("p", {class: "quiet"}, "text", child). Attributes that are null or false are left out. */
export const h = (tag, attributes = {}, ...children) => filled(document.createElement(tag), attributes, children);

/** An SVG element. */
export const s = (tag, attributes = {}, ...children) => filled(document.createElementNS(SVG, tag), attributes, children);

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "css") for (const [key, it] of Object.entries(value)) element.style.setProperty(key, it);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A button that is busy while its work goes on, so that nothing is asked for twice. */
export function button(label, work, attributes = {}) {
  const made = h("button", { type: "button", ...attributes, onclick: run }, label);
  async function run() {
    if (made.getAttribute("aria-busy") === "true") return;
    made.setAttribute("aria-busy", "true");
    try {
      await work();
    } finally {
      made.removeAttribute("aria-busy");
    }
  }
  return made;
}

let silence;

/** Tell what happened, to eyes and to screen readers. */
export function say(text) {
  const said = document.getElementById("said");
  said.textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => (said.textContent = ""), 6000);
}
