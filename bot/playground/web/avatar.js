// A person's initials on a colour of their own; the app's mark.

import { h } from "./dom.js";

export function avatar(id, name, context, size = "") {
  if (id === context.app.id) return appMark(size);
  const node = h("span", { class: `avatar ${size}`, "aria-hidden": "true" }, initials(name));
  const hue = [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7);
  node.style.setProperty("--hue", String(hue));
  return node;
}

export function appMark(size = "") {
  return h("span", { class: `avatar app ${size}`, "aria-hidden": "true" }, "P");
}

function initials(name) {
  return name.split(/\s+/).map((word) => word[0] ?? "").join("").slice(0, 2).toUpperCase();
}
