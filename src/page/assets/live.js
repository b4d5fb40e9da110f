// One stream of events a visible page. A hidden one has none: a browser opens six connections to
// one place, and each stream takes one.

import { address, get } from "./api.js";

const STALE_AFTER = 25_000;
const RETRY = 3_000;
const KINDS = ["result", "field", "review", "specimen", "signature"];

export class Live {
  // `on` has event(kind, value), resync(), state(name, since), upgraded(), denied().
  constructor(cursor, build, on) {
    this.cursor = cursor;
    this.build = build;
    this.on = on;
    this.heard = Date.now();
    this.timer = setInterval(() => this.check(), 1_000);
    document.addEventListener("visibilitychange", () => this.turn());
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", () => this.turn());
    this.turn();
  }

  turn() {
    if (document.hidden) this.close();
    else if (!this.source) this.open();
  }

  open() {
    this.on.state("connecting");
    const source = new EventSource(address("api/live", { after: this.cursor }));
    this.source = source;
    const listen = (kind, act) => source.addEventListener(kind, (event) => {
      this.heard = Date.now();
      if (event.lastEventId) this.cursor = event.lastEventId;
      this.on.state("live");
      act?.(JSON.parse(event.data));
    });
    listen("hello", (hello) => this.greet(hello));
    listen("resync", (hello) => {
      this.cursor = null;
      this.greet(hello);
      this.on.resync();
    });
    listen("gap", () => this.on.resync());
    listen("ping");
    listen("cursor");
    listen("stopping");
    listen("denied", () => {
      this.close();
      clearInterval(this.timer);
      this.on.denied();
    });
    for (const kind of KINDS) listen(kind, (value) => this.on.event(kind, value));
    source.addEventListener("error", () => {
      if (this.source !== source) return;
      this.on.state("stale", this.heard);
      // The browser comes back by itself, unless the answer was no stream.
      if (source.readyState === EventSource.CLOSED) {
        this.close();
        this.recover();
      }
    });
  }

  // No stream was given: perhaps because the session has ended.
  async recover() {
    try {
      const session = await get("api/session", {}, { background: true });
      if (!session.signed_in) {
        clearInterval(this.timer);
        this.on.denied();
        return;
      }
    } catch { /* the badge says that the connection is lost */ }
    setTimeout(() => this.turn(), RETRY);
  }

  greet(hello) {
    if (hello.build !== this.build) this.on.upgraded();
  }

  check() {
    if (!this.source || Date.now() - this.heard < STALE_AFTER) return;
    // The connection may be half open: nothing would ever tell.
    this.on.state("stale", this.heard);
    if (Date.now() - this.heard > 2 * STALE_AFTER) {
      this.close();
      this.turn();
    }
  }

  close() {
    this.source?.close();
    this.source = null;
  }
}
