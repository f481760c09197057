// The app's Home tab.

import { h } from "./dom.js";
import { renderBlocks } from "./blocks.js";
import { rememberFocus } from "./focus.js";
import { Surface } from "./surface.js";

export function drawHome(root, view, context) {
  const key = `${context.user} ${view?.id} ${view?.hash}`;
  if (root.dataset.key === key) return;
  root.dataset.key = key;
  if (!view) {
    const words = h("p", {}, `${context.app.name} has not put anything here yet.`);
    root.replaceChildren(h("div", { class: "empty" }, h("h2", {}, "Home"), words));
    return;
  }
  const restore = rememberFocus(root);
  const { id, blocks, state } = view;
  const surface = new Surface({ id, address: { view: id }, state: state.values, context }).over(blocks);
  root.replaceChildren(h("div", { class: "home-view", testid: "home-view" }, renderBlocks(view.blocks, surface)));
  restore(root);
}
