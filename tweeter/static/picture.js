// Pictures by click: "Show picture from HOST" on a card shows the picture's own page in a frame
// below, and takes it away again. Before that nothing is asked of the host. The frame is allowed
// nothing; without this script the link is an ordinary one.

import { say } from "./words.js";

const shown = new WeakMap(); // link: its frame, and what it said before

function frame(link) {
  const made = document.createElement("iframe");
  made.className = "picture";
  made.setAttribute("sandbox", "");
  made.referrerPolicy = "no-referrer";
  made.loading = "lazy";
  made.title = link.parentElement.querySelector("bdi").textContent;
  made.src = `${link.getAttribute("href")}&framed=1`;
  return made;
}

function toggle(link) {
  const open = shown.get(link);
  if (open) {
    open.frame.remove();
    link.textContent = open.words;
    shown.delete(link);
  } else {
    shown.set(link, { frame: frame(link), words: link.textContent });
    link.parentElement.append(shown.get(link).frame);
    link.textContent = say("Hide picture");
  }
  link.setAttribute("aria-expanded", String(!open));
}

function summary(details) {
  return details.querySelector("summary").textContent;
}

// What a person opened of a post stays open when it is drawn again: what is covered in the same
// words, the long text, and a picture from the same host at the same place (it is shown as it is
// now). before: the article; fresh: what takes its place. The link that had the focus, or null.
export function carry(before, fresh) {
  const opened = new Map([...before.querySelectorAll("details[open]")].map((one) => [one.className, summary(one)]));
  for (const details of fresh.querySelectorAll("details")) {
    const words = opened.get(details.className);
    details.open = words !== undefined && (details.className === "rest" || words === summary(details));
  }
  let focused = null;
  for (const link of fresh.querySelectorAll("a.show-picture")) {
    const old = [...before.querySelectorAll("a.show-picture")].find((one) => one.pathname === link.pathname);
    if (old && old === document.activeElement) focused = link;
    if (shown.get(old)?.words === link.textContent) toggle(link);
  }
  return focused;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a.show-picture");
  const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey; // a new tab
  if (!link || elsewhere || event.defaultPrevented) return;
  event.preventDefault();
  toggle(link);
});
