// The dialog that an element's `confirm` asks for; resolves to true or false.

import { h, uniqueId } from "./dom.js";
import { plainText, textObject } from "./mrkdwn.js";
import { trapFocus } from "./focus.js";

export function confirmed(confirm, names) {
  return new Promise((resolve) => {
    const titleId = uniqueId("confirm");
    const answer = (value) => {
      release();
      backdrop.remove();
      resolve(value);
    };
    const yes = h("button", {
      type: "button",
      class: `button ${confirm.style === "danger" ? "danger" : "primary"}`,
      testid: "confirm-yes",
      onclick: () => answer(true),
    }, plainText(confirm.confirm));
    const dialog = h("div", {
      class: "dialog",
      role: "alertdialog",
      "aria-modal": "true",
      "aria-labelledby": titleId,
      testid: "confirm",
      onkeydown: (event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        answer(false);
      },
    },
    h("h2", { id: titleId }, plainText(confirm.title)),
    h("div", { class: "text dialog-text" }, textObject(confirm.text, names)),
    h("div", { class: "dialog-foot" },
      h("button", { type: "button", class: "button", testid: "confirm-no", onclick: () => answer(false) }, plainText(confirm.deny)),
      yes));
    const backdrop = h("div", { class: "backdrop above" }, dialog);
    document.body.append(backdrop);
    const release = trapFocus(dialog);
    yes.focus();
  });
}
