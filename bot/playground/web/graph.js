// A drawing of nodes and of what comes after what, from left to right. A node has an id, a title, a
// detail, a state, and the ids that it stands after.

import { h, svg } from "./dom.js";
import { family } from "./states.js";

const BOX = { least: 116, most: 180, height: 42, gapX: 24, gapY: 12 };
const ROOM = 398;

// Each node stands right of everything it comes after.
export function graph(nodes, current, choose) {
  if (!nodes.length) return null;
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
  const edges = nodes.flatMap((one) => one.after
    .filter((before) => place.has(before))
    .map((before) => edge(place.get(before), place.get(one.id), boxWidth)));
  const drawing = svg("svg", {
    viewBox: `-2 -2 ${width + 4} ${height + 4}`,
    width: width + 4,
    height: height + 4,
    class: "graph",
    role: "group",
    "aria-label": "Graph",
  },
    edges, nodes.map((one) => box(one, place.get(one.id), boxWidth, one.id === current, choose)));
  return h("div", { class: "graph-frame" }, drawing);
}

function edge(from, to, boxWidth) {
  const [x1, y1, x2, y2] = [from.x + boxWidth, from.y + BOX.height / 2, to.x, to.y + BOX.height / 2];
  const middle = (x1 + x2) / 2;
  return svg("path", { class: "edge", d: `M${x1},${y1} C${middle},${y1} ${middle},${y2} ${x2},${y2}` });
}

function box(one, at, width, current, choose) {
  const node = svg("g", {
    class: `node ${family(one.state)} ${current ? "current" : ""}`,
    transform: `translate(${at.x} ${at.y})`,
    tabindex: "0",
    role: "button",
    "aria-label": `${one.title}, ${one.state}`,
  },
    svg("rect", { width, height: BOX.height, rx: 6 }),
    svg("circle", { cx: 12, cy: 15, r: 4 }),
    svg("text", { x: 22, y: 19, class: "node-title" }, cut(one.title, Math.floor((width - 28) / 8.2))),
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
