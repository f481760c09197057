// A field that searches while one types: WAI-ARIA's editable combobox with a list, one or several
// choices. `load(text)` gives groups of options, or {hint} in place of them.

import { h, uniqueId } from "./dom.js";
import { plainText } from "./mrkdwn.js";

const PAUSE = 200;

export function combobox({ attributes, placeholder, many, most, chosen, load, choose }) {
  const listId = uniqueId("list");
  let picked = [...chosen];
  let shown = [];
  let active = -1;
  let asked = 0;
  let waiting = null;

  const list = h("div", {
    class: "combo-list",
    id: listId,
    role: "listbox",
    "aria-multiselectable": many ? "true" : null,
    hidden: true,
  });
  const chips = h("div", { class: "chips" });
  const field = h("input", {
    ...attributes,
    type: "text",
    class: "combo-input",
    role: "combobox",
    autocomplete: "off",
    placeholder,
    "aria-expanded": "false",
    "aria-controls": listId,
    "aria-autocomplete": "list",
    onfocus: () => open(),
    onclick: () => open(),
    oninput: () => {
      clearTimeout(waiting);
      waiting = setTimeout(refresh, PAUSE);
      show([{ hint: "Searching …" }]);
    },
    onkeydown: key,
    onblur: () => setTimeout(leave, 0),
  });
  const root = h("div", { class: "combo", onmousedown: keepFocus },
    h("div", { class: "combo-field" }, chips, field),
    list);
  drawChips();
  return root;

  function keepFocus(event) {
    if (event.target !== field) event.preventDefault();
  }

  function open() {
    if (list.hidden) refresh();
  }

  async function refresh() {
    const turn = ++asked;
    const found = await load(many || field.value !== label(picked[0]) ? field.value.trim() : "");
    if (turn !== asked || document.activeElement !== field) return;
    show(found.hint ? [found] : found);
  }

  function show(groups) {
    shown = [];
    active = -1;
    list.replaceChildren();
    for (const group of groups) {
      if (group.hint) list.append(h("div", { class: "combo-hint" }, group.hint));
      if (group.label) list.append(h("div", { class: "combo-group" }, group.label));
      for (const option of group.options ?? []) list.append(row(option));
    }
    if (!list.childElementCount) list.append(h("div", { class: "combo-hint" }, "No results"));
    list.hidden = false;
    field.setAttribute("aria-expanded", "true");
    list.scrollIntoView({ block: "nearest" });
    if (shown.length) activate(0);
  }

  function row(option) {
    const index = shown.push(option) - 1;
    return h("div", {
      class: "combo-option",
      role: "option",
      id: `${listId}-${index}`,
      "aria-selected": String(isPicked(option)),
      testid: `option-${option.value}`,
      onclick: () => pick(option),
      onmousemove: () => activate(index),
    },
    h("span", {}, plainText(option.text), option.description && h("span", { class: "choice-detail" }, plainText(option.description))),
    isPicked(option) && h("span", { "aria-hidden": "true" }, "✓"));
  }

  function activate(index) {
    list.querySelector(".active")?.classList.remove("active");
    active = index;
    const node = document.getElementById(`${listId}-${index}`);
    node?.classList.add("active");
    node?.scrollIntoView({ block: "nearest" });
    if (node) field.setAttribute("aria-activedescendant", node.id);
  }

  function pick(option) {
    if (!many) {
      picked = [option];
    } else if (isPicked(option)) {
      picked = picked.filter((one) => one.value !== option.value);
    } else if (!most || picked.length < most) {
      picked = [...picked, option];
    } else {
      show([{ hint: `No more than ${most} can be chosen.` }]);
      return;
    }
    if (many) field.value = "";
    drawChips();
    choose(picked);
    if (many) refresh();
    else close();
  }

  function drawChips() {
    if (!many) {
      field.value = label(picked[0]);
      return;
    }
    chips.replaceChildren(...picked.map((option) =>
      h("span", { class: "chip" }, label(option),
        h("button", {
          type: "button",
          class: "chip-remove",
          "aria-label": `Remove ${label(option)}`,
          onclick: () => pick(option),
        }, "×"))));
  }

  function key(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) open();
      else if (shown.length) activate((active + (event.key === "ArrowDown" ? 1 : -1) + shown.length) % shown.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!list.hidden && shown[active]) pick(shown[active]);
    } else if (event.key === "Escape" && !list.hidden) {
      event.stopPropagation();
      close();
    } else if (event.key === "Backspace" && many && !field.value && picked.length) {
      pick(picked.at(-1));
    }
  }

  function leave() {
    if (document.activeElement === field) return;
    if (!many && field.value.trim() === "" && picked.length) {
      picked = [];
      choose(picked);
    }
    drawChips();
    close();
  }

  function close() {
    asked += 1;
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  }

  function isPicked(option) {
    return picked.some((one) => one.value === option.value);
  }
}

function label(option) {
  return option ? plainText(option.text) : "";
}
