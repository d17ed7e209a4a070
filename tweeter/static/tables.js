// Tables of moments in the reader's zone. One that is folded away is written when it is opened.

import { clock, full, offset, write, zoneName } from "./times.js";

const HOUR = 3_600;

const minute = clock({ dateStyle: "medium", timeStyle: "short" });

// Each row is of the moment at its head. Where the clock went back two would be called the same.
function drawRows(table) {
  const moments = [];
  const named = new Set();
  for (const head of table.querySelectorAll("tbody > tr > th")) {
    write(head.querySelector("a") ?? head, "", (words) => {
      const moment = Date.parse(`${words} UTC`);
      moments.push(moment / 1000);
      const said = full.format(moment);
      const isTwin = named.has(said);
      named.add(said);
      return isTwin ? `${said} (${zoneName(moment / 1000)})` : said;
    });
  }
  table.querySelector(".zone-name").textContent = zoneName(...moments);
}

function word(at) {
  const moment = new Date(at * 1000);
  const [hours, minutes] = [moment.getHours(), moment.getMinutes()].map((n) => String(n).padStart(2, "0"));
  return offset(at) % HOUR ? `${hours}:${minutes}` : hours;
}

// The columns are the hours from `data-since` on.
function drawHours(table) {
  const since = Number(table.dataset.since);
  const heads = [...table.tHead.rows[0].cells].slice(1);
  const moments = heads.map((_, n) => since + HOUR * n);
  const called = moments.map((at) => minute.format(at * 1000));
  for (const [n, head] of heads.entries()) {
    write(head, "", () => word(moments[n]));
    write(head, "title", () => full.format(moments[n] * 1000));
  }
  for (const row of table.tBodies[0].rows) {
    called.forEach((words, n) => write(row.cells[n + 1], "data-label", () => words));
  }
  document.querySelector("#hours .zone-name").textContent = zoneName(...moments);
}

export function drawTables(root) {
  for (const table of root.querySelectorAll("details[open] table.moments")) drawRows(table);
  for (const table of root.querySelectorAll("table.hours[data-since]")) drawHours(table);
}

document.addEventListener("toggle", (event) => drawTables(event.target), true); // it does not bubble
