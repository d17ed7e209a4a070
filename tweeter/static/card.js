// A post as a card, as templates/parts.html makes it: built node by node from text, so that no
// text can become markup.

import { localise } from "./times.js";

const NETWORKS = { x: "X", bluesky: "Bluesky", mastodon: "Mastodon" };
const MARKS = 6; // combining marks shown on one character, as in views/show.py

export function harmless(text) {
  return text
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\ufffd")
    .replace(new RegExp(`(\\p{M}{${MARKS}})\\p{M}+`, "gu"), "$1");
}

function element(name, properties, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

export function host(url) {
  try {
    const parts = new URL(url);
    return ["http:", "https:"].includes(parts.protocol) ? parts.hostname : "";
  } catch {
    return "";
  }
}

function outside(url, label) {
  return element("a", { href: url, rel: "noopener nofollow ugc noreferrer", target: "_blank" }, label);
}

function moment(value) {
  const iso = `${new Date(Math.floor(value / 1000)).toISOString().slice(0, 19)}Z`;
  return element("time", { dateTime: iso, title: iso }, iso);
}

function textOf(post) {
  const shown = harmless(post.text);
  const characters = Array.from(shown);
  const block = (value) => {
    const node = element("div", { className: "text", dir: "auto" }, value);
    if (post.lang) node.lang = post.lang;
    return node;
  };
  if (characters.length <= 700) return [block(shown)];
  const rest = element(
    "details", { className: "rest" },
    element("summary", {}, `All ${characters.length} characters`), block(shown),
  );
  return [block(`${characters.slice(0, 500).join("")}…`), rest];
}

function body(post) {
  if (post.removed_at) return [element("p", { className: "gone" }, `Removed: ${post.removed_reason}.`)];
  let nodes = textOf(post);
  if (post.warning || post.sensitive) {
    const words = harmless(post.warning || "Sensitive content");
    nodes = [element("details", { className: "covered" }, element("summary", { dir: "auto" }, words), ...nodes)];
  }
  const links = post.links.filter((link) => host(link.url));
  if (links.length > 0) {
    const items = links.map((link) => element("li", {}, outside(link.url, element("bdi", {}, host(link.url)))));
    nodes.push(element("ul", { className: "links", ariaLabel: "Links" }, ...items));
  }
  return nodes;
}

function footer(post, names) {
  const kinds = [];
  if (post.kind !== "post") kinds.push(post.kind);
  if (post.edited_at && !post.removed_at) kinds.push("edited");
  const nodes = kinds.map((kind) => element("span", { className: "kind" }, kind));
  for (const id of post.keywords) {
    if (!(id in names)) continue;
    const name = element("bdi", { dir: "auto" }, names[id]);
    nodes.push(element("a", { className: "keyword", href: `/keywords/${id}` }, name));
  }
  if (host(post.url) && !post.removed_at) {
    const link = outside(post.url, "original");
    link.className = "original";
    nodes.push(link);
  }
  return element("footer", {}, ...nodes);
}

export function card(post, names) {
  const who = post.author_name || post.author_handle || post.author_id;
  const head = element(
    "header", {},
    element("bdi", { className: "author", dir: "auto" }, harmless(who)),
    post.author_handle && post.author_name
      ? element("bdi", { className: "handle" }, `@${harmless(post.author_handle)}`) : null,
    element("span", { className: "network" }, NETWORKS[post.network] ?? post.network),
    moment(post.occurred_at),
  );
  const node = element(
    "article",
    { className: "post", id: `p${post.id}`, ariaLabel: `Post by ${who}`, tabIndex: 0 },
    head, ...body(post), footer(post, names),
  );
  node.dataset.id = post.id;
  localise(node);
  return node;
}
