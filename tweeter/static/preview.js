// The preview of a keyword while it is written: 300 ms after the last key, the newest one wins.
// Without this module the button "Try it first" does the same. The answer is a page of ours, so
// that it is drawn in one place only.

import { ask } from "./ask.js";
import { localise } from "./times.js";
import { say } from "./words.js";

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
  if (!preview) throw new Error("no answer");
  clear(document.adoptNode(preview));
  localise(place);
  said.textContent = (place.querySelector(".headline") ?? place.querySelector("p"))?.textContent ?? "";
}

function clear(...instead) {
  place.replaceChildren(...instead);
  place.classList.remove("stale");
}

// What stands there is of something else than what is written now.
function age() {
  const isOld = document.getElementById("preview") !== null;
  const words = [say("tweeter does not answer."), isOld ? say("This is of what was written before.") : ""].join(" ");
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "quiet", textContent: say("Try again") });
  button.addEventListener("click", () => {
    form.elements.expression.focus(); // the button goes
    void preview();
  });
  const note = document.createElement("p");
  note.className = "state-note";
  note.append(words, " ", button);
  place.querySelector(".state-note")?.remove();
  place.classList.add("stale");
  place.prepend(note);
  said.textContent = words;
}

async function preview() {
  const written = form.elements.expression.value.trim();
  if (written && wanted() === shown) return; // it is here, or on its way
  asking?.abort();
  asking = null;
  if (!written) {
    clear();
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
    if (mine === asking) {
      shown = ""; // nobody answered: the next key asks again
      age();
    }
  }
  if (mine === asking) place.removeAttribute("aria-busy");
}

form?.addEventListener("input", () => {
  window.clearTimeout(timer);
  timer = window.setTimeout(preview, PAUSE_MS);
});
