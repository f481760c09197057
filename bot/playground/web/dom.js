// Elements from plain calls; text is always text, never markup.

export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  set(node, properties);
  node.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return node;
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.flat(Infinity).filter((child) => child != null));
  return node;
}

function set(node, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name === "value" || name === "checked" || name === "disabled") node[name] = value;
    else if (name === "testid") node.dataset.testid = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
}

// A button that shows a sign; `name` is what it is called.
export function iconButton(name, sign, onclick, properties = {}) {
  return h("button", { type: "button", class: "icon-button", "aria-label": name, title: name, onclick, ...properties }, sign);
}

let counter = 0;

export function uniqueId(prefix) {
  counter += 1;
  return `${prefix}-${counter}`;
}

export function slot(name) {
  return document.querySelector(`[data-slot="${name}"]`);
}

// A menu below its button: arrow keys move, Escape and a click elsewhere close it.
export function menuButton(buttonProperties, label, items) {
  const list = h("div", { class: "menu", role: "menu", hidden: true });
  const button = h(
    "button",
    { type: "button", "aria-haspopup": "menu", "aria-expanded": "false", ...buttonProperties },
    label,
  );
  const close = () => {
    list.hidden = true;
    button.setAttribute("aria-expanded", "false");
    document.removeEventListener("click", outside);
  };
  const outside = (event) => {
    if (!anchor.contains(event.target)) close();
  };
  const open = () => {
    list.replaceChildren(...items().map((item) => menuItem(item, close)));
    list.hidden = false;
    button.setAttribute("aria-expanded", "true");
    document.addEventListener("click", outside);
    list.querySelector("button")?.focus();
  };
  button.addEventListener("click", () => (list.hidden ? open() : close()));
  const anchor = h("div", {
    class: "menu-anchor",
    onkeydown: (event) => {
      if (event.key === "Escape" && !list.hidden) {
        event.stopPropagation();
        close();
        button.focus();
      } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        if (!list.hidden) step(event, [...list.querySelectorAll("button")]);
      }
    },
  }, button, list);
  return anchor;
}

function menuItem(item, close) {
  return h(
    "button",
    {
      type: "button",
      class: "menu-item",
      role: item.checked == null ? "menuitem" : "menuitemcheckbox",
      "aria-checked": item.checked == null ? null : String(item.checked),
      testid: item.testid,
      onclick: () => {
        close();
        item.choose();
      },
    },
    item.checked == null ? null : h("span", { class: "menu-check", "aria-hidden": "true" }, item.checked ? "✓" : ""),
    h("span", {}, h("span", { class: "menu-title" }, item.title), item.detail ? h("span", { class: "menu-detail" }, item.detail) : null),
  );
}

function step(event, buttons) {
  event.preventDefault();
  const now = buttons.indexOf(document.activeElement);
  const next = now + (event.key === "ArrowDown" ? 1 : -1);
  buttons[(next + buttons.length) % buttons.length]?.focus();
}
