// The stack of modals: only the top one is shown. It is drawn again when its hash changes; errors
// alone change nothing but the lines under their fields.

import { appMark } from "./avatar.js";
import { h, iconButton, uniqueId } from "./dom.js";
import { renderBlocks, showErrors } from "./blocks.js";
import { firstField, rememberFocus, trapFocus } from "./focus.js";
import { plainText } from "./mrkdwn.js";
import { act } from "./server.js";
import { Surface } from "./surface.js";

let open = null;

export function drawModals(root, views, context) {
  const view = views.at(-1);
  if (!view) {
    close(root);
    return;
  }
  const key = `${context.user} ${view.id} ${view.hash}`;
  if (open?.key !== key) show(root, view, views.length, key, context);
  showErrors(open.dialog, view.errors);
  trouble(open.dialog, view.trouble);
  const errors = JSON.stringify([view.errors, view.trouble]);
  if (open.errors !== errors) {
    open.errors = errors;
    open.dialog.querySelector(".has-error :is(input, select, textarea)")?.focus();
  }
}

function close(root) {
  if (!open) return;
  open.release();
  root.replaceChildren();
  open = null;
}

function show(root, view, depth, key, context) {
  const sameView = open?.id === view.id && open.user === context.user;
  const restore = sameView ? rememberFocus(open.dialog) : null;
  const scrolled = sameView ? open.dialog.querySelector(".modal-body").scrollTop : 0;
  const before = open;
  const dialog = modal(view, depth, context);
  root.replaceChildren(h("div", { class: "backdrop" }, dialog));
  before?.release();
  open = { key, id: view.id, user: context.user, dialog, release: trapFocus(dialog), errors: "[{},null]" };
  dialog.querySelector(".modal-body").scrollTop = scrolled;
  restore?.(dialog);
  if (!dialog.contains(document.activeElement)) firstField(dialog)?.focus();
}

function modal(view, depth, context) {
  const titleId = uniqueId("modal");
  const surface = new Surface({
    id: view.id,
    address: { view: view.id },
    state: view.state.values,
    context,
    submit: () => view.submit && submit(view, surface, dialog, context),
  }).over(view.blocks);
  const dismiss = (everything) => context.attempt(() => act("close", { user: context.user, view: view.id, everything }));
  const dialog = h("div", {
    class: "modal",
    role: "dialog",
    "aria-modal": "true",
    "aria-labelledby": titleId,
    testid: "modal",
    "data-view-id": view.id,
    onkeydown: (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      dismiss(false);
    },
  },
  h("div", { class: "modal-head" },
    appMark(),
    h("h2", { id: titleId, testid: "modal-title" }, plainText(view.title)),
    depth > 1 && h("span", { class: "depth" }, `${depth} of 3`),
    iconButton(depth > 1 ? "Close all" : "Close", "×", () => dismiss(true), { testid: "modal-dismiss" })),
  h("div", { class: "trouble", role: "alert", testid: "modal-trouble", hidden: true }),
  h("div", { class: "modal-body" }, renderBlocks(view.blocks, surface)),
  h("div", { class: "modal-foot" },
    h("button", { type: "button", class: "button", testid: "modal-close", onclick: () => dismiss(false) }, closeLabel(view, depth)),
    view.submit && h("button", {
      type: "button",
      class: "button primary",
      testid: "modal-submit",
      onclick: () => submit(view, surface, dialog, context),
    }, plainText(view.submit))));
  return dialog;
}

function closeLabel(view, depth) {
  if (view.close) return plainText(view.close);
  if (depth > 1) return "Back";
  return view.submit ? "Cancel" : "Close";
}

async function submit(view, surface, dialog, context) {
  const button = dialog.querySelector("[data-testid=modal-submit]");
  if (button.disabled) return;
  button.disabled = true;
  button.classList.add("busy");
  button.setAttribute("aria-busy", "true");
  open.errors = "";
  await context.attempt(() => act("submit", { user: context.user, view: view.id, values: surface.values(view.blocks) }));
  button.disabled = false;
  button.classList.remove("busy");
  button.removeAttribute("aria-busy");
}

function trouble(dialog, message) {
  const line = dialog.querySelector(".trouble");
  line.hidden = !message;
  line.textContent = message ?? "";
}
