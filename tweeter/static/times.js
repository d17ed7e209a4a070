// Times in the viewer's own zone and language, the ISO form stays in the title; and the time
// until something happens, counted down.

import { say } from "./words.js";

const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]:not(.countdown)")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) time.textContent = format.format(moment);
  }
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
