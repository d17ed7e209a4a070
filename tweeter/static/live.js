// The live deck: its columns, the line they share, what is said of both, and changes in place.

import { Column } from "./column.js";
import { keep } from "./kept.js";
import { listen } from "./keys.js";
import { Line } from "./line.js";
import { Pace } from "./pace.js";
import { STATES, draw as drawStreams } from "./streams.js";
import { clock } from "./times.js";
import { say } from "./words.js";

const QUIET = ["position", "streams", "beat"]; // events that bring no column anything
const SAY_MS = 10_000; // and are said at most so often
const GREEN_MS = 30_000; // as long after a beat
const BATCHES_MS = 150; // in a flood more comes before that

const place = document.getElementById("deck");
const lamp = document.getElementById("lamp");
const said = document.getElementById("said");
const tabs = document.querySelector(".tabs");
const form = document.getElementById("change");
const exact = clock({ timeStyle: "medium" });

let pointed = null;
let lastPostAt = 0;
let awayUntil = 0; // the feed's number up to which posts came while the line was down
let wasLost = false;
const pace = new Pace();
let flushing = 0; // the timer
let flushAt = 0;

const deck = {
  names: JSON.parse(document.getElementById("names").textContent),
  every: place.dataset.every === "1",
  wall: place.dataset.wall === "1",
  columns: [],
  isCut: false, // the line is lost: no column follows
  of: (node) => deck.columns.find((column) => column.section.contains(node)) ?? null,
  current: () => deck.of(document.activeElement) ?? pointed ?? deck.columns[0],
  settle: () => refresh(),
  share: () => pace.share(),

  point(column) {
    if (pointed === column) return;
    pointed?.section.classList.remove("current");
    pointed = column;
    column.section.classList.add("current");
  },

  go(number) {
    const column = deck.columns[number];
    if (!column) return;
    deck.point(column);
    column.section.scrollIntoView({ inline: "nearest", block: "nearest" });
    column.section.querySelector("h2").focus({ preventScroll: true });
  },

  toggle() { // the column one is in; all of them while one is in none
    const mine = deck.of(document.activeElement) ?? pointed;
    if (mine) mine.toggle();
    else {
      const held = deck.columns.some((column) => column.why());
      for (const column of deck.columns) if (Boolean(column.why()) === held) column.toggle();
    }
  },

  leave(forwards) {
    const target = forwards ? document.querySelector(".below a") : document.getElementById("help");
    target?.focus();
  },

  isSeen(column) {
    if (document.hidden) return false;
    const [mine, all] = [column.section.getBoundingClientRect(), place.getBoundingClientRect()];
    return mine.left < all.right - 40 && mine.right > all.left + 40;
  },

  count(column, number) {
    const tab = tabs.children[deck.columns.indexOf(column)];
    const place = tab?.querySelector(".count");
    const words = number > 0 ? String(number) : "";
    if (!place || place.textContent === words) return;
    place.textContent = words;
    tab.querySelector(".news").textContent = words && say("{count} new", { count: words });
  },

  link(of) {
    const [kind, id] = of.split(":");
    if (kind !== "keyword" && kind !== "tag") return null;
    const link = document.createElement("a");
    link.href = kind === "tag" ? `/search?tag=${encodeURIComponent(id)}` : `/keywords/${id}`;
    link.textContent = kind === "tag" ? say("the search for it") : say("the keyword's page");
    return link;
  },
};

deck.columns = [...place.children].map((section) => new Column(section, deck));

// What the line brings.

function flush() { // what is measured is measured first: the layout is made once, when all is in the page
  flushing = 0;
  pace.begin();
  for (const column of deck.columns) column.look();
  const shows = deck.columns.map((column) => column.flush());
  if (shows.includes(true)) pace.end();
}

function refresh() { // of a flood it is drawn when more has just come: that is newer than what waits
  const isFlood = deck.columns.every((column) => column.oneIn() > 1);
  const waitMs = pace.waitMs(isFlood);
  const at = performance.now() + waitMs + (isFlood && waitMs > 0 ? BATCHES_MS : 0);
  if (flushing && flushAt <= at) return;
  window.clearTimeout(flushing);
  flushAt = at;
  flushing = window.setTimeout(flush, at - performance.now());
}

let isAsked = false;
function refreshSoon() { // once for all that comes in one event
  if (isAsked) return;
  isAsked = true;
  queueMicrotask(() => {
    isAsked = false;
    refresh();
  });
}

const acts = {
  post({ post, fold }, seq, filters) {
    lastPostAt = Date.now();
    for (const column of deck.columns) {
      if (filters.includes(column.filter)) column.take(post, fold, seq, seq <= awayUntil);
    }
  },
  edit({ post, fold }, _, filters) {
    for (const column of deck.columns) column.edit(post, fold, filters.includes(column.filter));
  },
  remove({ post }) {
    for (const column of deck.columns) column.remove(post.id);
  },
  hello({ head }) {
    if (wasLost) awayUntil = head;
    wasLost = false;
  },
  missed({ after, until, posts, whole }) {
    if (until <= after) return;
    const gap = { missed: true, count: posts, whole, after, before: until + 1 };
    for (const column of deck.columns) column.gap({ ...gap });
  },
  reload() { window.location.reload(); }, // what it shows is of another database
  trouble({ words }, _, filters) {
    for (const column of deck.columns) column.stop(words[filters.indexOf(column.filter)]);
  },
  keywords({ states }, _, filters) {
    for (const column of deck.columns) column.rest(states[filters.indexOf(column.filter)]);
  },
  streams({ streams, warning }) { drawStreams(streams, warning); },
};

function told(kind, data, seq, filters) {
  acts[kind]?.(data, seq, filters);
  if (awayUntil && seq >= awayUntil) {
    for (const column of deck.columns) column.back();
    awayUntil = 0;
  }
  if (!QUIET.includes(kind)) refreshSoon();
}

// The lamp.

function shine(state, words) {
  const text = `${STATES[state]} ${words}`;
  if (lamp.textContent === text) return;
  lamp.className = `state state-${state}`;
  lamp.textContent = text;
}

let announced = true;
function changed(line) {
  deck.isCut = Boolean(line.lostAt) && !line.up;
  if (line.up && Date.now() - line.heardAt < GREEN_MS) {
    shine("live", say("Connected"));
    if (!announced) said.textContent = say("The line is up again.");
    announced = true;
  } else if (line.lostAt && !line.up) {
    wasLost = true;
    const wait = Math.max(0, Math.ceil((line.retryAt - Date.now()) / 1000));
    const lost = say("Connection lost {time}", { time: exact.format(line.lostAt) });
    const last = lastPostAt ? [say("last post {time}", { time: exact.format(lastPostAt) })] : [];
    const next = wait > 0 ? say("retry in {seconds} s", { seconds: wait }) : say("trying again");
    shine("down", [lost, ...last, next].join(", "));
    if (announced) said.textContent = say("The line is down; what comes meanwhile is fetched later.");
    announced = false;
  } else shine("waiting", say("Connecting"));
}

changed({ up: false, lostAt: 0 });
const line = new Line(
  [...new Set(deck.columns.map((column) => column.filter))], Number(place.dataset.after), told, changed,
);

window.setInterval(() => {
  for (const column of deck.columns) {
    if (deck.isSeen(column)) column.unread = 0;
    if (column.waiting.length > 0 || column.passed) refresh();
    if (!column.isNumbered) column.number();
    if (!flushing) column.draw();
  }
}, 1000);

document.addEventListener("visibilitychange", refresh);

window.setInterval(() => { // counts only, for who hears the page
  const news = deck.columns.filter((column) => column.news > 0);
  if (news.length > 0) {
    const words = news.map(({ news: count, title }) => say("{count} new in {column}", { count, column: title }));
    said.textContent = words.join(", ");
  }
  for (const column of news) column.news = 0;
}, SAY_MS);

// Tabs of a narrow screen.

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const at = deck.columns.findIndex((column) => column.section === target);
    if (!isIntersecting || !tabs.children[at]) continue;
    [...tabs.children].forEach((tab, n) => (n === at ? tab.setAttribute("aria-current", "true") : tab.removeAttribute("aria-current")));
  }
}, { root: place, threshold: 0.6 });
for (const column of deck.columns) seen.observe(column.section);
tabs.addEventListener("click", (event) => {
  const tab = event.target.closest("a");
  if (!tab) return;
  event.preventDefault();
  const column = deck.columns[[...tabs.children].indexOf(tab)];
  place.scrollTo({ left: column.section.offsetLeft - place.offsetLeft, behavior: "instant" });
  deck.point(column);
});

// Changes in place: the same forms, without a new page.

function number() {
  deck.columns.forEach((column, n) => {
    for (const button of column.section.querySelectorAll("button[form='change']")) {
      button.value = `${button.value.split(":")[0]}:${n + 1}`;
    }
  });
}

function move(from, to) {
  if (from === to || to < 0 || to >= deck.columns.length) return;
  const order = deck.columns.map((_, n) => n + 1);
  order.splice(to, 0, order.splice(from, 1)[0]);
  const [column] = deck.columns.splice(from, 1);
  deck.columns.splice(to, 0, column);
  const kept = deck.columns.map((one) => one.scroller.scrollTop);
  place.insertBefore(column.section, place.children[to + (to > from ? 1 : 0)] ?? null);
  tabs.insertBefore(tabs.children[from], tabs.children[to + (to > from ? 1 : 0)] ?? null);
  deck.columns.forEach((one, n) => { one.scroller.scrollTop = kept[n]; });
  keep(`order:${order.join(",")}`);
  number();
}

const changes = {
  left: (at) => move(at, at - 1),
  right: (at) => move(at, at + 1),
  remove(at) {
    if (deck.columns.length === 1) return;
    keep(`remove:${at + 1}`);
    const [column] = deck.columns.splice(at, 1);
    column.section.remove();
    tabs.children[at].remove();
    tabs.hidden = deck.columns.length < 2;
    line.want([...new Set(deck.columns.map((one) => one.filter))]);
    number();
    deck.go(Math.max(0, at - 1));
  },
};
for (const width of ["s", "m", "l"]) {
  changes[width] = (at) => {
    const { classList } = deck.columns[at].section;
    classList.remove("width-s", "width-m", "width-l");
    classList.add(`width-${width}`);
    keep(`${width}:${at + 1}`);
  };
}

form.addEventListener("submit", (event) => {
  const [act, at] = (event.submitter?.value ?? "").split(":");
  if (!(act in changes)) return;
  event.preventDefault();
  changes[act](Number(at) - 1);
  const menu = event.submitter.closest("details");
  if (menu && act !== "remove") {
    if (["left", "right"].includes(act)) event.submitter.focus();
    else menu.open = true;
  }
});

let dragged = -1;
for (const head of place.querySelectorAll(".head")) {
  head.draggable = true;
  head.addEventListener("dragstart", (event) => {
    dragged = deck.columns.indexOf(deck.of(head));
    event.dataTransfer.setData("text/plain", "column");
    event.dataTransfer.effectAllowed = "move";
  });
  head.addEventListener("dragend", () => {
    dragged = -1;
    for (const one of deck.columns) one.section.classList.remove("dropping");
  });
}
place.addEventListener("dragover", (event) => {
  const over = deck.of(event.target);
  if (dragged < 0 || !over) return;
  event.preventDefault();
  for (const one of deck.columns) one.section.classList.toggle("dropping", one === over);
});
place.addEventListener("drop", (event) => {
  const over = deck.of(event.target);
  if (dragged < 0 || !over) return;
  event.preventDefault();
  move(dragged, deck.columns.indexOf(over));
});

document.addEventListener("click", (event) => { // an open menu closes when one goes elsewhere
  for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.getElementById("keymap").open) return;
  const menu = document.querySelector(".menu[open]");
  const leave = document.querySelector("#edit .leave-it");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  } else if (leave) leave.click();
  else return;
  event.preventDefault();
}, true);

listen(deck);
