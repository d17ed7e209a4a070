// The sources page keeps itself up to date while it is looked at.

import { draw } from "./streams.js";
import { clock } from "./times.js";
import { say } from "./words.js";

const second = clock({ timeStyle: "medium" });

const EVERY_MS = 3_000;
const LONGEST_MS = 6_000; // an answer that takes longer is none: what is shown is old by then
const stale = document.getElementById("stale");
let since = new Date();
let isAsking = false;

function age(words) {
  stale.textContent = words;
  stale.hidden = !words;
  document.getElementById("fresh").classList.toggle("stale", Boolean(words));
}

async function ask() {
  if (document.hidden || isAsking) return;
  isAsking = true;
  try {
    const signal = AbortSignal.timeout(LONGEST_MS);
    const answer = await fetch("/api/v1/sources", { cache: "no-store", signal });
    if (!answer.ok) throw new Error(String(answer.status));
    const found = await answer.json();
    draw(found.sources, found.warning);
    since = new Date();
    if (stale.textContent) age("");
  } catch {
    age(`${say("tweeter does not answer.")} ${say("As of {time}.", { time: second.format(since) })}`);
  }
  isAsking = false;
}

window.setInterval(ask, EVERY_MS);
