// The hours of the week, squares and table, in the reader's zone: they change places with their
// links, by whole hours. In a zone with half hours, or whose clock changed meanwhile, they stay in UTC.

import { isUtc, offset, write, zoneName } from "./times.js";
import { say } from "./words.js";

const HOUR = 3_600;
const WEEK = 604_800;
const WEEK_HOURS = 168;

const tables = new WeakMap(); // table: its cells by the hour of the week in UTC

// Hours that the reader's clock is ahead all the time; 0 where there is no such number.
function hoursAhead(since, until) {
  const by = offset(until) / HOUR;
  if (isUtc() || !Number.isInteger(by)) return 0;
  for (let at = since; at < until; at += WEEK) if (offset(at) !== by * HOUR) return 0;
  return by;
}

// place: of an hour; told: gives the words of an hour's link those of its place.
function drawSquare(square, place, told) {
  square.dataset.hour ??= 24 * (square.getAttribute("y") / 10) + (square.getAttribute("x") - 16) / 10;
  const hour = Number(square.dataset.hour);
  square.setAttribute("x", 16 + 10 * (place(hour) % 24));
  square.setAttribute("y", 10 * Math.floor(place(hour) / 24));
  const title = square.querySelector("title");
  if (title) told(title, "", hour);
}

function drawTable(table, days, place, told) {
  const rows = [...table.tBodies[0].rows];
  if (!tables.has(table)) tables.set(table, days.flatMap((_, day) => rows.map((row) => row.cells[day + 1])));
  const placed = [];
  for (const [hour, cell] of tables.get(table).entries()) {
    placed[place(hour)] = cell;
    cell.dataset.label = days[Math.floor(place(hour) / 24)];
    const link = cell.querySelector("a");
    if (link) told(link, "aria-label", hour);
  }
  rows.forEach((row, hour) => row.append(...days.map((_, day) => placed[24 * day + hour])));
}

export function drawWeek(section) {
  const [since, until] = [Number(section.dataset.since), Number(section.dataset.until)];
  const by = hoursAhead(since, until);
  const zone = by ? zoneName(until) : "UTC";
  const table = section.querySelector("table");
  const days = [...table.tHead.rows[0].cells].slice(1).map((head) => head.textContent);
  const place = (hour) => (hour + by + WEEK_HOURS) % WEEK_HOURS;
  const called = (hour, of) => say("{day} {first}:00 to {last}:00 {zone}", {
    day: days[Math.floor(hour / 24)], first: hour % 24, last: (hour % 24) + 1, zone: of,
  });
  const told = (node, name, hour) =>
    write(node, name, (words) => words.replace(called(hour, "UTC"), called(place(hour), zone)), by !== 0);
  for (const square of section.querySelectorAll("rect.cell")) drawSquare(square, place, told);
  drawTable(table, days, place, told);
  for (const name of section.querySelectorAll(".zone-name")) name.textContent = zone;
}
