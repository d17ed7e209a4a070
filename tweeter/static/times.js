// Times in the viewer's own language, and zone unless UTC was chosen; the ISO form stays in the
// title. Words that the server wrote with moments in them, and stay its own in UTC. And the time
// until something happens, counted down.

import { say } from "./words.js";

const wanted = () => document.cookie.split("; ").includes("tweeter_times=utc");
let inUtc = wanted();

export const isUtc = () => inUtc;

// Writes moments in the zone of the moment it is asked. style: options of Intl.DateTimeFormat.
export function clock(style) {
  const own = new Intl.DateTimeFormat(undefined, style);
  const utc = new Intl.DateTimeFormat(undefined, { ...style, timeZone: "UTC" });
  return { format: (moment) => (inUtc ? `${utc.format(moment)} UTC` : own.format(moment)) };
}

export const full = clock({ dateStyle: "medium", timeStyle: "medium" });

// How far the viewer's clock is ahead of UTC at a moment; both in seconds.
export const offset = (at) => -60 * new Date(at * 1000).getTimezoneOffset();

// What the zone is called that moments are shown in: by its hours where they are the same at all of
// these (seconds), else as a place.
export function zoneName(...moments) {
  const hours = new Set(moments.map(offset));
  if (inUtc || [...hours].every((one) => one === 0)) return "UTC";
  if (hours.size > 1) return new Intl.DateTimeFormat().resolvedOptions().timeZone;
  const parts = new Intl.DateTimeFormat("en", { timeZoneName: "shortOffset" }).formatToParts(moments[0] * 1000);
  return parts.find((part) => part.type === "timeZoneName").value;
}

const written = new WeakMap(); // element: the words the server wrote, by attribute ("": in it)

// Words of an element or, with a name, of its attribute: as the server wrote them, or what `own` makes of those.
export function write(element, name, own, isOwn = !inUtc) {
  if (!written.has(element)) written.set(element, {});
  const kept = written.get(element);
  kept[name] ??= name ? element.getAttribute(name) : element.textContent;
  const words = isOwn ? own(kept[name]) : kept[name];
  if (name) element.setAttribute(name, words);
  else element.textContent = words;
}

const MOMENT = /\d+ [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d UTC/g; // views/show.py: clock
const inOwnZone = (words) => words.replace(MOMENT, (moment) => full.format(new Date(moment)));

export function localise(root) {
  for (const words of root.querySelectorAll("[data-moments]")) write(words, words.dataset.moments, inOwnZone);
  for (const time of root.querySelectorAll("time[datetime]:not(.countdown)")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) time.textContent = full.format(moment);
  }
}

// What was chosen, also in another tab meanwhile: all times of the page are written in it.
export function setZone() {
  if (inUtc !== wanted()) {
    inUtc = !inUtc;
    localise(document);
    document.dispatchEvent(new Event("zone"));
  }
  return inUtc;
}

export function left(ms) {
  const seconds = Math.ceil(ms / 1000);
  if (seconds <= 0) return say("now");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  if (hours > 0) return say("in {hours} h {minutes} min", { hours, minutes });
  if (minutes > 0) return say("in {minutes} min {seconds} s", { minutes, seconds: seconds % 60 });
  return say("in {seconds} s", { seconds });
}

export function countDown(root) {
  for (const time of root.querySelectorAll("time.countdown")) {
    const moment = new Date(time.dateTime).getTime();
    if (!Number.isNaN(moment)) time.textContent = left(moment - Date.now());
  }
}

localise(document);
countDown(document);
window.setInterval(() => countDown(document), 1000);
