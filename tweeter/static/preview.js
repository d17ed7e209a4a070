// The preview of a keyword while it is written: 300 ms after the last key, the newest one wins.
// Without this module the button "Try it first" does the same. The answer is a page of ours, so
// that it is drawn in one place only.

import { ask } from "./ask.js";
import { localise } from "./times.js";

const PAUSE_MS = 300;
const form = document.querySelector("form[data-preview]");
const place = document.getElementById("preview-place");
const said = document.getElementById("preview-said");

let timer = 0;
let asking = null;
let shown = "";

function wanted() {
  const fields = new FormData(form);
  return JSON.stringify([fields.get("expression").trim(), fields.getAll("networks")]);
}

function show(answer) {
  const preview = answer?.getElementById("preview");
  if (!preview) return;
  place.replaceChildren(document.adoptNode(preview));
  localise(place);
  said.textContent = (place.querySelector(".headline") ?? place.querySelector("p"))?.textContent ?? "";
}

async function preview() {
  const written = form.elements.expression.value.trim();
  if (written && wanted() === shown) return; // it is here, or on its way
  asking?.abort();
  asking = null;
  if (!written) {
    place.replaceChildren();
    place.removeAttribute("aria-busy");
    said.textContent = shown = "";
    return;
  }
  const mine = (asking = new AbortController());
  shown = wanted();
  place.setAttribute("aria-busy", "true");
  try {
    const options = { method: "POST", body: new FormData(form), signal: mine.signal };
    const { page } = await ask(form.dataset.preview, options);
    if (mine === asking) show(page);
  } catch {
    if (mine === asking) shown = ""; // nobody answered: the next key asks again
  }
  if (mine === asking) place.removeAttribute("aria-busy");
}

form?.addEventListener("input", () => {
  window.clearTimeout(timer);
  timer = window.setTimeout(preview, PAUSE_MS);
});
