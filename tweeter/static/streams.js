// The table of streams, drawn as templates/parts.html draws it: on the live page and on sources.

import { clock, countDown, localise } from "./times.js";
import { heard, say } from "./words.js";

export const STATES = {
  live: "●", waiting: "◌", down: "▲", limited: "▲", needs_attention: "■", off: "○",
  done: "✓", failed: "■",
};

const NAMES = { x: "X", bluesky: "Bluesky", mastodon: "Mastodon" };
const BROKEN = {
  down: "{stream} is down since {time}", needs_attention: "{stream} needs attention since {time}",
};
const COMING = ["live", "limited", "waiting"];
const FEW = 2; // broken ones that are named
const today = clock({ timeStyle: "short" });
const earlier = clock({ dateStyle: "medium", timeStyle: "short" });

let latest = []; // states of the streams, as they were last told

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
  const parts = stream.name.split(/(?<=\/)/).flatMap((part, n) => (n ? [cell("wbr"), part] : [part]));
  const link = cell("a", "", cell("bdi", "", ...parts)); // it breaks after its network
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

// Where those are that were read to their end: folded, a table like the other one.
function folded(table) {
  const own = table.cloneNode(true);
  own.hidden = false;
  const details = cell("details", "rest", cell("summary"), own);
  table.after(details);
  return details;
}

function fill(streams) {
  if (streams.length === 0) return;
  const table = place.querySelector("table");
  const others = streams.filter(({ state }) => state !== "done");
  const ended = streams.filter(({ state }) => state === "done");
  let details = place.querySelector("details");
  const words = say("Files read to their end: {count}", { count: ended.length.toLocaleString("en") });
  if (ended.length === 0) details?.remove();
  else if (details?.firstElementChild.textContent !== words) { // they change no more
    details ??= folded(table);
    details.firstElementChild.textContent = words;
    details.querySelector("tbody").replaceChildren(...ended.map(row));
  }
  const [body] = table.tBodies;
  if (body.contains(document.activeElement)) return; // keep the focus
  table.hidden = others.length === 0;
  body.replaceChildren(...others.map(row));
}

const place = document.getElementById("streams");
if (place) {
  new IntersectionObserver((entries) => {
    isSeen = entries.at(-1).isIntersecting;
    if (isSeen && newest) fill(newest);
    newest = null;
  }).observe(place);
}

// What does not come of these networks at present; "" if all comes. A file may be of any network.
export function missing(networks) {
  if (latest.length === 0) return ""; // nothing is known of them
  const mine = latest.filter(({ network }) => networks.includes(network));
  const broken = mine.filter(({ state }) => state in BROKEN);
  const comes = [...mine, ...latest.filter(({ network }) => network === "replay")]
    .some(({ state }) => COMING.includes(state));
  if (broken.length === 0) return comes ? "" : say("Nothing comes: no stream follows it");
  const streams = broken.length > FEW
    ? say("{count} streams are down", { count: broken.length }) : broken.map(since).join(", ");
  if (!comes) return say("Nothing comes: {streams}", { streams });
  return say("{streams}; what comes of the others is shown", { streams });
}

function since({ name, state, since: at }) {
  const moment = new Date(at / 1000);
  const isToday = moment.toDateString() === new Date().toDateString();
  return say(BROKEN[state], { stream: NAMES[name] ?? name, time: (isToday ? today : earlier).format(moment) });
}

// The counts change every second: the rows are made where one can see them.
export function draw(streams, warning) {
  latest = streams;
  const ribbon = document.querySelector(".ribbon");
  if (ribbon && streams.length > 0) ribbon.hidden = !streams.some(({ network }) => network === "demo");
  const ground = document.getElementById("warning");
  const words = heard(warning);
  if (ground.textContent !== words) ground.textContent = words;
  if (ground.hidden !== !warning) ground.hidden = !warning;
  if (isSeen) fill(streams);
  else newest = streams;
}
