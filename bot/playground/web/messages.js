// Messages in a channel and in a thread. A message is drawn again only when it changed, so that
// what is typed or opened in others stays as it is.

import { h, iconButton } from "./dom.js";
import { renderBlocks } from "./blocks.js";
import { mrkdwn } from "./mrkdwn.js";
import { rememberFocus } from "./focus.js";
import { Surface } from "./surface.js";
import { avatar } from "./avatar.js";

const NEAR_END = 80;

export function drawMessages(root, messages, channel, context) {
  const roots = messages.filter((message) => !message.thread_ts);
  const replies = repliesByRoot(messages);
  const repliesOf = (message) => replies.get(message.ts) ?? [];
  list(root, `${context.user}/${channel.id}`, roots, context, repliesOf, () => empty(channel, context));
}

function repliesByRoot(messages) {
  const groups = new Map();
  for (const message of messages.filter((one) => one.thread_ts)) {
    groups.set(message.thread_ts, [...(groups.get(message.thread_ts) ?? []), message]);
  }
  return groups;
}

export function drawThread(root, messages, ts, channel, context, composer) {
  const first = messages.find((message) => message.ts === ts);
  root.hidden = !first;
  if (!first) return;
  if (!root.childElementCount) {
    root.append(
      h("div", { class: "pane-head" },
        h("h2", {}, "Thread"),
        h("span", { class: "head-detail" }),
        iconButton("Close the thread", "×", () => context.go({ thread: null }), { testid: "thread-close" })),
      h("div", { class: "messages", role: "log", "aria-label": "Replies", tabindex: "0", testid: "thread-messages" }),
      composer.root);
  }
  root.querySelector(".pane-head .head-detail").textContent = channel.person ? context.app.name : `# ${channel.name}`;
  const shown = [first, ...messages.filter((message) => message.thread_ts === ts)];
  list(root.querySelector(".messages"), `${context.user}/${channel.id}/${ts}`, shown, context, null, () => null);
  composer.show({ user: context.user, channel, thread: ts });
}

function list(root, key, messages, context, repliesOf, emptyNode) {
  const fresh = root.dataset.list !== key;
  const atEnd = fresh || root.scrollHeight - root.scrollTop - root.clientHeight < NEAR_END;
  if (fresh) {
    root.dataset.list = key;
    root.replaceChildren();
  }
  const known = new Map([...root.querySelectorAll(":scope > .message")].map((node) => [node.dataset.ts, node]));
  let day = "";
  let previous = null;
  const nodes = [];
  for (const message of messages) {
    const date = dayOf(message.ts);
    if (date !== day) {
      day = date;
      previous = null;
      nodes.push(h("div", { class: "day", role: "separator" }, h("span", {}, date)));
    }
    nodes.push(drawn(known.get(message.ts), message, previous, context, repliesOf?.(message)));
    previous = message;
  }
  if (!messages.length) {
    const node = emptyNode();
    if (node) nodes.push(node);
  }
  replaceKept(root, nodes);
  if (atEnd) root.scrollTop = root.scrollHeight;
}

// Replaces the children without taking out those that stay: focus and menus live on in them.
function replaceKept(root, nodes) {
  const stay = new Set(nodes);
  for (const child of [...root.children]) if (!stay.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (root.children[index] !== node) root.insertBefore(node, root.children[index] ?? null);
  });
}

function drawn(known, message, previous, context, replies) {
  const follows = previous && previous.user === message.user && !message.ephemeral && !previous.ephemeral
    && Number(message.ts) - Number(previous.ts) < 300;
  const { state: _typed, ...content } = message;
  const key = JSON.stringify([content, follows, replies?.map((reply) => [reply.ts, reply.user])]);
  if (known?.dataset.key === key) return known;
  const node = messageNode(message, follows, context, replies);
  node.dataset.key = key;
  if (known) {
    const restore = rememberFocus(known);
    known.replaceWith(node);
    restore(node);
  }
  return node;
}

function messageNode(message, follows, context, replies) {
  const author = authorOf(message.user, context);
  const classes = ["message", follows && "follows", message.ephemeral && "ephemeral"].filter(Boolean).join(" ");
  return h("article", {
    class: classes,
    testid: message.ephemeral ? "ephemeral" : "message",
    "data-ts": message.ts,
    "aria-label": `${author.name}, ${timeOf(message.ts)}`,
  },
  h("div", { class: "message-side" },
    follows ? h("time", { class: "side-time" }, timeOf(message.ts)) : avatar(message.user, author.name, context)),
  h("div", { class: "message-main" },
    message.ephemeral && h("div", { class: "only-you" }, "👁 Only visible to you"),
    !follows && h("div", { class: "message-head" },
      h("span", { class: "author" }, author.name),
      author.badge && h("span", { class: "app-badge" }, "APP"),
      h("time", { title: new Date(Number(message.ts) * 1000).toLocaleString() }, timeOf(message.ts))),
    body(message, context),
    replies?.length ? threadLink(message, replies, context) : null),
  !message.ephemeral && replies && h("div", { class: "message-tools" },
    iconButton("Reply in thread", "💬", () => context.go({ thread: message.ts }), { testid: "thread-reply" })));
}

function body(message, context) {
  if (!message.blocks?.length) {
    return h("div", { class: "text" }, mrkdwn(message.text, context.names), edited(message));
  }
  const surface = new Surface({
    id: message.ts,
    address: { channel: context.channel, message: message.ts },
    state: message.state,
    context,
  }).over(message.blocks);
  return h("div", {}, renderBlocks(message.blocks, surface), edited(message));
}

// Slack does not mark an app's edits: its cards change all the time.
function edited(message) {
  return message.edited && !message.bot_id ? h("span", { class: "edited" }, " (edited)") : null;
}

function threadLink(message, replies, context) {
  const authors = [...new Set(replies.map((reply) => reply.user))].slice(0, 4);
  const open = () => context.go({ thread: message.ts });
  return h("button", { type: "button", class: "thread-link", testid: "thread-open", onclick: open },
    h("span", { class: "thread-faces" }, authors.map((id) => avatar(id, authorOf(id, context).name, context, "tiny"))),
    h("span", { class: "thread-count" }, replies.length === 1 ? "1 reply" : `${replies.length} replies`),
    h("span", { class: "thread-last" }, `Last reply at ${timeOf(replies.at(-1).ts)}`));
}

function authorOf(id, context) {
  if (id === context.app.id) return { name: context.app.name, badge: true };
  if (id === "USLACKBOT") return { name: "Slackbot", badge: false };
  return { name: context.names.person(id) ?? id, badge: false };
}

function empty(channel, context) {
  const command = context.app.commands[0]?.name;
  return h("div", { class: "empty" },
    h("h2", {}, channel.person ? `This is where ${context.app.name} writes to you` : `# ${channel.name}`),
    h("p", {}, "Nothing here yet. ", command && ["Type ", h("code", {}, command), " in the message box below to begin."]));
}

function timeOf(ts) {
  return new Date(Number(ts) * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

function dayOf(ts) {
  const when = new Date(Number(ts) * 1000);
  if (when.toDateString() === new Date().toDateString()) return "Today";
  return when.toLocaleDateString([], { weekday: "long", month: "long", day: "numeric" });
}
