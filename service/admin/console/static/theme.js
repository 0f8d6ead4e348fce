// Before the first paint, so that nothing flashes: the theme that was chosen, or the system's.
"use strict";
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "system";
