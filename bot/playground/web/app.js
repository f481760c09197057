// The page: reads the workspace as one person sees it, draws it, and reads it again whenever the
// server says that something changed. What is where: `route` in the address's hash.

import { act, onChange, read, Trouble } from "./server.js";
import { avatar } from "./avatar.js";
import { h, iconButton, menuButton, slot } from "./dom.js";
import { drawSidebar } from "./sidebar.js";
import { drawMessages, drawThread } from "./messages.js";
import { drawHome } from "./home.js";
import { drawModals } from "./modals.js";
import { Composer } from "./composer.js";
import { EnginePanel } from "./engine.js";

const find = (selector) => document.querySelector(selector);

const page = {
  state: null,
  route: routeOf(location),
  reading: false,
  stale: false,
  threads: new Map(),
  seen: new Map(),
};

const context = {
  get user() { return page.state.user; },
  get people() { return page.state.people; },
  get channels() { return page.state.channels; },
  get app() { return page.state.app; },
  get channel() { return page.state.channel; },
  names: {
    person: (id) => (id === page.state.app.id ? page.state.app.name : page.state.people.find((p) => p.id === id)?.real_name),
    channel: (id) => page.state.channels.find((c) => c.id === id)?.name,
  },
  async attempt(doing) {
    try {
      return await doing();
    } catch (error) {
      toast(error instanceof Trouble ? error.message : "The playground does not answer. Is it still running?");
      return null;
    }
  },
  go,
};

// Where we are

function routeOf(place) {
  const archive = /^\/archives\/([A-Z0-9]+)(?:\/p(\d+))?/.exec(place.pathname);
  if (archive) {
    const ts = archive[2]?.replace(/(\d{6})$/, ".$1");
    const thread = new URLSearchParams(place.search).get("thread_ts") ?? ts;
    return { channel: archive[1], thread, user: sessionStorage.getItem("user") };
  }
  const [user, channel, tab, thread] = place.hash.slice(1).split("/").map(decodeURIComponent);
  return {
    user: user || sessionStorage.getItem("user"),
    channel: channel || null,
    tab: tab || "messages",
    thread: thread || null,
  };
}

function go(change) {
  const route = { ...page.route, ...change };
  if (change.channel && change.channel !== page.route.channel && !("thread" in change)) route.thread = null;
  if (change.user && change.user !== page.route.user) Object.assign(route, { thread: null, ...change });
  page.route = route;
  if (route.user) sessionStorage.setItem("user", route.user);
  const parts = [route.user, route.channel, route.tab ?? "messages", route.thread];
  const hash = parts.map((part) => encodeURIComponent(part ?? "")).join("/").replace(/\/+$/, "");
  history.pushState(null, "", `/#${hash}`);
  const channel = page.state?.channels.find((one) => one.id === route.channel);
  if (channel) composer.show({ user: route.user, channel, thread: null });
  return refresh();
}

for (const event of ["popstate", "hashchange"]) {
  window.addEventListener(event, () => {
    page.route = routeOf(location);
    refresh();
  });
}

document.addEventListener("click", (event) => {
  const anchor = event.target.closest?.("a[href]");
  if (!anchor || anchor.origin !== location.origin || !anchor.pathname.startsWith("/archives/")) return;
  event.preventDefault();
  const { channel, thread } = routeOf(new URL(anchor.href));
  go({ channel, thread, tab: "messages" });
});

// Reading and drawing

async function refresh() {
  if (page.reading) {
    page.stale = true;
    return;
  }
  page.reading = true;
  try {
    do {
      page.stale = false;
      const query = new URLSearchParams();
      if (page.route.user) query.set("user", page.route.user);
      if (page.route.channel) query.set("channel", page.route.channel);
      const state = await read(`/web/state?${query}`).catch((error) => stale(error));
      if (state && !page.stale) {
        page.state = state;
        draw();
      }
    } while (page.stale);
  } finally {
    page.reading = false;
  }
}

function stale(error) {
  if (error.status === 401) document.body.dataset.stale = "";
  else if (error instanceof Trouble && /_not_found/.test(error.message)) {
    sessionStorage.removeItem("user");
    page.route = { user: null, channel: null, tab: "messages", thread: null };
    page.stale = true;
  }
  return null;
}

function draw() {
  const { state, route } = page;
  route.user = state.user;
  route.channel = state.channel;
  const channel = state.channels.find((one) => one.id === state.channel);
  const onHome = Boolean(channel.person) && route.tab === "home";
  document.title = `${channel.person ? state.app.name : `#${channel.name}`} · Playground`;
  page.seen.set(`${state.user}/${channel.id}`, channel.last_ts);
  drawPeople(state);
  drawSidebar(find(".sidebar"), context, channel, route, page.seen);
  drawHead(channel, onHome);
  find(".messages").hidden = onHome;
  find(".home").hidden = !onHome;
  slot("composer").hidden = onHome;
  if (onHome) drawHome(find(".home"), state.home, context);
  else drawMessages(find(".messages"), state.messages, channel, context);
  composer.show({ user: state.user, channel, thread: null });
  drawThread(find(".thread"), state.messages, route.thread, channel, context, threadComposer);
  drawModals(slot("modals"), state.views, context);
  drawNotices(state.notices);
  drawWeather(state.faults);
  find("[data-testid=engine-toggle]").hidden = !state.engine;
  if (!state.engine) engine.hide();
}

function drawPeople(state) {
  const group = find(".people");
  const key = state.people.map((p) => `${p.id}${p.deleted}`).join() + state.user;
  if (group.dataset.key === key) return;
  group.dataset.key = key;
  group.replaceChildren(...state.people.map((person, index) =>
    h("button", {
      type: "button",
      class: "person",
      role: "radio",
      "aria-checked": String(person.id === state.user),
      tabindex: person.id === state.user ? "0" : "-1",
      testid: `person-${person.name}`,
      title: `Act as ${person.real_name}`,
      onclick: () => switchTo(person),
      onkeydown: (event) => {
        const to = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!to) return;
        event.preventDefault();
        const next = state.people[(index + to + state.people.length) % state.people.length];
        switchTo(next).then(() => find(".person[aria-checked=true]")?.focus());
      },
    },
    avatar(person.id, person.real_name, context, "small"),
    h("span", {},
      h("span", { class: "person-name" }, person.real_name),
      h("span", { class: "person-role" }, roleOf(person))))));
}

function roleOf(person) {
  return [person.teams.join(", "), person.is_admin && "admin", person.deleted && "deactivated"].filter(Boolean).join(" · ");
}

function switchTo(person) {
  const { channels } = page.state;
  const direct = channels.find((one) => one.id === page.route.channel)?.person;
  const channel = direct ? channels.find((one) => one.person === person.id)?.id : page.route.channel;
  if (direct && page.route.tab === "home") context.attempt(() => act("home", { user: person.id }));
  return go({ user: person.id, channel });
}

function drawHead(channel, onHome) {
  const { app } = page.state;
  const tab = (name, label) =>
    h("button", {
      type: "button",
      role: "tab",
      class: "tab",
      "aria-selected": String((name === "home") === onHome),
      testid: `app-${name}-tab`,
      onclick: () => openTab(name, channel),
    }, label);
  slot("head").replaceChildren(
    h("h1", {}, channel.person ? app.name : `# ${channel.name}`),
    channel.person
      ? h("div", { class: "tabs", role: "tablist", "aria-label": app.name }, tab("home", "Home"), tab("messages", "Messages"))
      : h("span", { class: "head-detail" }, app.name, channel.has_app ? " is a member" : " is not a member; commands work all the same"));
}

// What was read last may still be of the person before.
function whoActs() {
  return page.route.user ?? page.state.user;
}

function openTab(name, channel) {
  context.attempt(() => act("home", { user: whoActs(), tab: name }));
  return go({ channel: channel.id, tab: name });
}

context.openHome = () => {
  const own = page.state.channels.find((channel) => channel.person === whoActs());
  return openTab("home", own);
};

// Notices, and Slack's bad days

function drawNotices(notices) {
  const root = find(".toasts");
  const key = notices.join("\n");
  if (root.dataset.key === key) return;
  root.dataset.key = key;
  const dismiss = () => context.attempt(() => act("dismiss", { user: page.state.user }));
  root.replaceChildren(...notices.slice(-1).map((text) => toastNode(text, dismiss)));
}

function toast(text) {
  const node = toastNode(text, () => node.remove());
  find(".toasts").append(node);
  setTimeout(() => node.remove(), 8000);
}

function toastNode(text, close) {
  return h("div", { class: "toast" }, h("span", {}, text), iconButton("Dismiss", "×", close));
}

function drawWeather(faults) {
  const root = slot("weather");
  const key = JSON.stringify(faults);
  if (root.dataset.key === key) return;
  root.dataset.key = key;
  const set = (change) => context.attempt(() => act("faults", { ...faults, ...change }));
  const bad = [faults.delay > 0 && "slow", faults.failing && "failing", faults.rate_limits && "limiting"].filter(Boolean);
  root.replaceChildren(menuButton(
    { class: bad.length ? "tool alert" : "tool", testid: "weather" },
    bad.length ? `Slack is ${bad.join(", ")}` : "Slack is well",
    () => [
      {
        title: "Slow",
        detail: "every call takes two seconds",
        checked: faults.delay > 0,
        testid: "weather-slow",
        choose: () => set({ delay: faults.delay > 0 ? 0 : 2 }),
      },
      {
        title: "Failing",
        detail: "every call is answered with an error",
        checked: faults.failing,
        testid: "weather-failing",
        choose: () => set({ failing: !faults.failing }),
      },
      {
        title: "Rate limits",
        detail: "Slack's published rates apply",
        checked: faults.rate_limits,
        testid: "weather-rates",
        choose: () => set({ rate_limits: !faults.rate_limits }),
      },
    ],
  ));
}

const composer = new Composer(slot("composer"), context, { id: "message-box" });
const threadComposer = new Composer(h("div", { class: "composer-slot" }), context, { id: "reply-box" });
const engine = new EnginePanel(find(".engine"), find("[data-testid=engine-toggle]"), context);

onChange(refresh, (up) => document.body.classList.toggle("offline", !up));
refresh();
