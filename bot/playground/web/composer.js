// The message box: Enter sends, Shift+Enter breaks the line, a slash suggests commands.

import { appMark } from "./avatar.js";
import { h, iconButton, menuButton } from "./dom.js";
import { act } from "./server.js";

const LONGEST = 40000;

export class Composer {
  constructor(root, context, { id }) {
    this.root = root;
    this.context = context;
    this.texts = new Map();
    this.place = null;
    this.box = h("textarea", {
      id,
      class: "message-box",
      rows: "1",
      testid: id,
      disabled: true,
      "aria-describedby": `${id}-count`,
      oninput: () => this.typed(),
      onkeydown: (event) => this.key(event),
    });
    this.suggestions = h("div", { class: "suggestions", role: "listbox", "aria-label": "Commands", hidden: true });
    this.count = h("span", { class: "count", id: `${id}-count`, role: "status" });
    this.sendButton = iconButton("Send", "➤", () => this.send(), { class: "send", testid: `${id}-send` });
    this.tools = h("div", { class: "composer-tools" });
    const foot = h("div", { class: "composer-foot" }, this.tools, this.count, this.sendButton);
    root.append(h("div", { class: "composer" }, this.suggestions, this.box, foot));
  }

  // Each place (person, channel, thread) has its own unsent text.
  show({ user, channel, thread }) {
    const place = `${user}/${channel.id}/${thread ?? ""}`;
    if (place === this.place) return;
    if (this.place) this.texts.set(this.place, this.box.value);
    this.box.disabled = false;
    Object.assign(this, { place, user, channel, thread });
    const name = channel.person ? this.context.app.name : `#${channel.name}`;
    const label = thread ? "Reply …" : `Message ${name}`;
    this.box.setAttribute("placeholder", label);
    this.box.setAttribute("aria-label", label);
    this.box.value = this.texts.get(place) ?? "";
    this.drawTools();
    this.typed();
    if (document.activeElement === document.body) this.box.focus();
  }

  drawTools() {
    const { shortcuts } = this.context.app;
    this.tools.replaceChildren(...(this.thread || !shortcuts.length ? [] : [menuButton(
      { class: "icon-button", "aria-label": "Shortcuts", title: "Shortcuts", testid: "shortcuts" },
      "⚡️",
      () => shortcuts.map((shortcut) => ({
        title: shortcut.name,
        detail: shortcut.description,
        testid: `shortcut-${shortcut.callback_id}`,
        choose: () => this.context.attempt(() =>
          act("shortcut", { user: this.user, callback_id: shortcut.callback_id })),
      })),
    )]));
  }

  typed() {
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight, 220)}px`;
    const length = this.box.value.length > LONGEST / 2 ? [...this.box.value].length : 0;
    this.count.textContent = length > LONGEST ? `${(length - LONGEST).toLocaleString("en")} characters too long` : "";
    this.sendButton.disabled = !this.box.value.trim();
    this.suggest();
  }

  suggest() {
    const text = this.box.value;
    const found = text.startsWith("/") && !text.includes("\n") && !this.thread
      ? this.context.app.commands.filter((command) => command.name.startsWith(text.split(" ")[0]) && text.length <= command.name.length)
      : [];
    this.suggestions.hidden = !found.length;
    this.suggestions.replaceChildren(...found.map((command, index) =>
      h("button", {
        type: "button",
        role: "option",
        class: "suggestion",
        "aria-selected": String(index === 0),
        testid: `suggestion-${command.name.slice(1)}`,
        onclick: () => this.take(command),
      },
      appMark("tiny"),
      h("span", { class: "suggestion-name" }, command.name),
      h("span", { class: "suggestion-hint" }, command.usage_hint),
      h("span", { class: "suggestion-detail" }, command.description))));
  }

  take(command) {
    this.box.value = `${command.name} `;
    this.typed();
    this.box.focus();
  }

  key(event) {
    if (event.isComposing) return;
    const [first] = this.suggestions.hidden ? [] : this.context.app.commands.filter((c) => c.name.startsWith(this.box.value));
    if (event.key === "Tab" && first) {
      event.preventDefault();
      this.take(first);
    } else if (event.key === "Escape" && !this.suggestions.hidden) {
      this.suggestions.hidden = true;
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      if (first && this.box.value !== first.name) this.take(first);
      else this.send();
    }
  }

  async send() {
    const text = this.box.value;
    if (!text.trim()) return;
    this.box.value = "";
    this.typed();
    const sent = await this.context.attempt(() => act("say", {
      user: this.user, channel: this.channel.id, text: text.startsWith("/") ? text.trim() : text, thread_ts: this.thread,
    }));
    if (sent === null && !this.box.value) {
      this.box.value = text;
      this.typed();
    }
  }
}
