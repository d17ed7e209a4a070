// The volume chart by hand: what a bar stands for, its posts, zooming by dragging, keys. Every way
// also exists as a link or a field; without this file the page is whole.

import { ask } from "./ask.js";
import { drawZones } from "./axes.js";
import { isOn } from "./frame.js";
import "./pick.js";
import { clock, localise } from "./times.js";
import { say } from "./words.js";

const KEYS = { "[": "earlier", "]": "later", "-": "wider", "+": "closer" };
const minute = clock({ dateStyle: "medium", timeStyle: "short" });
const map = document.getElementById("keymap");

let state = null; // of the chart that is in the page now
let told = null; // the bucket that the words below it are of

function read() {
  const figure = document.getElementById("volume");
  if (!figure) return null;
  const { since, size, count, from: begin, to: end } = figure.dataset;
  const data = JSON.parse(document.getElementById("volume-data").textContent);
  return {
    svg: figure.querySelector("svg.drawn"),
    brush: figure.querySelector(".brush"),
    readout: document.getElementById("readout"),
    since: Number(since),
    size: Number(size),
    count: Number(count),
    begin: Number(begin),
    end: Number(end),
    ...data,
  };
}

function bucketAt(event) {
  const box = state.svg.getBoundingClientRect();
  const share = (event.clientX - box.left) / box.width;
  return Math.min(Math.max(Math.floor(share * state.count), 0), state.count - 1);
}

// Where a bucket begins, or the one before it ends: the first and last are of the time shown alone.
function edge(bucket) {
  const at = state.since + bucket * state.size;
  return new Date(Math.min(Math.max(at, state.begin), state.end) * 1000);
}

function isUnknown(bucket) {
  return state.unknown.length > 0 && state.unknown.every((buckets) => buckets.includes(bucket));
}

function tell(bucket) {
  told = bucket;
  const parts = state.names
    .map((name, n) => [name, state.posts[n][bucket], state.index[n]?.[bucket]])
    .filter(([, posts]) => posts > 0)
    .map(([name, posts, index]) => {
      const said = posts.toLocaleString();
      return index === undefined ? `${name} ${said}` : `${name} ${index.toFixed(1)} (${said})`;
    });
  const none = isUnknown(bucket) ? say("nothing is known") : say("no post");
  const words = `${minute.format(edge(bucket))}: ${parts.join(", ") || none}`;
  state.readout.textContent = words;
  state.svg.setAttribute("aria-valuenow", bucket);
  state.svg.setAttribute("aria-valuetext", words);
}

const iso = (bucket) => edge(bucket).toISOString().replace(".000Z", "Z");

// The search for the posts of a bar; "" where there is none, or it cannot be asked for.
function postsOf(bucket) {
  if (!state.bars || !state.totals[bucket]) return "";
  return `${state.bars}&since=${iso(bucket)}&until=${iso(bucket + 1)}`;
}

// A mouse goes to the posts at once. A finger does not point: it is told first what it pressed.
function press(bucket, pointer) {
  const address = postsOf(bucket);
  if (pointer === "mouse") {
    if (address) window.location.assign(address);
    return;
  }
  tell(bucket);
  if (!address) return;
  const link = document.createElement("a");
  link.href = address;
  link.textContent = say("Show its posts");
  state.readout.append(" ", link);
}

const SLIP_PX = 4; // a shorter drag is a press
let from = null; // bucket where a drag began
let fromX = 0;

function draw(bucket) {
  const [low, high] = [Math.min(from, bucket), Math.max(from, bucket) + 1];
  state.brush.setAttribute("x", `${(100 * low) / state.count}%`);
  state.brush.setAttribute("width", `${(100 * (high - low)) / state.count}%`);
  state.brush.removeAttribute("hidden");
  return [low, high];
}

const SLOW_MS = 300; // a faster answer needs no word
const LONGEST_MS = 2 ** 31 - 1; // a timer of more ends at once
const LEAST_S = 60;

let shown = window.location.search; // what the statistics in the page are of
let asking = null;
let ageing = 0;
let aged = null; // what is said of the age of the statistics

// A line above the statistics: what is going on with them, and the one thing to do about it.
function note(words, label = "", address = "") {
  const place = document.getElementById("statistics-note");
  aged = null;
  place.replaceChildren(words);
  if (label) {
    const link = document.createElement("a");
    link.href = address;
    link.textContent = label;
    place.append(" ", link);
  }
  place.hidden = !words;
}

function age(words, label, address) {
  const section = document.getElementById("statistics");
  const at = new Date(Number(section.dataset.asOf) * 1000);
  section.classList.add("stale");
  note(`${words} ${say("As of {time}.", { time: minute.format(at) })}`, label, address);
  aged = [words, label, address];
}

// What ends "now" grows old: after a bar's time it says so, and is not changed under the reader.
function watchAge() {
  window.clearTimeout(ageing);
  const section = document.getElementById("statistics");
  if (!section.dataset.running) return;
  const wait = Math.min(Math.max(state?.size ?? 0, LEAST_S) * 1000, LONGEST_MS);
  ageing = window.setTimeout(
    () => age(say("A newer bar has begun."), say("Show it"), window.location.href),
    wait,
  );
}

function replaced(page, address) {
  const fresh = page?.getElementById("statistics");
  if (!fresh) return false;
  const old = document.getElementById("statistics");
  const held = old.contains(document.activeElement) ? document.activeElement : null;
  keepNotes(old, fresh);
  swap(old, fresh);
  for (const id of ["seen", "posts"]) {
    const other = page.getElementById(id);
    const own = document.getElementById(id);
    if (own && other) swap(own, other);
  }
  if (address !== window.location.href) history.pushState({}, "", address);
  shown = window.location.search;
  localise(document);
  drawZones();
  begin();
  if (held) follow(held, fresh);
  const chart = fresh.querySelector("svg.drawn") ?? fresh.querySelector("#volume .empty");
  document.getElementById("statistics-said").textContent = chart?.ariaLabel ?? chart?.textContent ?? "";
  return true;
}

const FOLDS = "details.options, details.quality, details:has(table)";
const placed = (one) => {
  const place = one.closest("[id], [aria-label]");
  return `${place?.id || place?.ariaLabel} ${one.querySelector("summary").textContent}`;
};

// What was opened to be read stays open.
function swap(old, fresh) {
  const opened = [...old.querySelectorAll(FOLDS)].filter((one) => one.open).map(placed);
  old.replaceWith(fresh);
  for (const one of fresh.querySelectorAll(FOLDS)) if (opened.includes(placed(one))) one.open = true;
}

const ofNotes = (section) => [...section.querySelectorAll("#annotations form")];
const isTyped = (one) => one.value !== one.defaultValue || one.checked !== one.defaultChecked;

// A note that is being written, or was refused, goes along to the time that is shown next.
function keepNotes(old, fresh) {
  for (const form of ofNotes(old)) {
    const fields = [...form.querySelectorAll("input:not([type=hidden])")];
    const path = new URL(form.action).pathname;
    const next = ofNotes(fresh).find((one) => new URL(one.action).pathname === path);
    if (!next || !fields.some((one) => isTyped(one) || one.ariaInvalid)) continue;
    next.closest("details").open = true;
    for (const { name, value, checked } of fields) Object.assign(next.elements[name], { value, checked });
  }
}

const named = (one) => [one.localName, one.ariaLabel ?? one.textContent, one.closest("[aria-label]:not(a)")?.ariaLabel].join();

// What had the focus has it again, or the chart where that has gone: with the keys one goes on from there.
function follow(held, fresh) {
  const same = held.id ? document.getElementById(held.id)
    : [...fresh.querySelectorAll(held.localName)].find((one) => named(one) === named(held));
  const next = same ?? fresh.querySelector("svg.drawn") ?? fresh;
  if (next === fresh) fresh.tabIndex = -1;
  next.focus({ preventScroll: true });
}

async function go(address) {
  asking?.abort();
  const mine = (asking = new AbortController());
  const section = document.getElementById("statistics");
  section.setAttribute("aria-busy", "true");
  const slow = window.setTimeout(() => note(say("Loading …")), SLOW_MS);
  try {
    const { page } = await ask(address, { signal: mine.signal });
    if (!replaced(page, address)) window.location.assign(address); // the server says what is wrong
  } catch {
    if (mine.signal.aborted) return; // a newer one is asked for
    age(say("tweeter does not answer."), say("Try again"), address);
    section.removeAttribute("aria-busy");
  } finally {
    window.clearTimeout(slow);
  }
}

function zoom(low, high) {
  const address = new URL(window.location.href);
  for (const name of ["range", "bucket", "older"]) address.searchParams.delete(name);
  address.searchParams.set("from", iso(low));
  address.searchParams.set("to", iso(high));
  void go(address.href);
}

// With the keys the chart is a slider over its bars.
function steer(svg) {
  const last = state.count - 1;
  const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -last, End: last };
  const pick = (bucket) => {
    tell(Math.min(Math.max(bucket, 0), last));
    from = told;
    draw(told);
    from = null;
  };
  svg.setAttribute("role", "slider");
  svg.setAttribute("tabindex", "0");
  svg.setAttribute("aria-valuemin", "0");
  svg.setAttribute("aria-valuemax", last);
  svg.setAttribute("aria-valuenow", last);
  svg.addEventListener("blur", () => state.brush.setAttribute("hidden", ""));
  svg.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (event.key in steps) pick((told ?? last + 1) + steps[event.key]);
    else if (event.key === "Enter" && told !== null) press(told, "mouse");
    else return;
    event.preventDefault();
  });
}

function begin() {
  from = told = aged = null;
  state = read();
  if (!state) return;
  watchAge();
  const { svg } = state;
  steer(svg);
  svg.addEventListener("pointermove", (event) => {
    const bucket = bucketAt(event);
    tell(bucket);
    if (from !== null) draw(bucket);
  });
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest("a")) return;
    from = bucketAt(event);
    fromX = event.clientX;
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointerup", (event) => {
    if (from === null) return;
    const [low, high] = draw(bucketAt(event));
    from = null;
    state.brush.setAttribute("hidden", "");
    if (Math.abs(event.clientX - fromX) < SLIP_PX) press(bucketAt(event), event.pointerType);
    else if (high - low > 1) zoom(low, high);
  });
  svg.addEventListener("pointercancel", () => {
    from = null;
    state.brush.setAttribute("hidden", "");
  });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("#statistics a[href]");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
  if (!link || !plain || new URL(link.href).pathname !== window.location.pathname) return;
  if (link.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  void go(link.href);
});

function compare() {
  document.querySelector("#statistics details.options").open = true;
  document.querySelector("#statistics select[name=compare]").focus();
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  const link = document.getElementById(KEYS[event.key] ?? "");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!isOn() || map.open || event.defaultPrevented) return;
  if (!link && event.key !== "c") return;
  event.preventDefault();
  if (!link) return compare();
  void go(link.href);
});

document.addEventListener("zone", () => {
  if (told !== null) tell(told);
  if (aged) age(...aged);
});
window.addEventListener("popstate", () => { // not for a jump within the page
  if (window.location.search !== shown) window.location.reload();
});
begin();
