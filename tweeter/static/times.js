// Times in the viewer's own language, and zone unless UTC was chosen; the ISO form stays in the
// title. And the time until something happens, counted down.

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

const full = clock({ dateStyle: "medium", timeStyle: "medium" });

export function localise(root) {
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
