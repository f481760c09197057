// The engine's words for states, as a chip in the colour of their family.

import { h } from "./dom.js";

export function chip(state) {
  return h("span", { class: `chip-state ${family(state)}` }, state.replaceAll("_", " "));
}

export function family(state) {
  if (/completed|active|succeeded|passed|resolved/.test(state)) return "good";
  if (/fail|abort|error|lost/.test(state)) return "bad";
  if (/running|progress|provision|verifying|claimed|updating|upgrading|decommissioning$/.test(state)) return "busy";
  if (/wait|retry|ticket|manual|approval/.test(state)) return "waits";
  return "idle";
}
