// One column. It follows (at the top, posts slide in at most every 300 ms) or is held (nothing
// moves; what comes waits). Of many posts it shows one in n, the newest there are, and counts all.

import { dividerRow, gapRow, gapWords, item, note, promoted, sameRow, tombstone } from "./items.js";
import { carry } from "./picture.js";
import { missing } from "./streams.js";
import { heard, say } from "./words.js";

const SHOWN = 100; // cards kept in a column
const CALM = 5; // posts a second that are all shown, by a page that draws as fast as they come
const WINDOW_MS = 5_000; // over which the rate is taken
const LEAST_MS = 1_000; // and at least over this, of more than CALM lets through in that time
const MANY = 15; // posts in that time, one after the other, are the beginning of a flood
const APART_MS = 50; // so long after each other they came not all at once
const SLIDE = 10; // as many slide in; a slide costs several times as much as drawing them
const FEW = 5; // posts that are no gap: they are shown
const NEAR_PX = 8; // so near to the top is at the top
const NEAR = 8; // cards that are drawn also out of sight, while many come

const quiet = window.matchMedia("(prefers-reduced-motion: reduce)");

export class Column {
  constructor(section, deck) {
    this.section = section;
    this.deck = deck;
    this.filter = section.dataset.filter;
    this.title = section.dataset.title;
    this.networks = section.dataset.networks.split(" ");
    this.rests = ""; // why nothing new comes, though its streams are up
    this.rest(section.dataset.state);
    this.prefix = section.dataset.number === "1" ? "" : `c${section.dataset.number}-`;
    for (const name of ["mode", "scroller", "cards", "nothing", "bottom", "trouble"]) {
      this[name] = section.querySelector(`.${name}`);
    }
    this.words = this.mode.querySelector(".words");
    this.hold = this.mode.querySelector(".hold");
    this.go = this.mode.querySelector(".go");
    this.older = this.bottom.querySelector("span");
    this.items = new Map(); // post id -> its item, also for posts folded into one
    this.folds = new Map();
    this.waiting = []; // {post, fold} | {gap} | {divider}: what is not shown yet, oldest first
    this.arrivals = []; // moments, ms
    this.over = 0; // posts that came since the last one of n was shown
    this.passed = null; // a gap that grows while only one in n is shown
    this.few = []; // what it begins with: so few are shown after all
    this.away = null; // what came while the line was down, while it is being sent again
    this.trimmed = { count: 0, from: 0, until: 0, top: null };
    this.more = section.dataset.older;
    this.unread = this.news = 0;
    this.top = 0;
    this.together = 0; // as many were shown last
    this.seen = true;
    this.drawn = null; // why it is held, as last drawn
    this.manual = this.scrolled = this.pointed = this.focused = this.released = false;
    for (const node of this.cards.children) this.adopt(node);
    this.number();
    this.watch();
    this.mode.hidden = false;
    this.bottom.querySelector("button").addEventListener("click", () => this.loadOlder());
    this.drawBottom();
    this.draw();
  }

  adopt(node) {
    this.items.set(node.dataset.id, node);
    for (const article of node.querySelectorAll("article")) {
      this.items.set(article.dataset.id, node);
      article.tabIndex = 0;
    }
    if (node.dataset.fold) this.folds.set(node.dataset.fold, node);
  }

  stop(words) { // it shows nothing new any more
    if (!words || !this.trouble.hidden) return;
    this.trouble.querySelector("span").textContent = heard(words);
    this.trouble.hidden = false;
    this.nothing.hidden = true;
    this.draw();
  }

  rest(state) { // of its keyword; undefined: it is as it was
    if (state === undefined) return;
    if (state === "paused") this.rests = say("Nothing new comes: the keyword is paused");
    else this.rests = state === "removed" ? say("Nothing new comes: the keyword was removed") : "";
  }

  // The two modes.

  watch() {
    const { scroller, cards } = this;
    const stop = () => { this.sliding = false; };
    for (const kind of ["wheel", "touchmove", "pointerdown", "keydown"]) {
      scroller.addEventListener(kind, stop, { passive: true });
    }
    scroller.addEventListener("scroll", () => {
      const away = scroller.scrollTop > NEAR_PX;
      if (this.sliding && away && scroller.scrollTop <= this.slideTop) {
        this.slideTop = scroller.scrollTop; // a slide only goes up; what goes down is the reader
        return;
      }
      if (this.sliding) cards.style.minHeight = "";
      this.sliding = false;
      if (away !== this.scrolled) this.released = false;
      this.scrolled = away;
      this.draw();
    }, { passive: true });
    // A pointer that merely rests where a column appears reads nothing: it must move.
    scroller.addEventListener("pointermove", (event) => {
      const at = `${event.screenX} ${event.screenY}`;
      const moved = this.deck.pointer !== undefined && this.deck.pointer !== at;
      this.deck.pointer = at;
      if (!moved) return;
      this.deck.point(this);
      if (event.pointerType !== "mouse" || this.pointed) return;
      this.pointed = true;
      this.draw();
    }, { passive: true });
    scroller.addEventListener("pointerleave", () => {
      this.pointed = this.released = false;
      this.deck.settle();
    });
    cards.addEventListener("focusin", () => {
      this.focused = true;
      this.deck.point(this);
      this.draw();
    });
    cards.addEventListener("focusout", (event) => {
      if (cards.contains(event.relatedTarget)) return;
      this.focused = this.released = false;
      this.deck.settle();
    });
    for (const button of [this.hold, this.go]) {
      button.addEventListener("click", () => {
        const hadFocus = document.activeElement === button;
        this.toggle();
        if (hadFocus) (this.hold.hidden ? this.go : this.hold).focus({ preventScroll: true });
      });
    }
  }

  why() { // it is held, as a text with {waits}; "" while it follows
    if (this.manual) return "Held because you held it · {waits} waiting";
    if (this.deck.wall || this.released) return "";
    if (this.scrolled) return "Held because you scrolled · {waits} waiting";
    if (this.focused) return "Held because a post has the focus · {waits} waiting";
    return this.pointed ? "Held because the pointer is on it · {waits} waiting" : "";
  }

  toggle() {
    if (this.why()) this.resume();
    else {
      this.manual = true;
      this.draw();
    }
  }

  resume() {
    this.manual = false;
    this.released = this.pointed || this.focused;
    this.scrolled = false;
    this.newest();
  }

  newest() {
    this.together = 0;
    this.look();
    this.show();
    this.slide();
    this.draw();
  }

  // What arrives.

  take(post, fold, seq, isAway) {
    if (this.items.has(post.id) || this.waiting.some((one) => one.post?.id === post.id)) return;
    const now = Date.now();
    if (isAway) {
      this.away ??= { count: 0, from: post.occurred_at, until: post.occurred_at };
      this.away.count += 1;
      this.away.until = post.occurred_at;
    } else this.arrivals.push(now);
    this.waiting.push({ post, fold, seq, isNew: !isAway });
    if (this.waiting.length <= SHOWN) return;
    if (this.oneIn() > 1 && this.passOldest()) return;
    this.choose();
    if (this.waiting.length > SHOWN && !this.why()) { // as after a break: they come all at once
      this.look();
      this.flush();
    }
    this.bound();
  }

  choose() { // of what came since the last look the newest, one in n; the others are counted
    const came = this.waiting.filter((one) => one.isNew);
    if (came.length === 0) return;
    const n = this.oneIn();
    this.over += came.length;
    const shown = Math.min(came.length, Math.floor(this.over / n));
    this.over = Math.min(this.over - shown * n, n - 1);
    const left = new Set(came.slice(0, came.length - shown));
    for (const one of left) this.pass(one);
    this.waiting = this.waiting.filter((one) => !left.has(one));
    for (const one of came) one.isNew = false;
  }

  pass({ post, fold, seq }) {
    this.passed = grown(this.passed, post, seq);
    if (this.passed.count <= FEW) this.few.push({ post, fold, seq });
  }

  passOldest() { // of what came since the last look: chosen long before it is drawn, it would be old
    const came = this.waiting.filter((one) => one.isNew);
    if (came.length <= SHOWN) return false;
    this.pass(came[0]);
    this.waiting.splice(this.waiting.indexOf(came[0]), 1);
    this.over += 1;
    return true;
  }

  back() { // all that came while the line was down is here
    if (this.away) this.waiting.push({ divider: this.away });
    this.away = null;
  }

  gap(gap) { this.waiting.push({ gap }); }

  bound() { // a column that is held for hours keeps its newest posts, and counts the others
    if (this.waiting.length <= SHOWN) return;
    const posts = this.waiting.filter((one) => one.post);
    if (posts.length <= SHOWN) return;
    const [first] = posts;
    const at = this.waiting.indexOf(first);
    this.waiting.splice(at, 1);
    if (this.waiting[0]?.gap?.overflow) {
      this.waiting[0].gap = grown(this.waiting[0].gap, first.post, first.seq);
    } else this.waiting.unshift({ gap: { ...grown(null, first.post, first.seq), overflow: true } });
  }

  rate() { // of more than would be shown in that time, as they come: a flood is none five seconds later
    const now = Date.now();
    const { arrivals } = this;
    while (arrivals.length > 0 && arrivals[0] < now - WINDOW_MS) arrivals.shift();
    const isFlood = arrivals.length > CALM * WINDOW_MS / 1000 || this.begins(now);
    const overMs = isFlood ? Math.max(now - arrivals[0], LEAST_MS) : WINDOW_MS;
    return arrivals.length / (overMs / 1000);
  }

  begins(now) { // a flood; what comes all at once, as a network is asked for it, is none
    const late = this.arrivals.filter((at) => at > now - LEAST_MS);
    return late.length > MANY && late.at(-1) - late[0] > APART_MS;
  }

  oneIn() {
    const rate = this.rate();
    const most = Math.max(1, CALM * this.deck.share());
    return this.deck.every || rate <= most ? 1 : Math.ceil(rate / most);
  }

  waits() {
    return this.waiting.reduce((sum, one) => sum + (one.post ? 1 : one.gap?.count ?? 0), this.passed?.count ?? 0);
  }

  edit(post, fold, isMine) {
    const at = this.waiting.findIndex((one) => one.post?.id === post.id);
    if (at >= 0) {
      if (isMine) this.waiting[at] = { ...this.waiting[at], post, fold };
      else this.waiting.splice(at, 1);
      return;
    }
    const old = this.items.get(post.id);
    if (!old) {
      const last = this.cards.querySelector(".item:last-of-type")?.dataset.at ?? 0;
      if (isMine && post.occurred_at >= Number(last)) this.waiting.push({ post, fold, seq: 0 });
      return;
    }
    const fresh = item(post, fold, this.deck.names, this.prefix);
    this.keep(() => {
      const hadFocus = old.contains(document.activeElement);
      const before = [...old.querySelectorAll("article")].find((one) => one.dataset.id === post.id);
      const link = before ? carry(before, fresh) : null;
      if (old.dataset.id !== post.id) {
        this.unfold(old, post.id);
        old.after(fresh);
      } else {
        const same = old.querySelector(".same");
        if (same && fold === old.dataset.fold) fresh.append(same);
        else this.promote(old);
        this.forget(old);
        old.replaceWith(fresh);
      }
      if (this.folds.get(fold) !== undefined) fresh.dataset.fold = "";
      this.adopt(fresh);
      note(fresh, isMine ? "" : say("It was edited and belongs no more to this column."));
      if (hadFocus) (link ?? fresh.querySelector("article")).focus({ preventScroll: true });
    });
    this.number();
  }

  remove(id) {
    this.waiting = this.waiting.filter((one) => one.post?.id !== id);
    this.few = this.few.filter((one) => one.post.id !== id);
    const node = this.items.get(id);
    if (!node) return;
    this.keep(() => {
      if (node.dataset.id !== id) this.unfold(node, id);
      else {
        this.promote(node);
        this.forget(node);
        node.dataset.fold = "";
        tombstone(node);
      }
    });
  }

  unfold(node, id) {
    node.querySelector(`.same article[data-id="${CSS.escape(id)}"]`)?.remove();
    this.items.delete(id);
    sameRow(node);
  }

  promote(node) {
    const next = promoted(node);
    if (!next) return;
    node.after(next);
    this.adopt(next);
  }

  forget(node) {
    if (this.folds.get(node.dataset.fold) === node) this.folds.delete(node.dataset.fold);
  }

  // What is shown.

  look() { // before anything is written: then it costs no layout
    this.top = this.scroller.scrollTop;
    this.seen = this.deck.isSeen(this);
  }

  flush() { // nobody sees a page that is hidden: what comes waits
    this.choose();
    if (this.passed && this.oneIn() === 1) {
      if (this.passed.count > FEW) this.waiting.push({ gap: this.passed });
      else this.waiting.push(...this.few);
      this.passed = null;
      this.few = [];
    }
    const shows = this.waiting.length > 0 && !this.why() && !document.hidden;
    if (shows) {
      this.together = this.waiting.length;
      const toTop = this.top <= NEAR_PX || this.sliding || this.deck.wall || this.released;
      const stays = this.top <= 0 && this.isPlain(); // what is put in above moves all that is below
      this.show(toTop && this.isPlain());
      if (stays) this.cards.style.minHeight = "";
      else if (toTop) this.slide();
    }
    this.draw();
    return shows;
  }

  isPlain() { // nothing slides: a flood would never come to rest, and a slow page not in time
    return quiet.matches || document.hidden || this.together > SLIDE
      || this.deck.share() < 1 || this.oneIn() > 1;
  }

  show(goesToTop = false) { // then what is read need not stay where it is
    const entries = this.waiting.splice(0);
    const fresh = entries.filter((one) => one.post).length;
    if (entries.length === 0) return;
    this.news += fresh;
    if (!this.seen) this.unread += fresh;
    const change = () => {
      const nodes = entries.map((one) => this.node(one)).filter((one) => one !== null);
      this.cards.prepend(...nodes.reverse());
      if (goesToTop) this.pushFar(nodes.length);
    };
    if (goesToTop) change();
    else this.keep(change);
    this.trim();
    if (this.isPlain()) this.isNumbered = false; // soon: it costs more than the cards
    else this.number();
    set(this.nothing, "hidden", this.cards.childElementCount > 0 || !this.trouble.hidden);
  }

  pushFar(count) { // as many as came are not drawn any more until one scrolls to them
    const { children } = this.cards;
    for (let at = NEAR; at < Math.min(NEAR + count, children.length); at += 1) children[at].classList.add("far");
  }

  pullNear() { // what is read by itself does not change its height
    for (const node of this.cards.querySelectorAll(":scope > .far")) node.classList.remove("far");
  }

  node(entry) {
    if (entry.divider) return dividerRow(entry.divider);
    if (entry.gap) return this.gapNode(entry.gap);
    const same = entry.fold ? this.folds.get(entry.fold) : null;
    if (same && same.dataset.id !== entry.post.id) {
      sameRow(same, item(entry.post, "", this.deck.names, this.prefix).firstElementChild);
      this.items.set(entry.post.id, same);
      return null;
    }
    const made = item(entry.post, entry.fold, this.deck.names, this.prefix);
    this.adopt(made);
    return made;
  }

  gapNode(gap) {
    const row = gapRow(gapWords(gap), () => this.loadGap(row, gap), this.deck.link(this.section.dataset.of));
    Object.assign(row, { gap });
    return row;
  }

  // Nothing that is being read moves: what changes above it is scrolled away.
  keep(change) {
    const { scroller } = this;
    const focused = document.activeElement?.closest?.(".item");
    const read = this.cards.contains(focused) ? focused : this.cards.querySelector(".item:hover");
    const top = scroller.getBoundingClientRect().top;
    const anchor = read
      ?? [...this.cards.children].find((node) => node.getBoundingClientRect().bottom > top);
    const before = anchor?.getBoundingClientRect().top;
    change();
    const stays = anchor?.isConnected ? anchor : null;
    if (!stays) return;
    let moved = stays.getBoundingClientRect().top - before;
    if (Math.abs(moved) < 0.5) return;
    const room = scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop;
    if (moved > room) { // few cards: make room to scroll, until it has slid to the top
      this.cards.style.minHeight = `${scroller.clientHeight + scroller.scrollTop + moved}px`;
    }
    scroller.scrollTop += moved;
    moved = stays.getBoundingClientRect().top - before;
    if (Math.abs(moved) >= 0.5) scroller.scrollTop += moved;
    if (this.sliding) this.slide(); // what is set ends a scroll that is under way
  }

  slide() { // to the top; a scroll is no shift of the layout
    const { scroller } = this;
    if (scroller.scrollTop <= 0) {
      this.cards.style.minHeight = "";
      return;
    }
    this.sliding = true;
    this.slideTop = scroller.scrollTop;
    scroller.scrollTo({ top: 0, behavior: this.isPlain() ? "instant" : "smooth" });
  }

  trim() {
    const most = SHOWN + (this.loaded ?? 0);
    while (this.cards.childElementCount > most) {
      const last = this.cards.lastElementChild;
      if (last.contains(document.activeElement)) break;
      last.remove();
      if (!last.dataset.id) {
        this.trimmed.count += last.gap?.count ?? 0;
        continue;
      }
      const at = Number(last.dataset.at);
      const { trimmed } = this;
      for (const [id, node] of this.items) {
        if (node !== last) continue;
        this.items.delete(id);
        trimmed.count += 1;
        if (!trimmed.top || this.isAfter(at, id, trimmed.top)) trimmed.top = { at, id };
      }
      this.forget(last);
      trimmed.until ||= at;
      trimmed.from = at;
    }
    this.drawBottom();
  }

  isAfter(at, id, other) { // in the order of the column's backlog
    if (!this.byId && at !== other.at) return at > other.at;
    return BigInt(id) > BigInt(other.id);
  }

  number() { // the pattern of feeds: the place of each, of unknown many
    let place = 0;
    this.isNumbered = true;
    for (const article of this.cards.querySelectorAll(":scope > .item > article")) {
      place += 1;
      article.setAttribute("aria-posinset", place);
      article.setAttribute("aria-setsize", -1);
    }
  }

  drawBottom() {
    const { count, from, until } = this.trimmed;
    set(this.bottom, "hidden", !count && !this.more);
    set(this.older, "textContent", count ? gapWords({ count, from, until }) : say("older posts"));
  }

  draw() {
    const why = this.why();
    const rate = Math.round(this.rate());
    const n = this.oneIn();
    const waits = this.waits();
    const lacks = this.deck.isCut ? "" : this.rests || missing(this.networks);
    let words = this.rate() >= 1 ? say("Following · {rate}/s", { rate }) : say("Following");
    if (this.deck.isCut) words = say("Nothing comes: the connection is lost");
    else if (n > 1) words = say("Following · {rate}/s · showing 1 in {n} · all stored", { rate, n });
    if (why) words = say(why, { waits });
    if (why && n > 1) words += ` · ${rate}/s`;
    if (lacks) words = why || n > 1 ? `${words} · ${lacks}` : lacks;
    set(this.words, "textContent", words);
    set(this.hold, "hidden", why !== "");
    set(this.go, "hidden", why === "");
    this.mode.classList.toggle("lacks", lacks !== "");
    if (this.drawn !== why) {
      this.mode.classList.toggle("held", why !== "");
      if (why) this.pullNear();
      this.drawn = why;
    }
    this.deck.count(this, this.unread + (why ? waits : 0));
  }

  // Older ones, from the server, through the same filter.

  async ask(more) {
    const query = new URLSearchParams(more);
    for (const [name, value] of new URLSearchParams(this.filter)) {
      query.append(name === "of" ? "c1" : `c1.${name}`, value);
    }
    const answer = await fetch(`/api/v1/decks/posts?${query}`);
    if (!answer.ok) throw new Error(String(answer.status));
    const found = await answer.json();
    found.posts = found.posts.map(asStreamed);
    return found;
  }

  put(found, place) { // after a node, or at the end; those that are here already stay where they are
    const fresh = found.filter((post) => !this.items.has(post.id));
    const nodes = fresh.map((post) => {
      const made = item(post, "", this.deck.names, this.prefix);
      this.adopt(made);
      return made;
    });
    this.loaded = (this.loaded ?? 0) + nodes.length;
    this.keep(() => {
      if (place) place.after(...nodes);
      else this.cards.append(...nodes);
    });
    this.number();
    return fresh.length;
  }

  async loadGap(row, gap) {
    try {
      const { posts, before, forgotten } = await this.ask({ after: gap.after, before: gap.before });
      this.put(posts, row);
      gap.before = before;
      gap.count = Math.max(0, gap.count - posts.length);
      row.update(forgotten ? say("Older ones are no longer kept in this order") : gapWords(gap), before > 0);
      if (before === 0 && !forgotten) this.keep(() => row.remove());
    } catch {
      row.update(say("The server did not answer: try again"), true);
    }
  }

  async loadOlder() {
    const { top } = this.trimmed;
    const older = top ? `${top.at}.${BigInt(top.id) + 1n}` : this.more;
    const words = this.bottom.querySelector("span");
    try {
      const found = await this.ask({ older });
      const count = this.put(found.posts, null);
      this.more = found.older;
      this.trimmed.top = null;
      this.trimmed.count = found.older ? Math.max(0, this.trimmed.count - count) : 0;
      this.drawBottom();
      if (found.posts.length === 0 && found.older) words.textContent = say("none found yet among older posts");
    } catch {
      words.textContent = say("The server did not answer: try again");
    }
  }

  // Keys.

  step(by) {
    const all = [...this.cards.querySelectorAll("article")].filter((one) => one.checkVisibility());
    const at = all.indexOf(document.activeElement?.closest?.("article"));
    const next = at < 0 ? all[0] : all[Math.min(Math.max(at + by, 0), all.length - 1)];
    next?.focus();
  }

  original() {
    document.activeElement?.closest?.("article")?.querySelector("a.original")?.click();
  }
}

function set(node, name, value) { // what is written is laid out again, also if it is the same
  if (node[name] !== value) node[name] = value;
}

function grown(gap, post, seq) {
  const at = post.occurred_at;
  if (!gap) return { count: 1, from: at, until: at, after: Math.max(0, seq - 1), before: seq + 1 };
  return { ...gap, count: gap.count + 1, until: at, before: seq + 1 };
}

function asStreamed(post) { // moments in microseconds, as live posts have them
  const pairs = Object.entries(post).map(([name, value]) => {
    if (!name.endsWith("_at")) return [name, value];
    if (value === null) return [name, 0];
    return [name, Date.parse(`${value.slice(0, 19)}Z`) * 1000 + Number(value.slice(20, 26))];
  });
  const { removed_us, ...card } = post.card;
  return { ...Object.fromEntries(pairs), card: { ...card, removed_at: removed_us } };
}
