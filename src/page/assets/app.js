// The frame around each screen: who is signed in, where one is, and whether what one sees is live.

import { get, post } from "./api.js";
import { cell } from "./cell.js";
import { h, show } from "./dom.js";
import { field } from "./field.js";
import { Live } from "./live.js";
import { login } from "./login.js";
import { model } from "./model.js";
import { now } from "./now.js";
import { problem, time } from "./parts.js";
import { readers } from "./readers.js";
import { report } from "./report.js";
import { review } from "./review.js";
import { specimen, specimens } from "./specimens.js";
import { text } from "./text.js";
import { attempt } from "./try.js";

const SCREENS = {
  "": now, specimens, specimen, review, cell, field, model, try: attempt, report, readers,
};
const NAVIGATION = [
  ["./", "", "now"], ["specimens", "specimens", "specimens"], ["review", "review", "review"],
  ["readers", "readers", "readers"], ["model", "model", "model"], ["try", "try", "try"],
];

const head = document.getElementById("head");
const main = document.getElementById("main");
const screen = location.pathname.split("/").pop();
const badge = h("span.badge", { role: "status", id: "live" });
const bar = h("div.bar", { role: "status" });

function frame(session) {
  const link = ([href, own, name]) => h("a", {
    href, "aria-current": own === screen ? "page" : null,
  }, text.nav[name]);
  const who = session.open ? text.session.open : session.identity;
  show(head, h("a.skip", { href: "#main" }, text.skip), h("strong.brand", {}, text.title),
    h("nav", { "aria-label": text.nav.label }, NAVIGATION.map(link)), badge,
    h("span.who", {}, who), !session.open && session.signed_in && h("button", {
      type: "button",
      async onclick() {
        await post("api/logout");
        location.reload();
      },
    }, text.session.out), bar);
}

function state(name, since) {
  const says = name === "stale" ? text.live.stale(time(since)) : text.live[name];
  if (badge.textContent === says) return;
  badge.className = `badge ${name}`;
  badge.textContent = says;
}

// Says that what is on screen is no longer all that is stored.
function outdated() {
  if (bar.firstChild) return;
  show(bar, h("p", {}, text.live.changed), h("button", {
    type: "button", onclick: () => location.reload(),
  }, text.live.reload));
}

// Begins the stream of a screen that shows what is stored.
function follow(session, cursor, on) {
  return new Live(cursor, session.build, {
    event() {},
    resync: () => location.reload(),
    state,
    upgraded() {
      show(bar, h("p", {}, text.live.upgraded), h("button", {
        type: "button", onclick: () => location.reload(),
      }, text.live.reload));
    },
    denied: () => location.reload(),
    ...on,
  });
}

async function begin() {
  try {
    const session = await get("api/session");
    if (session.build !== document.body.dataset.build) {
      location.reload();
      return;
    }
    frame(session);
    document.title = [text.nav[screen || "now"], text.title].filter(Boolean).join(" · ");
    if (!session.signed_in) {
      login(main);
      return;
    }
    const context = {
      main, session, query: new URLSearchParams(location.search),
      follow: (cursor, on) => follow(session, cursor, on ?? {}), outdated,
    };
    await (SCREENS[screen] ?? now)(context);
    // So that the keys that scroll do.
    if (document.activeElement === document.body) main.focus({ preventScroll: true });
  } catch (error) {
    if (error.status === 401) {
      login(main);
      return;
    }
    show(main, problem(error, () => location.reload()));
    if (error.code === "LOST") setTimeout(() => location.reload(), 5_000);
    if (error.code === undefined) throw error;
  }
}

begin();
