// What every page has around it: the theme, changed without a reload, the keys, and pictures by click.
// No key does anything while one types, and all can be switched off; both are remembered.

import "./picture.js";
import { setZone } from "./times.js";

const YEAR_S = 31_536_000;
const CHORD_MS = 1_500; // from "g" to the letter after it

const root = document.documentElement;
const map = document.getElementById("keymap");
const opener = document.getElementById("keymap-open");
const switchedOn = document.getElementById("keymap-on");

function cookie(name) {
  const found = document.cookie.split("; ").find((part) => part.startsWith(`${name}=`));
  return found ? found.slice(name.length + 1) : "";
}

function remember(name, value) {
  document.cookie = `${name}=${value}; path=/; max-age=${YEAR_S}; samesite=lax`;
}

function wear(theme) {
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  else delete root.dataset.theme;
  document.querySelector('meta[name="color-scheme"]').content =
    theme === "light" || theme === "dark" ? theme : "light dark";
  for (const button of document.querySelectorAll(".theme button")) {
    button.setAttribute("aria-pressed", String(button.value === (theme || "system")));
  }
}

document.querySelector(".theme").addEventListener("submit", (event) => {
  const theme = event.submitter?.value;
  if (!theme) return;
  event.preventDefault();
  remember("tweeter_theme", theme);
  wear(theme);
});
// Times in UTC, or in the viewer's zone.
const zone = document.getElementById("zone");

const tellZone = () => zone.setAttribute("aria-pressed", String(setZone()));

zone.classList.add("ready");
zone.addEventListener("click", () => {
  remember("tweeter_times", setZone() ? "local" : "utc");
  tellZone();
});
// A page out of the browser's memory, and a second tab, wear what was chosen meanwhile.
for (const name of ["pageshow", "focus"]) {
  window.addEventListener(name, () => {
    wear(cookie("tweeter_theme"));
    tellZone();
  });
}

export const isOn = () => cookie("tweeter_keys") !== "off";

function types(target) {
  const writes = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";
  return target instanceof Element && target.closest(writes);
}

function seek() {
  const field = document.querySelector('input[type="search"]');
  const place = document.querySelector('nav a[href="/search"]');
  if (field) field.focus();
  else place?.click();
}

function openMap() {
  switchedOn.checked = isOn();
  map.showModal();
}

const keys = {
  "?": openMap,
  "/": seek,
  n() {
    const field = document.getElementById("expression");
    if (field?.closest(".add")) field.focus();
    else window.location.assign(`${document.querySelector('nav a[data-key="k"]').href}#expression`); // has the focus there
  },
};
let chordUntil = 0;

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!isOn() || map.open || types(event.target)) return;
  if (event.timeStamp < chordUntil) {
    chordUntil = 0;
    const place = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
    if (place) {
      event.preventDefault();
      place.click();
      return;
    }
  }
  if (event.key === "g") chordUntil = event.timeStamp + CHORD_MS;
  else if (Object.hasOwn(keys, event.key)) {
    event.preventDefault();
    keys[event.key]();
  }
});

opener.classList.add("ready");
opener.addEventListener("click", openMap);
switchedOn.addEventListener("change", () => remember("tweeter_keys", switchedOn.checked ? "on" : "off"));
