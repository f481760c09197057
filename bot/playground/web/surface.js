// One place where an app's blocks stand: a message, a modal, or the Home. It keeps the draft: what
// was typed and chosen here and not sent yet, by block_id and action_id, as Slack's client does.

import { act } from "./server.js";

const KEYS = [
  "value", "selected_option", "selected_options", "selected_user", "selected_users", "selected_channel",
  "selected_channels", "selected_conversation", "selected_conversations", "selected_date", "selected_time",
  "selected_date_time",
];

const drafts = new Map();

export class Surface {
  // `address` says which surface in calls ({view} or {channel, message}); `state` is state.values.
  constructor({ id, address, state, context, submit }) {
    this.address = address;
    this.state = state;
    this.context = context;
    this.names = context.names;
    this.submit = submit;
    const key = `${context.user}/${id}`;
    if (!drafts.has(key)) drafts.set(key, new Map());
    this.draft = drafts.get(key);
  }

  people() {
    return this.context.people;
  }

  channels() {
    return this.context.channels.filter((channel) => !channel.person);
  }

  given(block, item) {
    const kept = this.draft.get(`${block.block_id}/${item.action_id}`);
    if (kept && kept.type === item.type) return kept.given;
    const entry = this.state?.[block.block_id]?.[item.action_id];
    const key = entry && KEYS.find((name) => name in entry);
    return key ? entry[key] : null;
  }

  keep(block, item, given) {
    this.draft.set(`${block.block_id}/${item.action_id}`, { type: item.type, given });
  }

  // Values of fields that are still here; what went away with an update is dropped.
  values(blocks) {
    const present = new Set(blocks.flatMap((block) =>
      [block.element, block.accessory, ...(block.type === "actions" ? block.elements : [])]
        .filter(Boolean).map((item) => `${block.block_id}/${item.action_id} ${item.type}`)));
    for (const [key, { type }] of this.draft) if (!present.has(`${key} ${type}`)) this.draft.delete(key);
    return Object.fromEntries([...this.draft].map(([key, { given }]) => [key, given]));
  }

  act(block, item, value) {
    return this.context.attempt(() => act("click", {
      user: this.context.user,
      ...this.address,
      values: this.values(this.blocks),
      block_id: block.block_id,
      action_id: item.action_id,
      value,
    }));
  }

  suggest(block, item, text) {
    return this.context.attempt(() => act("suggest", {
      user: this.context.user, ...this.address, block_id: block.block_id, action_id: item.action_id, text,
    }));
  }

  over(blocks) {
    this.blocks = blocks;
    return this;
  }
}
