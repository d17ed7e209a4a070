// The sources page keeps itself up to date while it is looked at.

import { draw } from "./streams.js";
import { clock } from "./times.js";
import { say } from "./words.js";

const second = clock({ timeStyle: "medium" });

const EVERY_MS = 3_000;
const stale = document.getElementById("stale");
let since = new Date();

function age(words) {
  stale.textContent = words;
  stale.hidden = !words;
  document.getElementById("fresh").classList.toggle("stale", Boolean(words));
}

async function ask() {
  if (document.hidden) return;
  try {
    const answer = await fetch("/api/v1/sources", { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const found = await answer.json();
    draw(found.sources, found.warning);
    since = new Date();
    if (stale.textContent) age("");
  } catch {
    age(`${say("tweeter does not answer.")} ${say("As of {time}.", { time: second.format(since) })}`);
  }
}

window.setInterval(ask, EVERY_MS);
