// Pictures that are drawn anew at the width they have, so that their letters keep their size.

import { h } from "./dom.js";

/** A place whose content is `draw(width)`, whenever its width changes. */
export function drawnTo(kind, draw) {
  const place = h("div", { class: `drawn ${kind}` });
  let drawn = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width === drawn || width === 0) return;
    drawn = width;
    requestAnimationFrame(() => place.replaceChildren(draw(width)));
  }).observe(place);
  return place;
}
