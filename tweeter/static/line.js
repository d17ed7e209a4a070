// The line to the server: one for all tabs of a browser, however many columns they show.
//
// One tab leads (it holds a lock that the browser passes on when that tab goes); it asks the
// server for the columns of all tabs and tells every event on a channel, with the columns it is
// for. A browser without locks or channels has a line a tab. Positions are the feed's numbers:
// each tab drops what it has seen, so a line that is opened again never shows a post twice.
//
// What comes together is one event, "batch": its first line tells of each change what a column
// decides by, the others are the posts. Each event wakes the browser, and most of a flood is not shown.

const NAME = "tweeter-live-batches"; // pages of an older version, which know no batches, share another
const TOGETHER = 48; // columns in one line, as in columns.py
const DEAD_MS = 30_000; // a line without a beat for so long is not up
const MOST_WAIT_MS = 10_000;
const EVENTS = ["batch", "post", "edit", "remove", "position", "hello", "missed", "reload", "keywords", "trouble", "streams", "beat"];
const PLACED = ["post", "edit", "remove", "position", "missed"]; // the others repeat the last id

class Post { // is read when its card is made
  constructor(id, occurredAt, text) {
    Object.assign(this, { id, occurred_at: occurredAt, text });
  }

  get card() {
    this.whole ??= JSON.parse(this.text);
    return this.whole.card;
  }
}

export class Line {
  // filters: the columns' queries; told(kind, data, seq, filters) for each event; changed(line)
  // when it goes up or down. up, heardAt, lostAt, retryAt: how it is, moments in ms.
  constructor(filters, after, told, changed) {
    Object.assign(this, { filters, told, changed, position: after, up: false });
    this.heardAt = Date.now();
    this.lostAt = this.retryAt = this.tries = this.timer = 0;
    this.leads = this.alone = false;
    this.id = Math.random().toString(36).slice(2);
    this.tabs = new Map();
    this.source = null;
    if (navigator.locks && window.BroadcastChannel) this.share();
    else this.beAlone();
    window.setInterval(() => this.look(), 1000);
    for (const event of ["online", "pageshow"]) window.addEventListener(event, () => this.look(true));
    document.addEventListener("visibilitychange", () => this.look(!document.hidden));
  }

  want(filters) { // other columns from now on
    this.filters = filters;
    this.ask();
  }

  // Tabs among themselves.

  share() {
    this.channel = new BroadcastChannel(NAME);
    this.channel.addEventListener("message", (event) => this.hear(event.data));
    window.addEventListener("pagehide", () => this.send({ say: "bye", id: this.id }));
    navigator.locks.request(NAME, () => {
      if (this.alone) return undefined;
      this.leads = true;
      this.tabs.set(this.id, { filters: this.filters, position: this.position });
      this.send({ say: "who" });
      this.connectSoon();
      return new Promise(() => {}); // kept until this tab is gone
    });
    this.ask();
  }

  send(message) { this.channel?.postMessage(message); }

  ask() {
    if (this.alone || this.leads) this.wanted(this.id, this.filters, this.position);
    else this.send({ say: "want", id: this.id, filters: this.filters, position: this.position });
  }

  hear(message) {
    if (this.alone) return;
    if (this.leads) {
      if (message.say === "want") this.wanted(message.id, message.filters, message.position);
      else if (message.say === "bye") this.tabs.delete(message.id);
    } else if (message.say === "who") this.ask();
    else if (message.say === "event") this.read(message);
    else if (message.say === "state") this.state(message.up, message);
    else if (message.say === "too many" && message.id === this.id) this.beAlone();
  }

  wanted(id, filters, position) {
    const others = new Set(this.asked);
    const known = filters.every((one) => others.has(one));
    this.tabs.set(id, { filters, position });
    if (this.union().length > TOGETHER) {
      this.tabs.delete(id);
      this.send({ say: "too many", id });
      return;
    }
    if (!known || position < this.position || !this.source) this.connectSoon(Math.min(position, this.position));
    else if (id !== this.id) this.send({ say: "state", up: this.up, lostAt: this.lostAt, retryAt: this.retryAt });
  }

  union() { return [...new Set([...this.tabs.values()].flatMap((tab) => tab.filters))]; }

  beAlone() {
    this.alone = true;
    this.tabs = new Map([[this.id, { filters: this.filters, position: this.position }]]);
    this.connectSoon();
  }

  // The line itself.

  connectSoon(from = this.position) { // several tabs that ask at once make one connection
    this.from = Math.min(this.from ?? from, from);
    window.clearTimeout(this.soon);
    this.soon = window.setTimeout(() => this.connect(), 30);
  }

  connect() {
    window.clearTimeout(this.timer);
    this.timer = 0;
    this.source?.close();
    this.asked = this.union();
    const query = new URLSearchParams({ after: String(this.from ?? this.position), batch: "1" });
    this.asked.forEach((filter, n) => {
      for (const [name, value] of new URLSearchParams(filter)) {
        query.append(name === "of" ? `c${n + 1}` : `c${n + 1}.${name}`, value);
      }
    });
    this.from = undefined;
    const source = new EventSource(`/live/stream?${query}`);
    const asked = this.asked;
    this.source = source;
    this.openedAt = Date.now();
    for (const kind of EVENTS) {
      source.addEventListener(kind, (event) => {
        if (source !== this.source) return;
        const told = { kind, text: event.data, id: Number(event.lastEventId) || 0, asked };
        if (!this.up) this.tell(true, {});
        this.read(told);
        // A tab that asked is known; one that has not is sent what follows its position then.
        if (this.tabs.size > 1) this.send({ say: "event", ...told });
      });
    }
    source.addEventListener("error", () => {
      if (source === this.source) this.lost();
    });
  }

  lost() { // our own tries, so that the page can say when the next one is
    this.source?.close();
    const wait = Math.min(MOST_WAIT_MS, 500 * 2 ** this.tries) * (0.75 + Math.random() / 2);
    this.tries += 1;
    const lostAt = this.up || !this.lostAt ? Date.now() : this.lostAt;
    this.tell(false, { lostAt, retryAt: Date.now() + wait });
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.connect(), wait);
  }

  tell(up, more) {
    this.state(up, more);
    if (!this.alone) this.send({ say: "state", up, lostAt: this.lostAt, retryAt: this.retryAt });
  }

  state(up, more) {
    this.up = up;
    if (up) {
      this.heardAt = Date.now();
      this.tries = 0;
    } else Object.assign(this, { lostAt: more.lostAt, retryAt: more.retryAt });
    this.changed(this);
  }

  read({ kind, text, id, asked }) { // asked: the filters that an event's columns count from
    if (kind !== "batch") {
      const data = JSON.parse(text);
      const filters = (data.in ?? []).map((n) => asked[n]);
      this.take(kind, data, PLACED.includes(kind) ? id : 0, filters);
      return;
    }
    const [heads, ...posts] = text.split("\n");
    JSON.parse(heads).forEach(([seq, act, places, fold, postId, at], n) => {
      const post = new Post(postId, at, posts[n]);
      this.take(act, { post, fold }, seq, places.map((place) => asked[place]));
    });
    this.take("position", {}, id, []);
  }

  take(kind, data, seq, filters) {
    this.heardAt = Date.now();
    if (!this.up) this.state(true, {});
    if (seq && seq <= this.position) return;
    if (seq) this.position = seq;
    this.told(kind, data, seq, filters);
    if (kind === "beat") this.changed(this);
  }

  // A line that merely falls silent (a laptop that slept) is not seen as an error.
  look(now = false) {
    const silent = Date.now() - this.heardAt;
    const mine = this.leads || this.alone;
    if (mine && this.up && silent > DEAD_MS) {
      const { heardAt } = this;
      this.lost();
      this.lostAt = heardAt;
    } else if (mine && now && this.timer) this.connect();
    else if (mine && !this.up && !this.timer && Date.now() - (this.openedAt ?? 0) > DEAD_MS) this.lost();
    else if (!mine && silent > 2 * DEAD_MS) this.beAlone(); // the leading tab sleeps
    this.changed(this);
  }
}
