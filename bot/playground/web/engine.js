// The engine at work, beside the conversation: requests with their steps, instances with what they
// depend on. Read once a second and a half while it is open.

import { h, svg } from "./dom.js";
import { read } from "./server.js";

const PAUSE = 1500;
const BOX = { least: 116, most: 180, height: 42, gapX: 24, gapY: 12 };
const ROOM = 398;

export class EnginePanel {
  constructor(root, toggle, context) {
    Object.assign(this, { root, toggle, context, tab: "requests", chosen: { requests: null, instances: null }, step: null, timer: null, drawn: "" });
    toggle.addEventListener("click", () => (root.hidden ? this.show() : this.hide()));
    root.append(
      h("div", { class: "pane-head" }, h("h2", {}, "Engine"),
        h("div", { class: "tabs", role: "tablist", "aria-label": "Engine" }, this.tabButton("requests", "Requests"), this.tabButton("instances", "Instances")),
        h("button", { type: "button", class: "icon-button", "aria-label": "Close the engine panel", onclick: () => this.hide() }, "×")),
      (this.body = h("div", { class: "engine-body", tabindex: "0" })));
  }

  tabButton(name, label) {
    return h("button", { type: "button", role: "tab", class: "tab", "data-tab": name, testid: `engine-${name}`, onclick: () => this.open(name, null) }, label);
  }

  show() {
    this.root.hidden = false;
    this.toggle.setAttribute("aria-pressed", "true");
    this.tick();
  }

  hide() {
    this.root.hidden = true;
    this.toggle.setAttribute("aria-pressed", "false");
    clearTimeout(this.timer);
  }

  open(tab, id) {
    this.tab = tab;
    this.chosen[tab] = id;
    this.step = null;
    this.tick();
  }

  async tick() {
    clearTimeout(this.timer);
    if (this.root.hidden) return;
    if (!document.hidden) await this.refresh();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tick(), PAUSE);
  }

  async refresh() {
    const { tab } = this;
    const id = this.chosen[tab];
    let rows, detail;
    try {
      rows = await read(`/engine/${tab}`);
      const known = rows.some((row) => row.id === id) ? id : rows[0]?.id;
      detail = known ? await read(`/engine/${tab}/${encodeURIComponent(known)}`) : null;
    } catch {
      rows = null;
    }
    if (tab !== this.tab) return;
    const key = JSON.stringify([tab, rows, detail, this.step]);
    if (key === this.drawn) return;
    this.drawn = key;
    for (const button of this.root.querySelectorAll(".tab")) button.setAttribute("aria-selected", String(button.dataset.tab === tab));
    const logs = new Map([...this.body.querySelectorAll(".log")].map((log) => [log.dataset.log, log.scrollTop]));
    this.body.replaceChildren(...this.draw(rows, detail));
    for (const log of this.body.querySelectorAll(".log")) log.scrollTop = logs.get(log.dataset.log) ?? log.scrollHeight;
  }

  draw(rows, detail) {
    if (rows === null) return [h("p", { class: "engine-empty" }, "The engine does not answer.")];
    if (!rows.length) return [h("p", { class: "engine-empty" }, this.tab === "requests" ? "No requests yet. Order something, and watch its steps here." : "No service instances yet.")];
    const list = h("ul", { class: "engine-list" }, rows.map((row) => this.row(row, row.id === detail?.id)));
    return [list, detail && (this.tab === "requests" ? this.requestDetail(detail) : this.instanceDetail(detail))].filter(Boolean);
  }

  row(row, current) {
    const title = row.title ?? row.name;
    const about = row.requester
      ? [row.kind, this.context.names.person(row.requester) ?? row.requester]
      : [`${row.item} ${row.version}`, row.team];
    return h("li", {}, h("button", { type: "button", class: current ? "engine-row current" : "engine-row", testid: `engine-row-${row.id}`, onclick: () => this.open(this.tab, row.id) },
      h("span", { class: "engine-title" }, title), chip(row.state), h("span", { class: "engine-about" }, about.join(" · "), " · ", h("code", {}, row.id))));
  }

  requestDetail(request) {
    const step = request.steps.find((one) => one.name === this.step) ?? busiest(request.steps);
    return h("section", { class: "engine-detail", testid: "engine-detail" },
      h("h3", {}, request.title, " ", chip(request.state)),
      graph(request.steps.map((one) => ({ id: one.name, title: one.name, detail: one.type, state: one.state, after: one.depends_on })), step?.name, (name) => {
        this.step = name;
        this.refresh();
      }),
      step && this.stepDetail(step));
  }

  stepDetail(step) {
    return h("div", { class: "engine-step" },
      h("h4", {}, step.name, " ", chip(step.state)),
      step.attempts.length ? null : h("p", { class: "engine-about" }, "Not started yet."),
      step.attempts.map((attempt) => h("details", { open: attempt === step.attempts.at(-1) },
        h("summary", {}, `Attempt ${attempt.number} `, chip(attempt.state), h("span", { class: "engine-about" }, span(attempt))),
        attempt.error && h("p", { class: "engine-error" }, attempt.error),
        attempt.log && h("pre", { class: "log", "data-log": `${step.name}/${attempt.number}`, tabindex: "0" }, attempt.log))));
  }

  instanceDetail(instance) {
    const nodes = [
      ...instance.providers.map((one) => node(one, [])),
      node(instance, instance.providers.map((one) => one.id)),
      ...instance.dependents.map((one) => node(one, [instance.id])),
    ];
    const outputs = Object.entries(instance.outputs);
    return h("section", { class: "engine-detail", testid: "engine-detail" },
      h("h3", {}, instance.name, " ", chip(instance.state)),
      graph(nodes, instance.id, (id) => this.open("instances", id)),
      outputs.length ? h("dl", { class: "outputs" }, outputs.flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, typeof value === "string" ? value : JSON.stringify(value))])) : null);
  }
}

function node(instance, after) {
  return { id: instance.id, title: instance.name, detail: `${instance.item} ${instance.version}`, state: instance.state, after };
}

function busiest(steps) {
  return steps.find((step) => /running|waiting|verifying|retry/.test(step.state)) ?? steps.find((step) => step.state === "failed") ?? steps.at(-1);
}

function span(attempt) {
  if (!attempt.started_at) return "";
  const start = new Date(attempt.started_at);
  const end = attempt.ended_at ? new Date(attempt.ended_at) : new Date();
  return `${start.toLocaleTimeString([], { hour12: false })} · ${((end - start) / 1000).toFixed(1)} s`;
}

function chip(state) {
  return h("span", { class: `chip-state ${family(state)}` }, state.replaceAll("_", " "));
}

function family(state) {
  if (/completed|active|succeeded|passed|resolved/.test(state)) return "good";
  if (/fail|abort|error|lost/.test(state)) return "bad";
  if (/running|progress|provision|verifying|claimed|updating|upgrading|decommissioning$/.test(state)) return "busy";
  if (/wait|retry|ticket|manual|approval/.test(state)) return "waits";
  return "idle";
}

// A layered drawing: each node stands right of everything it comes after.
function graph(nodes, current, choose) {
  const layer = new Map();
  const byId = new Map(nodes.map((one) => [one.id, one]));
  const layerOf = (id, path = new Set()) => {
    if (layer.has(id) || !byId.has(id) || path.has(id)) return layer.get(id) ?? -1;
    path.add(id);
    const at = 1 + Math.max(-1, ...byId.get(id).after.map((before) => layerOf(before, path)));
    layer.set(id, at);
    return at;
  };
  const columns = [];
  for (const one of nodes) (columns[layerOf(one.id)] ??= []).push(one);
  const rows = Math.max(...columns.map((column) => column.length));
  const fitting = (ROOM - (columns.length - 1) * BOX.gapX) / columns.length;
  const boxWidth = Math.max(BOX.least, Math.min(BOX.most, fitting));
  const width = columns.length * (boxWidth + BOX.gapX) - BOX.gapX;
  const height = rows * (BOX.height + BOX.gapY) - BOX.gapY;
  const place = new Map();
  columns.forEach((column, x) => column.forEach((one, y) => {
    const free = height - (column.length * (BOX.height + BOX.gapY) - BOX.gapY);
    place.set(one.id, { x: x * (boxWidth + BOX.gapX), y: free / 2 + y * (BOX.height + BOX.gapY) });
  }));
  const edges = nodes.flatMap((one) => one.after.filter((before) => place.has(before)).map((before) => edge(place.get(before), place.get(one.id), boxWidth)));
  const drawing = svg("svg", { viewBox: `-2 -2 ${width + 4} ${height + 4}`, width: width + 4, height: height + 4, class: "graph", role: "group", "aria-label": "Graph" },
    edges, nodes.map((one) => box(one, place.get(one.id), boxWidth, one.id === current, choose)));
  return h("div", { class: "graph-frame" }, drawing);
}

function edge(from, to, boxWidth) {
  const [x1, y1, x2, y2] = [from.x + boxWidth, from.y + BOX.height / 2, to.x, to.y + BOX.height / 2];
  const middle = (x1 + x2) / 2;
  return svg("path", { class: "edge", d: `M${x1},${y1} C${middle},${y1} ${middle},${y2} ${x2},${y2}` });
}

function box(one, at, width, current, choose) {
  const node = svg("g", { class: `node ${family(one.state)} ${current ? "current" : ""}`, transform: `translate(${at.x} ${at.y})`, tabindex: "0", role: "button", "aria-label": `${one.title}, ${one.state}` },
    svg("rect", { width, height: BOX.height, rx: 6 }),
    svg("circle", { cx: 12, cy: 15, r: 4 }),
    svg("text", { x: 22, y: 19, class: "node-title" }, cut(one.title, Math.floor((width - 26) / 7.8))),
    svg("text", { x: 12, y: 34, class: "node-detail" }, cut(one.detail, Math.floor((width - 16) / 5.9))),
    svg("title", {}, `${one.title} · ${one.detail} · ${one.state}`));
  node.addEventListener("click", () => choose(one.id));
  node.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") choose(one.id);
  });
  return node;
}

function cut(text, length) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
