// The preview of a keyword while it is written: 300 ms after the last key, the newest one wins.
// Without this module the button "Try it first" does the same. The answer is a page of ours,
// parsed by the browser without running anything in it, so that it is drawn in one place only.

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

function ask() {
  if (asking) asking.abort();
  if (!form.elements.expression.value.trim()) {
    place.replaceChildren();
    said.textContent = shown = "";
    return;
  }
  if (wanted() === shown) return;
  shown = wanted();
  place.setAttribute("aria-busy", "true");
  asking = new XMLHttpRequest();
  asking.open("POST", form.dataset.preview);
  asking.responseType = "document";
  asking.addEventListener("load", (event) => show(event.target.responseXML));
  asking.addEventListener("error", () => { shown = ""; });
  asking.addEventListener("loadend", () => place.removeAttribute("aria-busy"));
  asking.send(new FormData(form));
}

form?.addEventListener("input", () => {
  window.clearTimeout(timer);
  timer = window.setTimeout(ask, PAUSE_MS);
});
