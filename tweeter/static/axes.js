// The axes of charts in the reader's zone, as the switch in the frame says, and with them the tables
// and the hours of the week. The server draws them in UTC: ticks are drawn again where this zone's
// clock is round. Bars and links stay what they are.

import { drawTables } from "./tables.js";
import { clock, isUtc, offset, zoneName } from "./times.js";
import { drawWeek } from "./week.js";
import { say } from "./words.js";

const HOUR = 3_600;
const DAY = 86_400;
const MONTH = 30 * DAY; // as in charts.py: a step of so long, or several, is of the calendar
const LEAST = 2; // percent of the width: no word stands nearer to the edge
const MOST = 96;
const SVG = "http://www.w3.org/2000/svg";

const minute = clock({ dateStyle: "medium", timeStyle: "short" });
const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const month = new Intl.DateTimeFormat(undefined, { month: "short" });
const monthOfYear = new Intl.DateTimeFormat(undefined, { month: "short", year: "numeric" });
const year = new Intl.DateTimeFormat(undefined, { year: "numeric" });
const drawn = new WeakMap(); // group of ticks: as the server drew them

function node(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function word(at, step, isFirst) {
  const moment = new Date(at * 1000);
  if (step >= 12 * MONTH) return year.format(moment);
  if (step >= MONTH) return (isFirst || moment.getMonth() === 0 ? monthOfYear : month).format(moment);
  if (step >= DAY) return day.format(moment);
  return (moment.getHours() === 0 && moment.getMinutes() === 0 ? day : hour).format(moment);
}

function tick(place, at, words) {
  const line = node("line", { class: "axis", x1: `${place}%`, x2: `${place}%`, y1: 230, y2: 235 });
  const text = node("text", { class: "along", "data-at": at, x: `${place}%`, y: 250, "text-anchor": "middle" }, words);
  return [line, text];
}

// The moments at which the zone's clock shows a multiple of step, or its calendar one of months.
function* moments(since, until, step) {
  const [first, every] = step >= MONTH ? [monthNumber(since), step / MONTH] : [since + offset(since), step];
  for (let shown = first + ((every - (first % every)) % every); ; shown += every) {
    const at = step >= MONTH
      ? new Date(Math.floor(shown / 12), shown % 12, 1).getTime() / 1000
      : shown - offset(shown - offset(shown));
    if (at >= until) return;
    yield at;
  }
}

function monthNumber(at) {
  const moment = new Date(at * 1000);
  return 12 * moment.getFullYear() + moment.getMonth();
}

function ticks(since, until, step) {
  const found = [];
  for (const at of moments(since, until, step)) {
    const place = Math.round(1e5 * (at - since) / (until - since)) / 1e3;
    if (place >= LEAST && place <= MOST) found.push(...tick(place, at, word(at, step, found.length === 0)));
  }
  return found;
}

function drawAxis(figure) {
  const group = figure.querySelector("g.ticks");
  if (!group) return;
  if (!drawn.has(group)) drawn.set(group, [...group.children]);
  const [since, size, count] = ["since", "size", "count"].map((name) => Number(figure.dataset[name]));
  const until = since + size * count;
  const own = isUtc() ? drawn.get(group) : ticks(since, until, Number(group.dataset.step));
  group.replaceChildren(...own);
  const texts = [...group.querySelectorAll("text")];
  for (const text of texts) {
    const title = text.querySelector("title") ?? text.appendChild(node("title", {}));
    title.textContent = minute.format(new Date(Number(text.dataset.at) * 1000));
  }
  const moments = [since, until, ...texts.map((text) => Number(text.dataset.at))];
  const zone = zoneName(...moments);
  const cutHere = zone === "UTC" || (size <= HOUR && moments.every((at) => offset(at) % size === 0));
  figure.querySelector(".axis-zone").textContent = cutHere ? zone : say("cut in UTC, the axis in {zone}", { zone });
}

export function drawZones() {
  for (const figure of document.querySelectorAll("figure.volume")) drawAxis(figure);
  for (const section of document.querySelectorAll("section.week-hours")) drawWeek(section);
  drawTables(document);
}

document.addEventListener("zone", drawZones);
drawZones();
