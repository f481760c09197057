// Block Kit to nodes. A surface (message, modal, home) says what its people typed so far and how
// to tell the app; elements.js draws what can be pressed and filled in.

import { h, uniqueId } from "./dom.js";
import { element } from "./elements.js";
import { link, mrkdwn, plainText, textObject } from "./mrkdwn.js";
import { withEmoji } from "./emoji.js";

export function renderBlocks(blocks, surface) {
  return h("div", { class: "blocks" }, blocks.map((block) => renderBlock(block, surface)));
}

function renderBlock(block, surface) {
  const draw = BLOCKS[block.type] ?? unknown;
  const node = draw(block, surface);
  node.dataset.blockId = block.block_id;
  return node;
}

const BLOCKS = {
  section(block, surface) {
    const text = h("div", { class: "section-text" });
    if (block.text) text.append(h("div", { class: "text" }, textObject(block.text, surface.names)));
    if (block.fields) {
      const fields = block.fields.map((field) => h("div", { class: "text" }, textObject(field, surface.names)));
      text.append(h("div", { class: "fields" }, fields));
    }
    const side = block.accessory && h("div", { class: "accessory" }, accessory(block, surface));
    return h("div", { class: "block section" }, text, side);
  },
  header: (block) => h("h3", { class: "block header" }, plainText(block.text)),
  divider: () => h("hr", { class: "block divider" }),
  context: (block, surface) =>
    h("div", { class: "block context" }, block.elements.map((item) =>
      item.type === "image" ? image(item, "context-image") : h("span", { class: "text" }, textObject(item, surface.names)))),
  actions: (block, surface) =>
    h("div", { class: "block actions" }, block.elements.map((item) => element(item, block, surface))),
  image: (block) =>
    h("figure", { class: "block image" }, block.title && h("figcaption", {}, plainText(block.title)), image(block, "")),
  input: inputBlock,
  rich_text: (block, surface) => h("div", { class: "block rich-text text" }, block.elements.map((part) => rich(part, surface))),
};

function unknown(block) {
  return h("div", { class: "block unknown" }, `A block of type “${block.type}” is not shown here.`);
}

function accessory(block, surface) {
  const item = block.accessory;
  return item.type === "image" ? image(item, "accessory-image") : element(item, block, surface);
}

// The page loads nothing from elsewhere: pictures of other servers are named, and linked.
function image(item, kind) {
  const source = item.image_url ?? item.slack_file?.url ?? "";
  if (source.startsWith(location.origin)) {
    return h("img", { class: kind, src: source, alt: item.alt_text });
  }
  return h("span", { class: `picture ${kind}`, title: item.alt_text }, link(source, `🖼 ${item.alt_text}`));
}

function inputBlock(block, surface) {
  const id = uniqueId("field");
  const error = h("div", {
    class: "field-error",
    id: `${id}-error`,
    role: "alert",
    testid: `error-${block.block_id}`,
    hidden: true,
  });
  const hint = block.hint && h("div", { class: "hint", id: `${id}-hint` }, plainText(block.hint));
  const describedby = [`${id}-error`, hint && `${id}-hint`].filter(Boolean).join(" ");
  const grouped = ["radio_buttons", "checkboxes"].includes(block.element.type);
  const label = [
    plainText(block.label),
    block.optional && h("span", { class: "optional" }, " (optional)"),
  ];
  const field = element(block.element, block, surface, { id, describedby });
  const properties = { class: "block input", testid: `field-${block.block_id}` };
  return grouped
    ? h("fieldset", { ...properties, "aria-describedby": describedby }, h("legend", { class: "label" }, label), field, error, hint)
    : h("div", properties, h("label", { class: "label", for: id }, label), field, error, hint);
}

export function showErrors(root, errors) {
  for (const line of root.querySelectorAll(".field-error")) {
    const message = errors[line.dataset.testid.slice("error-".length)];
    line.hidden = !message;
    line.textContent = message ?? "";
    const block = line.closest(".block");
    block.classList.toggle("has-error", Boolean(message));
    for (const field of block.querySelectorAll("input, textarea, select")) {
      if (message) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
  }
}

// Rich text

const RICH = {
  rich_text_section: (part, surface) => h("div", {}, part.elements.map((item) => richInline(item, surface))),
  rich_text_list: (part, surface) =>
    h(part.style === "ordered" ? "ol" : "ul", {}, part.elements.map((item) => h("li", {}, rich(item, surface)))),
  rich_text_preformatted: (part, surface) => h("pre", {}, h("code", {}, part.elements.map((item) => richInline(item, surface)))),
  rich_text_quote: (part, surface) => h("blockquote", {}, part.elements.map((item) => richInline(item, surface))),
};

function rich(part, surface) {
  return (RICH[part.type] ?? (() => ""))(part, surface);
}

function richInline(item, surface) {
  let node = richText(item, surface);
  for (const [name, tag] of [["bold", "strong"], ["italic", "em"], ["strike", "s"], ["code", "code"]]) {
    if (item.style?.[name]) node = h(tag, {}, node);
  }
  return node;
}

function richText(item, surface) {
  switch (item.type) {
    case "text": return h("span", { class: "pre-line" }, item.text);
    case "link": return link(item.url, item.text ?? item.url);
    case "emoji": return withEmoji(`:${item.name}:`);
    case "user": return h("span", {}, mrkdwn(`<@${item.user_id}>`, surface.names));
    case "channel": return h("span", {}, mrkdwn(`<#${item.channel_id}>`, surface.names));
    default: return "";
  }
}
