// A list of boxes to choose a few from: a field above it finds, and no more than `data-most` can be
// chosen. Without this script it is the list alone, and the server says when they are too many.

import { say } from "./words.js";

document.documentElement.classList.add("picking"); // shows the fields

function folded(text) {
  return text.normalize("NFKC").toLowerCase();
}

function tell(list, words) {
  list.querySelector("output").textContent = words;
}

function find(field) {
  const list = field.closest(".pick");
  const wanted = folded(field.value).split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of list.querySelectorAll("li")) {
    const words = folded(row.textContent);
    row.hidden = !wanted.every((word) => words.includes(word));
    if (!row.hidden) count += 1;
  }
  tell(list, wanted.length === 0 ? "" : say("{count} found", { count }));
}

function choose(box) {
  const list = box.closest(".pick");
  const most = Number(list.dataset.most);
  const count = list.querySelectorAll("input:checked").length;
  if (count > most) box.checked = false;
  tell(list, count > most ? say("At most {most}: leave out another first", { most })
    : say("{count} of {most} chosen", { count, most }));
}

document.addEventListener("input", (event) => {
  if (event.target.matches?.(".pick .seek")) find(event.target);
});
document.addEventListener("change", (event) => {
  if (event.target.matches?.(".pick [type=checkbox]")) choose(event.target);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches?.(".pick .seek")) event.preventDefault();
});
