// The first screen: what leukd does, what is wrong, and what came last.

import { get } from "./api.js";
import { h, show } from "./dom.js";
import { card, standing, time } from "./parts.js";
import { text } from "./text.js";

const MOST = 24;
const REFRESH = 5_000;

function state(found) {
  const { status, queue, model } = found;
  const wrong = status.degraded.map((one) => h("li", {},
    h("strong", {}, one.component), ` ${one.message} `,
    h("small", {}, text.now.since(time(one.since)))));
  const folders = status.folders.map((folder) => h("li", {}, h("code", {}, folder.folder), " ",
    folder.reachable ? text.now.folder(folder) : h("strong.bad", {}, text.now.unreachable)));
  return [
    wrong.length
      ? h("section.degraded", {}, h("h2", {}, text.now.degraded), h("ul", {}, wrong))
      : h("p.fine", {}, `✓ ${text.now.fine}`),
    h("section", {}, h("h2", {}, text.now.folders),
      folders.length ? h("ul", {}, folders) : h("p", {}, text.now.noFolder),
      h("p", {}, model ? `${text.now.model(model)}. ` : `${text.now.noModel} `,
        text.now.workers(queue))),
  ];
}

export async function now({ main, follow }) {
  const found = await get("api/now");
  const about = h("div", {}, state(found));
  const grid = h("div.grid", {}, found.cells.map(card));
  const empty = h("p", {}, text.now.empty);
  const fresh = h("button.fresh", { type: "button", hidden: true });
  if (found.cells.length) empty.hidden = true;
  show(main, h("h1", {}, text.now.heading), about,
    h("section", {}, h("h2", {}, text.now.latest), fresh, empty, grid));

  // What the eye is on does not move: newer cells wait for a click.
  let waiting = [];
  let came = 0;
  const known = new Set(found.cells.map((cell) => cell.sequence));
  const insert = () => {
    const seen = main.scrollTop;
    grid.prepend(...waiting.map(card).reverse());
    while (grid.children.length > MOST) grid.lastElementChild.remove();
    waiting = [];
    came = 0;
    fresh.hidden = true;
    main.scrollTop = seen;
    grid.firstElementChild?.focus();
  };
  fresh.addEventListener("click", insert);

  let due = null;
  const refresh = () => {
    due ??= setTimeout(async () => {
      due = null;
      try {
        show(about, state(await get("api/now", {}, { background: true })));
      } catch { /* the badge says that the connection is lost */ }
    }, REFRESH);
  };
  setInterval(() => document.hidden || refresh(), 30_000);

  follow(found.cursor, {
    event(kind, value) {
      if (kind === "result" && !known.has(value.sequence)) {
        known.add(value.sequence);
        waiting.push(value);
        came += 1;
        if (waiting.length > MOST) known.delete(waiting.shift().sequence);
        empty.hidden = true;
        if (grid.children.length) {
          fresh.textContent = text.now.fresh(came);
          fresh.hidden = false;
        } else {
          insert();
        }
      }
      if (kind === "review") {
        grid.querySelector(`[data-sequence="${value.of}"] .standing`)?.replaceWith(standing({
          verdict: value.confirms ? "confirmed" : "corrected", label: value.label,
        }));
      }
      refresh();
    },
  });
}
