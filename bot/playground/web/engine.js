// The engine at work, beside the conversation: requests with their steps, instances with what they
// depend on. Read once a second and a half while it is open.

import { h, iconButton } from "./dom.js";
import { graph } from "./graph.js";
import { read } from "./server.js";
import { chip } from "./states.js";

const PAUSE = 1500;
const NOTHING = {
  requests: "No requests yet. Order something, and watch its steps here.",
  instances: "No service instances yet.",
};
export class EnginePanel {
  constructor(root, toggle, context) {
    Object.assign(this, { root, toggle, context, tab: "requests", step: null, timer: null, drawn: "" });
    this.chosen = { requests: null, instances: null };
    toggle.addEventListener("click", () => (root.hidden ? this.show() : this.hide()));
    root.append(
      h("div", { class: "pane-head" }, h("h2", {}, "Engine"),
        h("div", { class: "tabs", role: "tablist", "aria-label": "Engine" },
          this.tabButton("requests", "Requests"),
          this.tabButton("instances", "Instances")),
        iconButton("Close the engine panel", "×", () => this.hide())),
      (this.body = h("div", { class: "engine-body", tabindex: "0" })));
  }

  tabButton(name, label) {
    return h("button", {
      type: "button",
      role: "tab",
      class: "tab",
      "data-tab": name,
      testid: `engine-${name}`,
      onclick: () => this.open(name, null),
    }, label);
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
    for (const button of this.root.querySelectorAll(".tab")) {
      button.setAttribute("aria-selected", String(button.dataset.tab === tab));
    }
    const logs = new Map([...this.body.querySelectorAll(".log")].map((log) => [log.dataset.log, log.scrollTop]));
    this.body.replaceChildren(...this.draw(rows, detail));
    for (const log of this.body.querySelectorAll(".log")) log.scrollTop = logs.get(log.dataset.log) ?? log.scrollHeight;
  }

  draw(rows, detail) {
    if (rows === null) return [h("p", { class: "engine-empty" }, "The engine does not answer.")];
    if (!rows.length) return [h("p", { class: "engine-empty" }, NOTHING[this.tab])];
    const list = h("ul", { class: "engine-list" }, rows.map((row) => this.row(row, row.id === detail?.id)));
    return [list, detail && (this.tab === "requests" ? this.requestDetail(detail) : this.instanceDetail(detail))].filter(Boolean);
  }

  row(row, current) {
    const title = row.title ?? row.name;
    const about = row.requester
      ? [row.kind, this.context.names.person(row.requester) ?? row.requester]
      : [`${row.item} ${row.version}`, row.team];
    return h("li", {}, h("button", {
      type: "button",
      class: current ? "engine-row current" : "engine-row",
      testid: `engine-row-${row.id}`,
      onclick: () => this.open(this.tab, row.id),
    },
    h("span", { class: "engine-title" }, title),
    chip(row.state),
    h("span", { class: "engine-about" }, about.join(" · "), " · ", h("code", {}, row.id))));
  }

  requestDetail(request) {
    const step = request.steps.find((one) => one.id === this.step) ?? busiest(request.steps);
    return h("section", { class: "engine-detail", testid: "engine-detail" },
      h("h3", {}, request.title, " ", chip(request.state)),
      graph(request.steps.map(stepNode), step?.id, (id) => {
        this.step = id;
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
        attempt.log && h("pre", { class: "log", "data-log": `${step.id}/${attempt.number}`, tabindex: "0" }, attempt.log))));
  }

  instanceDetail(instance) {
    const outputs = Object.entries(instance.outputs);
    return h("section", { class: "engine-detail", testid: "engine-detail" },
      h("h3", {}, instance.name, " ", chip(instance.state)),
      graph(instance.graph.map((one) => instanceNode(one, instance.members)), instance.id, (id) => this.open("instances", id)),
      outputs.length ? h("dl", { class: "outputs" }, outputs.map(([key, value]) => [h("dt", {}, key), h("dd", {}, inWords(value))])) : null);
  }
}

function instanceNode({ id, name, item, version, state, after }, members) {
  const detail = members.includes(id) ? `member: ${item} ${version}` : `${item} ${version}`;
  return { id, title: name, detail, state, after };
}

function stepNode({ id, name, type, state, component, depends_on: after }) {
  const title = component ? name.replace(`${component}/`, "") : name;
  return { id, title, detail: component ? `${component} · ${type}` : type, state, after };
}

function inWords(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function busiest(steps) {
  const inState = (pattern) => steps.find((step) => pattern.test(step.state));
  return inState(/running|waiting|verifying|retry/) ?? inState(/failed/) ?? steps.at(-1);
}

function span(attempt) {
  if (!attempt.started_at) return "";
  const start = new Date(attempt.started_at);
  const end = attempt.ended_at ? new Date(attempt.ended_at) : new Date();
  return `${start.toLocaleTimeString([], { hour12: false })} · ${((end - start) / 1000).toFixed(1)} s`;
}
