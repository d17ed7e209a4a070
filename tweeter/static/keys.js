// The keys of the deck. Those without Ctrl can be switched off; Page Up and Down and Ctrl+Home
// and End are the pattern of feeds and stay.

import { isOn } from "./frame.js";

const dialog = document.getElementById("keymap");

function writes(target) {
  return target.closest?.("input, textarea, select, [contenteditable]") !== null;
}

function presses(target) { // Space belongs to what it would press
  return target.closest?.("button, a, summary, input, select, textarea, label") !== null;
}

export function listen(deck) {
  const help = document.getElementById("help");
  help.hidden = false;
  help.addEventListener("click", () => document.getElementById("keymap-open").click());

  const acts = {
    j: () => deck.current().step(1),
    k: () => deck.current().step(-1),
    o: () => deck.current().original(),
    ".": () => deck.current().newest(),
  };
  document.addEventListener("keydown", (event) => {
    if (dialog.open || event.defaultPrevented || event.altKey || event.metaKey) return;
    const column = deck.of(document.activeElement);
    const inPost = column && document.activeElement.closest(".cards");
    if (inPost && ["PageDown", "PageUp"].includes(event.key)) {
      column.step(event.key === "PageDown" ? 1 : -1);
    } else if (inPost && event.ctrlKey && ["Home", "End"].includes(event.key)) {
      deck.leave(event.key === "End");
    } else if (event.key === "Escape" && deck.wall) {
      document.querySelector(".leave").click();
    } else if (event.ctrlKey || !isOn() || writes(event.target)) {
      return;
    } else if (event.key === " " && !presses(event.target)) {
      deck.toggle();
    } else if (/^[1-9]$/.test(event.key)) {
      deck.go(Number(event.key) - 1);
    } else if (event.key in acts) {
      acts[event.key]();
    } else {
      return;
    }
    event.preventDefault();
  });
}
