// A post as a card, as templates/parts.html makes it: built node by node from text, so that no
// text can become markup. What is on it was worked out by tweeter/cards.py.

import { localise } from "./times.js";
import { heard, say } from "./words.js";

function element(name, properties, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function outside(url, words, className = "") {
  const link = element("a", { href: url, rel: "noopener nofollow ugc noreferrer", target: "_blank" }, words);
  if (className) link.className = className;
  return link;
}

function moment(value) {
  const iso = `${new Date(Math.floor(value / 1000)).toISOString().slice(0, 19)}Z`;
  return element("time", { dateTime: iso, title: iso }, iso);
}

function author(card) {
  const names = element("span", { className: "names" }, element("bdi", { className: "name", dir: "auto" }, card.who));
  if (card.handle) names.append(" ", element("bdi", { className: "handle" }, card.handle));
  const avatar = element("span", { className: `avatar s${card.hue}`, "aria-hidden": "true" }, card.initial);
  const node = card.profile
    ? outside(card.profile, "", "author") : element("span", { className: "author" });
  node.append(avatar, names);
  return node;
}

function text(card, parts) {
  const node = element("div", { className: "text", dir: "auto" });
  if (card.lang) node.lang = card.lang;
  node.append(...parts.map(([words, url, , isApart]) => {
    const said = url ? outside(url, words) : words;
    return url || isApart ? element("bdi", {}, said) : said; // in its own direction
  }));
  return node;
}

function list(label, className, items) {
  const nodes = items.map((item) => element("li", {}, ...[item].flat()));
  return element("ul", { className, "aria-label": label }, ...nodes);
}

// The link to a picture's own page; static/picture.js shows that page below it.
function medium(card, [words, host], number) {
  const said = element("bdi", { dir: "auto" }, heard(words));
  if (!host) return said;
  const link = element(
    "a",
    { className: "show-picture", href: `/media/${card.id}/${number}?host=${encodeURIComponent(host)}`, rel: "noopener noreferrer", target: "_blank" },
    say("Show picture from {host}", { host }),
  );
  return [said, " ", link];
}

function content(card) {
  const nodes = [text(card, card.text)];
  if (card.rest.length > 0) {
    const whole = text(card, card.rest);
    whole.tabIndex = 0; // it scrolls
    const all = element("summary", {}, say("All {count} characters", { count: card.length }));
    nodes.push(element("details", { className: "rest" }, all, whole));
  }
  if (card.links.length > 0) {
    nodes.push(list(say("Links"), "links", card.links.map(([words, url]) => outside(url, words))));
  }
  if (card.media.length > 0) {
    nodes.push(list(say("Media"), "links media", card.media.map((one, index) => medium(card, one, index + 1))));
  }
  return nodes;
}

// Labels are ours to say; what an author wrote as a warning is not.
function cover({ network, cover: words }) {
  return network === "Bluesky" ? words.split(", ").map(heard).join(", ") : heard(words);
}

function body(card) {
  if (card.gone) return [element("p", { className: "gone" }, `${heard(card.gone)}, `, moment(card.removed_at), ".")];
  if (card.hidden) return [element("p", { className: "gone" }, heard(card.hidden))];
  if (!card.cover) return content(card);
  const summary = element("summary", { dir: "auto" }, cover(card));
  return [element("details", { className: "covered" }, summary, ...content(card))];
}

function base(card) {
  const at = moment(card.at);
  if (!card.url) return element("p", { className: "base" }, element("span", { className: "when" }, at));
  const original = outside(card.url, heard(card.view), "original");
  return element("p", { className: "base" }, outside(card.url, at, "original when"), " ", original);
}

function keyword(id, name) {
  return element("a", { className: "keyword", href: `/keywords/${id}` }, element("bdi", { dir: "auto" }, name));
}

// post: as the live feed sends it; names: expressions of keywords by id.
export function card(post, names) {
  const it = post.card;
  const marks = it.marks.map((mark) => element("span", { className: "kind" }, heard(mark)));
  const network = element("span", { className: "network" }, heard(it.network));
  const head = element("header", {}, author(it), ...marks, network);
  const leaf = element("div", { className: "leaf" }, head, ...body(it), base(it));
  const node = element(
    "article",
    { className: "post", id: `p${it.id}`, "aria-label": say("Post by {author}", { author: it.who }), tabIndex: 0 },
    leaf,
  );
  node.dataset.id = it.id;
  if (it.keywords.length > 0) {
    const known = it.keywords.filter((id) => id in names);
    node.append(element("footer", {}, ...known.map((id) => keyword(id, names[id]))));
  }
  localise(node);
  return node;
}

// What a removal leaves: that it happened. Everything that the post said or was called goes.
export function bury(node, words) {
  const mark = element("p", { className: "gone" }, words);
  node.setAttribute("aria-label", say("Removed post"));
  for (const part of node.querySelectorAll(".leaf > :not(header), .author, .kind")) part.remove();
  node.querySelector("header").after(mark);
}
