// The live page: new posts come over server-sent events and are put on top. While the reader is
// further down, hovers or holds the page, they wait behind a button: nothing moves under the eye.

import { bury, card } from "./card.js";
import { STATES, draw } from "./streams.js";

const SHOWN = 100; // cards kept in the page
const DEAD_MS = 30_000; // a line without a beat for so long is not up

const feed = document.getElementById("feed");
const lamp = document.getElementById("lamp");
const hold = document.getElementById("hold");
const more = document.getElementById("waiting");
const nothing = document.getElementById("nothing");
const names = JSON.parse(document.getElementById("names").textContent);

let waiting = []; // posts not shown yet, oldest first
let held = false;
let heardAt = Date.now();
let line = null;
let position = feed.dataset.after;

function say(state, words) {
  lamp.className = `state state-${state}`;
  lamp.textContent = `${STATES[state]} ${words}`;
}

function isBusy() {
  return held || window.scrollY > 120 || feed.matches(":focus-within");
}

function show() {
  const fresh = waiting.splice(0).slice(-SHOWN);
  if (fresh.length === 0) return;
  const nodes = fresh.reverse().filter((post) => !document.getElementById(`p${post.id}`));
  feed.prepend(...nodes.map((post) => card(post, names)));
  feed.removeAttribute("aria-busy"); // an empty feed is one that is still being filled
  while (feed.children.length > SHOWN) feed.lastElementChild.remove();
  nothing.hidden = feed.children.length > 0;
}

function offer() {
  more.hidden = waiting.length === 0;
  more.textContent = `${waiting.length} new ${waiting.length === 1 ? "post" : "posts"}`;
}

let pending = 0;
function refresh() {
  if (pending) return;
  pending = window.setTimeout(() => {
    pending = 0;
    if (!isBusy()) show();
    offer();
  }, 50); // several posts of one moment make one change of the page
}

function follows(post) {
  return !feed.dataset.keyword || post.keywords.includes(Number(feed.dataset.keyword));
}

const acts = {
  post(post) {
    waiting = waiting.filter((other) => other.id !== post.id);
    waiting.push(post);
    if (waiting.length > 1000) waiting.shift();
  },
  edit(post) {
    waiting = waiting.map((other) => (other.id === post.id ? post : other));
    const old = document.getElementById(`p${post.id}`);
    if (old && follows(post)) old.replaceWith(card(post, names));
    else if (old) old.remove();
  },
  remove(gone) {
    waiting = waiting.filter((other) => other.id !== gone.id);
    const old = document.getElementById(`p${gone.id}`);
    if (old) bury(old, "Removed by its author or network.");
  },
};

function heard(event) {
  heardAt = Date.now();
  if (event.lastEventId) position = event.lastEventId;
  say("live", held ? "Held: new posts wait" : "Connected");
}

function connect() {
  if (line) line.close();
  const query = new URLSearchParams({ after: position });
  if (feed.dataset.keyword) query.set("keyword", feed.dataset.keyword);
  line = new EventSource(`/live/stream?${query}`);
  heardAt = Date.now();
  for (const [kind, act] of Object.entries(acts)) {
    line.addEventListener(kind, (event) => {
      heard(event);
      act(JSON.parse(event.data));
      refresh();
    });
  }
  for (const kind of ["beat", "position"]) line.addEventListener(kind, heard);
  line.addEventListener("streams", (event) => {
    heard(event);
    const overview = JSON.parse(event.data);
    draw(overview.streams, overview.warning);
  });
  line.addEventListener("reload", () => {
    line.close();
    say("down", "This page was away for too long: reload it to see what came meanwhile.");
    window.clearInterval(watch);
  });
  line.addEventListener("error", () => {
    const last = new Date(heardAt).toLocaleTimeString();
    say("down", `Connection lost, last heard ${last}. Trying again; nothing will be missed.`);
  });
}

// The browser reconnects by itself after an error it sees; a line that merely falls silent
// (a laptop that slept) it does not see.
const watch = window.setInterval(() => {
  if (line.readyState === EventSource.CLOSED || Date.now() - heardAt > DEAD_MS) connect();
}, 5_000);

hold.hidden = false;
hold.addEventListener("click", () => {
  held = !held;
  hold.setAttribute("aria-pressed", String(held));
  hold.textContent = held ? "Resume" : "Hold";
  say("live", held ? "Held: new posts wait" : "Connected");
  refresh();
});
more.addEventListener("click", () => {
  show();
  offer();
  window.scrollTo({ top: 0 });
});
window.addEventListener("scroll", refresh, { passive: true });
document.getElementById("keyword").addEventListener("change", (event) => event.target.form.submit());

say("waiting", "Connecting");
connect();
