// What stands in a column: a post with those that say the same, a gap, a divider.

import { bury, card } from "./card.js";
import { clock } from "./times.js";
import { say } from "./words.js";

const short = clock({ hour: "2-digit", minute: "2-digit" });
const NAMED = 50; // cards with the same text that are kept

export function time(us) { return short.format(new Date(us / 1000)); }

function node(name, className, ...children) {
  const made = document.createElement(name);
  made.className = className;
  made.append(...children);
  return made;
}

export function item(post, fold, names, prefix) {
  const article = card(post, names);
  article.id = `${prefix}p${post.id}`;
  return wrapped(article, fold, post.occurred_at);
}

function wrapped(article, fold, at) {
  const made = node("div", "item", article);
  made.setAttribute("role", "article"); // of the feed; it also holds those with the same text
  made.setAttribute("aria-label", article.getAttribute("aria-label"));
  Object.assign(made.dataset, { id: article.dataset.id, fold: fold ?? "", at });
  return made;
}

// One more card with the same text, or (without one) the count drawn again.
export function sameRow(made, article = null) {
  let same = made.querySelector(".same");
  if (!same && article) {
    same = node("details", "same", document.createElement("summary"));
    made.append(same);
  }
  if (!same) return;
  if (article) same.querySelector("summary").after(article);
  const there = same.querySelectorAll("article");
  let more = Number(same.dataset.more ?? 0);
  if (there.length > NAMED) {
    there[there.length - 1].remove();
    more += 1;
  }
  same.dataset.more = more;
  const count = 1 + Math.min(there.length, NAMED) + more;
  if (count === 1) same.remove();
  else {
    const words = node("span", "visually-hidden", ` ${say("with the same text")}`);
    same.querySelector("summary").replaceChildren(`×${count}`, words);
  }
}

// The first of several with one text is gone: the next takes its place, as an item of its own.
export function promoted(made) {
  const same = made.querySelector(".same");
  const next = same?.querySelector("article");
  if (!next) return null;
  const at = Date.parse(next.querySelector("time").dateTime) * 1000;
  const fresh = wrapped(next, made.dataset.fold, at);
  fresh.append(same);
  sameRow(fresh);
  return fresh;
}

export function tombstone(made) { // text and names go, the place stays
  bury(made.querySelector("article"), say("Removed by its author or network."));
  made.querySelector(".note")?.remove();
}

export function note(made, words) {
  made.classList.add("changed");
  window.setTimeout(() => made.classList.remove("changed"), 4000);
  if (words) made.append(node("p", "note", words));
}

export function gapWords({ count, missed, whole, from, until }) {
  if (missed && whole) return say("{count} posts of all columns passed while this page was away", { count });
  if (missed) return say("At least {count} posts of all columns passed while this page was away", { count });
  const [since, to] = [from, until].map((us) => (us ? time(us) : ""));
  if (since === to) return say("{count} at {time}", { count, time: since });
  return say("{count} between {since} and {until}", { count, since, until: to });
}

export function gapRow(text, load, link = null) {
  const span = node("span", "", text);
  const button = node("button", "quiet", say("load"));
  button.type = "button";
  button.addEventListener("click", load);
  const row = node("p", "gap", span, button);
  if (link) row.append(link);
  row.update = (now, more) => {
    span.textContent = now;
    button.hidden = !more;
  };
  return row;
}

export function dividerRow(away) {
  const values = { count: away.count, since: time(away.from), until: time(away.until) };
  return node("p", "divider", say("arrived while away: {count}, {since} to {until}", values));
}
