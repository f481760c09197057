// Slack's mrkdwn to nodes. Slack's text holds `&amp;`, `&lt;`, `&gt;` for the characters
// themselves; a bare `<...>` is a link or a mention. Everything else becomes text nodes.

import { h } from "./dom.js";
import { withEmoji } from "./emoji.js";

const SAFE_LINK = /^(https?:|mailto:)/i;

export function mrkdwn(text, names, { emoji = true, verbatim = false } = {}) {
  const nodes = [];
  for (const [index, part] of text.split(/```\n?/).entries()) {
    if (index % 2 === 1) nodes.push(h("pre", {}, h("code", {}, plainOf(part.replace(/\n$/, "")))));
    else nodes.push(...paragraphs(part, names, { emoji, verbatim }));
  }
  return nodes;
}

export function plainText(object) {
  return object.emoji === false ? object.text : withEmoji(object.text);
}

export function textObject(object, names) {
  if (object.type === "plain_text") return lines([plainText(object)]);
  return mrkdwn(object.text, names, { verbatim: object.verbatim === true });
}

export function unescape(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

function plainOf(text) {
  return unescape(text.replace(/<((?:https?:|mailto:|[@#!])[^<>|]*)(?:\|([^<>]*))?>/g, (_, target, label) => label || target));
}

function paragraphs(text, names, how) {
  const nodes = [];
  let quote = null;
  const all = text.split("\n");
  for (const [index, line] of all.entries()) {
    const quoted = /^(?:&gt;|>) ?(?!\S*\|)(.*)$/.exec(line);
    if (quoted) {
      if (quote === null) nodes.push((quote = h("blockquote")));
      else quote.append(h("br"));
      quote.append(...inline(quoted[1], names, how));
      continue;
    }
    const afterQuote = quote !== null;
    quote = null;
    nodes.push(...inline(line, names, how));
    if (index < all.length - 1 && !(afterQuote && line === "")) nodes.push(h("br"));
  }
  return nodes;
}

const INLINE = new RegExp(
  [
    "`([^`\\n]+)`",
    "<([^<>\\n]+)>",
    "(?<![\\p{L}\\p{N}*])\\*(?=\\S)([^*\\n]+?)(?<=\\S)\\*(?![\\p{L}\\p{N}*])",
    "(?<![\\p{L}\\p{N}_])_(?=\\S)([^_\\n]+?)(?<=\\S)_(?![\\p{L}\\p{N}_])",
    "(?<![\\p{L}\\p{N}~])~(?=\\S)([^~\\n]+?)(?<=\\S)~(?![\\p{L}\\p{N}~])",
  ].join("|"),
  "gu",
);

function inline(text, names, how) {
  const nodes = [];
  let at = 0;
  const plain = (part) => part && nodes.push(...linked(part, how));
  for (const match of text.matchAll(INLINE)) {
    plain(text.slice(at, match.index));
    at = match.index + match[0].length;
    const [, code, angled, bold, italic, strike] = match;
    if (code != null) nodes.push(h("code", {}, plainOf(code)));
    else if (angled != null) nodes.push(angle(angled, names));
    else if (bold != null) nodes.push(h("strong", {}, ...inline(bold, names, how)));
    else if (italic != null) nodes.push(h("em", {}, ...inline(italic, names, how)));
    else nodes.push(h("s", {}, ...inline(strike, names, how)));
  }
  plain(text.slice(at));
  return nodes;
}

// Slack makes links of bare addresses, unless the text is verbatim.
function linked(text, { emoji, verbatim }) {
  if (verbatim) return [unescape(emoji ? withEmoji(text) : text)];
  return text.split(/(https?:\/\/[^\s<>|`]*[^\s<>|`.,;:!?'")\]*_~])/).map((part, index) =>
    index % 2 ? link(unescape(part), unescape(part)) : unescape(emoji ? withEmoji(part) : part));
}

function angle(content, names) {
  const [target, label] = content.split(/\|(.*)/s);
  if (target.startsWith("@")) return mention(`@${names.person(target.slice(1)) ?? label ?? target.slice(1)}`);
  if (target.startsWith("#")) return mention(`#${label || names.channel(target.slice(1)) || target.slice(1)}`);
  if (target.startsWith("!date^")) return h("time", {}, date(target, label));
  if (target.startsWith("!subteam^")) return mention(label || "@team");
  if (target.startsWith("!")) return mention(`@${target.slice(1)}`);
  if (!SAFE_LINK.test(target)) return unescape(`<${content}>`);
  return link(unescape(target), withEmoji(unescape(label || target)));
}

export function link(address, label) {
  if (!SAFE_LINK.test(address)) return label;
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, label);
}

function mention(name) {
  return h("span", { class: "mention" }, name);
}

function date(target, fallback) {
  const [, seconds, format = ""] = target.split("^");
  const when = new Date(Number(seconds) * 1000);
  if (Number.isNaN(when.getTime())) return unescape(fallback ?? "");
  const day = when.toLocaleDateString([], { year: "numeric", month: "long", day: "numeric" });
  const shortDay = when.toLocaleDateString([], { year: "numeric", month: "short", day: "numeric" });
  const time = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return format
    .replace(/\{date_num\}/g, when.toISOString().slice(0, 10))
    .replace(/\{date_short(?:_pretty)?\}/g, shortDay)
    .replace(/\{date(?:_long)?(?:_pretty)?\}/g, day)
    .replace(/\{time(?:_secs)?\}/g, time);
}

function lines(parts) {
  return parts.flatMap((part) => part.split("\n").flatMap((line, index) => (index ? [h("br"), line] : [line])));
}
