// What can be pressed, chosen and filled in. Each element reads its value from the surface's draft
// and writes it there; the app is told where Slack would tell it: at once in sections and actions,
// in inputs only with dispatch_action.

import { h, menuButton, uniqueId } from "./dom.js";
import { plainText, textObject } from "./mrkdwn.js";
import { confirmed } from "./confirm.js";
import { combobox } from "./combobox.js";

export function element(item, block, surface, labelled = {}) {
  const draw = ELEMENTS[item.type];
  if (!draw) return h("span", { class: "unknown" }, `“${item.type}” is not shown here.`);
  const id = labelled.id ?? uniqueId("element");
  const place = new Place(item, block, surface, { ...labelled, id });
  const node = draw(place);
  node.dataset.place = place.key;
  return node;
}

class Place {
  constructor(item, block, surface, labelled) {
    Object.assign(this, { item, block, surface, labelled });
    this.key = `${block.block_id}/${item.action_id}`;
    this.inInput = block.type === "input";
  }

  get given() {
    return this.surface.given(this.block, this.item);
  }

  get attributes() {
    const { id, describedby } = this.labelled;
    return {
      id,
      testid: `action-${this.item.action_id}`,
      "aria-describedby": describedby,
      "aria-label": this.inInput ? null : this.item.placeholder ? plainText(this.item.placeholder) : this.item.action_id,
      "aria-required": this.inInput && !this.block.optional ? "true" : null,
      "data-focus": `${this.key}`,
      autofocus: this.item.focus_on_load,
    };
  }

  get placeholder() {
    return this.item.placeholder ? plainText(this.item.placeholder) : null;
  }

  // Keep a value; tell the app unless it stands in an input that does not dispatch.
  async choose(value, undo) {
    if (this.item.confirm && !(await confirmed(this.item.confirm, this.surface.names))) {
      undo?.();
      return;
    }
    this.keep(value);
    if (!this.inInput || this.block.dispatch_action) await this.tell(value);
  }

  keep(value) {
    this.surface.keep(this.block, this.item, value);
  }

  tell(value) {
    return this.surface.act(this.block, this.item, value);
  }
}

function optionValue(given) {
  return typeof given === "object" && given ? given.value : given ?? "";
}

function optionValues(given) {
  return (given ?? []).map(optionValue);
}

// Buttons

function button(place) {
  const { item } = place;
  const classes = ["button", item.style].filter(Boolean).join(" ");
  const node = h("button", {
    ...place.attributes,
    class: classes,
    type: "button",
    "aria-label": item.accessibility_label,
    onclick: () => press(place, node),
  }, plainText(item.text));
  return node;
}

async function press(place, node) {
  const { item } = place;
  if (item.confirm && !(await confirmed(item.confirm, place.surface.names))) return;
  if (item.url) window.open(item.url, "_blank", "noopener,noreferrer");
  node.classList.add("busy");
  node.setAttribute("aria-busy", "true");
  await place.tell(item.value ?? null);
  node.classList.remove("busy");
  node.removeAttribute("aria-busy");
}

function overflow(place) {
  const { item } = place;
  return menuButton(
    { class: "button overflow", "aria-label": "More actions", testid: `action-${item.action_id}` },
    "⋯",
    () => item.options.map((option) => ({
      title: plainText(option.text),
      detail: option.description && plainText(option.description),
      testid: `option-${option.value}`,
      choose: async () => {
        if (item.confirm && !(await confirmed(item.confirm, place.surface.names))) return;
        if (option.url) window.open(option.url, "_blank", "noopener,noreferrer");
        await place.tell(option.value);
      },
    })),
  );
}

// Text

function textField(type, extra = {}) {
  return (place) => {
    const many = place.item.multiline;
    const triggers = place.item.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];
    let waiting = null;
    const field = h(many ? "textarea" : "input", {
      ...place.attributes,
      ...(many ? { rows: "4" } : { type, autocomplete: "off" }),
      ...extra,
      class: "text-field",
      placeholder: place.placeholder,
      value: place.given ?? "",
      oninput: () => {
        place.keep(field.value);
        if (place.block.dispatch_action && triggers.includes("on_character_entered")) {
          clearTimeout(waiting);
          waiting = setTimeout(() => place.tell(field.value), 400);
        }
      },
      onkeydown: (event) => {
        if (event.key !== "Enter" || many || event.isComposing) return;
        event.preventDefault();
        if (place.block.dispatch_action && triggers.includes("on_enter_pressed")) place.tell(field.value);
        else place.surface.submit?.();
      },
    });
    return field;
  };
}

// One choice

function select(optionsOf, label = "Select an option") {
  return (place) => {
    const field = h("select", {
      ...place.attributes,
      class: "select-field",
      onchange: () => {
        const before = place.given;
        const value = field.value || null;
        place.choose(value, () => (field.value = optionValue(before)));
      },
    }, h("option", { value: "" }, place.placeholder ?? label), optionsOf(place));
    field.value = optionValue(place.given);
    return field;
  };
}

function staticOptions({ item }) {
  if (item.option_groups) {
    return item.option_groups.map((group) => h("optgroup", { label: plainText(group.label) }, group.options.map(optionNode)));
  }
  return item.options.map(optionNode);
}

function optionNode(option) {
  const detail = option.description ? ` · ${plainText(option.description)}` : "";
  return h("option", { value: option.value }, plainText(option.text) + detail);
}

const peopleOptions = ({ surface }) => surface.people().map((p) => h("option", { value: p.id }, p.real_name));
const channelOptions = ({ surface }) => surface.channels().map((c) => h("option", { value: c.id }, `#${c.name}`));

function choices(type) {
  return (place) => {
    const { item } = place;
    const name = uniqueId("choice");
    const chosen = new Set(type === "radio" ? [optionValue(place.given)] : optionValues(place.given));
    const group = h("div", {
      class: "choices",
      role: type === "radio" ? "radiogroup" : "group",
      testid: `action-${item.action_id}`,
    });
    const read = () => {
      const values = [...group.querySelectorAll("input:checked")].map((input) => input.value);
      return type === "radio" ? values[0] ?? null : values;
    };
    for (const option of item.options) {
      const before = [...chosen];
      group.append(h("label", { class: "choice" },
        h("input", {
          type, name, value: option.value, checked: chosen.has(option.value),
          testid: `option-${option.value}`,
          "data-focus": `${place.key}/${option.value}`,
          onchange: () => place.choose(read(), () => {
            for (const input of group.querySelectorAll("input")) input.checked = before.includes(input.value);
          }),
        }),
        h("span", {},
          h("span", { class: "choice-text text" }, textObject(option.text, place.surface.names)),
          option.description && h("span", { class: "choice-detail text" }, textObject(option.description, place.surface.names)))));
    }
    return group;
  };
}

// Several choices, and choices that the app is asked for

function searchable({ many, options }) {
  return (place) => combobox({
    attributes: place.attributes,
    placeholder: place.placeholder ?? (many ? "Select options" : "Search"),
    many,
    most: place.item.max_selected_items,
    chosen: toList(place.given, place, options),
    load: (text) => options(place, text),
    choose: (chosen) => place.choose(many ? chosen.map(handle(place)) : chosen[0] ? handle(place)(chosen[0]) : null),
  });
}

// Options travel whole; people and channels as their ids.
const handle = (place) => (option) => (isIds(place.item.type) ? option.value : option);
const isIds = (type) => /users|channels|conversations/.test(type);

function toList(given, place) {
  const all = given == null ? [] : Array.isArray(given) ? given : [given];
  return all.map((one) => (typeof one === "string" ? idOption(one, nameOf(one, place)) : one));
}

function nameOf(id, { surface, item }) {
  const known = [...(item.options ?? []), ...(item.option_groups ?? []).flatMap((group) => group.options)];
  const option = known.find((one) => one.value === id);
  return option?.text.text ?? surface.names.person(id) ?? surface.names.channel(id) ?? id;
}

const matching = (text, label) => label.toLowerCase().includes(text.toLowerCase());

async function ownOptions({ item }, text) {
  const groups = item.option_groups ?? [{ options: item.options }];
  return groups.map((group) => ({
    label: group.label && plainText(group.label),
    options: group.options.filter((option) => matching(text, option.text.text)),
  }));
}

async function people({ surface }, text) {
  return [{ options: surface.people().filter((p) => matching(text, p.real_name)).map((p) => idOption(p.id, p.real_name)) }];
}

async function channels({ surface }, text) {
  return [{ options: surface.channels().filter((c) => matching(text, c.name)).map((c) => idOption(c.id, `#${c.name}`)) }];
}

function idOption(value, name) {
  return { value, text: { type: "plain_text", text: name } };
}

async function fromApp(place, text) {
  const least = place.item.min_query_length ?? 3;
  if ([...text].length < least) return { hint: `Type ${least === 1 ? "a character" : `${least} characters`} to search` };
  const answer = await place.surface.suggest(place.block, place.item, text);
  if (!answer) return { hint: "The options could not be loaded." };
  const groups = answer.option_groups ?? [{ options: answer.options ?? [] }];
  return groups.map((group) => ({ label: group.label && plainText(group.label), options: group.options }));
}

// Dates and times

function clock(type) {
  return (place) => {
    const field = h("input", {
      ...place.attributes,
      class: "text-field date-field",
      type,
      value: toField(type, place.given),
      onchange: () => place.choose(fromField(type, field.value)),
    });
    return field;
  };
}

function toField(type, given) {
  if (given == null || given === "") return "";
  if (type !== "datetime-local") return given;
  const when = new Date(given * 1000);
  return new Date(when.getTime() - when.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

function fromField(type, value) {
  if (!value) return null;
  return type === "datetime-local" ? Math.floor(new Date(value).getTime() / 1000) : value;
}

const ELEMENTS = {
  button,
  overflow,
  plain_text_input: textField("text"),
  email_text_input: textField("text", { inputmode: "email" }),
  url_text_input: textField("text", { inputmode: "url" }),
  number_input: textField("text", { inputmode: "decimal" }),
  static_select: select(staticOptions),
  users_select: select(peopleOptions, "Select a person"),
  channels_select: select(channelOptions, "Select a channel"),
  conversations_select: select(channelOptions, "Select a conversation"),
  external_select: searchable({ many: false, options: fromApp }),
  multi_static_select: searchable({ many: true, options: ownOptions }),
  multi_external_select: searchable({ many: true, options: fromApp }),
  multi_users_select: searchable({ many: true, options: people }),
  multi_channels_select: searchable({ many: true, options: channels }),
  multi_conversations_select: searchable({ many: true, options: channels }),
  radio_buttons: choices("radio"),
  checkboxes: choices("checkbox"),
  datepicker: clock("date"),
  timepicker: clock("time"),
  datetimepicker: clock("datetime-local"),
};
