// Channels, and the direct messages with the app.

import { appMark } from "./avatar.js";
import { h } from "./dom.js";

export function drawSidebar(root, context, current, route, seen) {
  const { user, app, channels } = context;
  const key = JSON.stringify([user, current.id, route.tab, channels]);
  if (root.dataset.key === key) return;
  root.dataset.key = key;
  const own = channels.find((channel) => channel.person === user);
  root.replaceChildren(
    group("Channels", channels.filter((c) => !c.person).map((channel) =>
      entry({
        label: ["# ", channel.name],
        testid: `channel-${channel.name}`,
        current: channel.id === current.id,
        unread: isUnread(channel, user, seen),
        open: () => context.go({ channel: channel.id, tab: "messages", thread: null }),
      }))),
    group("Apps", [
      entry({
        label: [appMark("tiny"), app.name],
        testid: "channel-app",
        current: own.id === current.id,
        unread: isUnread(own, user, seen),
        open: () => (isUnread(own, user, seen) ? context.go({ channel: own.id, tab: "messages", thread: null }) : context.openHome()),
      }),
    ]),
  );
}

function isUnread(channel, user, seen) {
  return channel.last_ts != null && channel.last_ts > (seen.get(`${user}/${channel.id}`) ?? "");
}

function group(title, entries) {
  return h("section", { class: "sidebar-group" }, h("h2", {}, title), h("ul", {}, entries.map((one) => h("li", {}, one))));
}

function entry({ label, testid, current, unread, open }) {
  return h("button", {
    type: "button",
    class: ["sidebar-entry", current && "current", unread && !current && "unread"].filter(Boolean).join(" "),
    "aria-current": current ? "page" : null,
    testid,
    onclick: open,
  }, h("span", { class: "sidebar-label" }, label), unread && !current && h("span", { class: "badge", "aria-label": "unread" }));
}
