// The table of streams, drawn as templates/parts.html draws it: on the live page and on sources.

import { countDown, localise } from "./times.js";
import { heard, say } from "./words.js";

export const STATES = {
  live: "●", waiting: "◌", down: "▲", limited: "▲", needs_attention: "■", off: "○",
  done: "✓", failed: "■",
};

function cell(name, className, ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

// Moments come as ISO 8601 from the API and as microseconds with the live posts.
function time(value, className = "") {
  const moment = new Date(typeof value === "number" ? value / 1000 : value);
  const node = cell("time", className);
  node.dateTime = node.title = `${moment.toISOString().slice(0, 19)}Z`;
  return node;
}

// A text with nodes in the places of its values.
function between(text, nodes) {
  return text.split(/\{(\w+)\}/).map((part, n) => (n % 2 ? nodes[part] : part));
}

function words(stream) {
  const text = stream.retry_at ? say("since {moment}, next try {next}") : say("since {moment}");
  const next = stream.retry_at ? time(stream.retry_at, "countdown") : "";
  const hint = cell("span", "hint", ...between(text, { moment: time(stream.since), next }));
  return cell("td", "words", heard(stream.words), " ", hint);
}

function row(stream) {
  const link = cell("a", "", cell("bdi", "", stream.name));
  link.href = `/sources/${stream.name.split("/").map(encodeURIComponent).join("/")}`;
  const name = cell("th", "", link);
  name.scope = "row";
  const mark = cell("span", "", STATES[stream.state] ?? "·");
  mark.ariaHidden = "true";
  const state = cell("span", `state state-${stream.state}`, mark, ` ${say(stream.state.replaceAll("_", " "))}`);
  const stored = cell("td", "number", stream.counts.stored.toLocaleString("en"));
  stored.dataset.label = say("Stored");
  const node = cell("tr", "", name, cell("td", "", state), stored, words(stream));
  localise(node);
  countDown(node);
  return node;
}

let newest = null; // of a table that is out of sight
let isSeen = false;

function fill(streams) {
  const body = document.querySelector("#streams tbody");
  if (streams.length === 0 || body.contains(document.activeElement)) return; // keep the focus
  body.replaceChildren(...streams.map(row));
}

const table = document.getElementById("streams");
if (table) {
  new IntersectionObserver((entries) => {
    isSeen = entries.at(-1).isIntersecting;
    if (isSeen && newest) fill(newest);
    newest = null;
  }).observe(table);
}

// The counts change every second: the rows are made where one can see them.
export function draw(streams, warning) {
  const place = document.getElementById("warning");
  const words = heard(warning);
  if (place.textContent !== words) place.textContent = words;
  if (place.hidden !== !warning) place.hidden = !warning;
  if (isSeen) fill(streams);
  else newest = streams;
}
