// The sources page keeps itself up to date while it is looked at.

import { draw } from "./streams.js";

const EVERY_MS = 3_000;
const stale = document.getElementById("stale");
let since = new Date();

async function ask() {
  if (document.hidden) return;
  try {
    const answer = await fetch("/api/v1/sources", { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const found = await answer.json();
    draw(found.sources, found.warning);
    since = new Date();
    if (stale.textContent) stale.textContent = "";
  } catch {
    stale.textContent = `tweeter does not answer. As of ${since.toLocaleTimeString()}.`;
  }
}

window.setInterval(ask, EVERY_MS);
