// The review queue. The page holds a list of cells with one cursor, and sends one answer after
// another: however fast the keys come, none is skipped and none is sent twice.

import { address, get, post } from "./api.js";
import { h, show } from "./dom.js";
import { decision, describe, picture, pictureAddress, probability } from "./parts.js";
import { forget, known, remember, suggested } from "./person.js";
import { text } from "./text.js";

const BLIND = "leukd.blind";
const AHEAD = 3;
const RETRIES = 3;
const PAUSE = 1_000;
const KEYS = {
  b: "all", n: "hem", o: "other", u: "undo", s: "skip", arrowright: "skip", h: "heat", f: "field",
  c: "cell", "?": "help",
};
// Not to be sent again: the answer would be the same.
const FINAL = new Set([400, 401, 403, 404, 409]);

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function isTyping(target) {
  return target.closest?.("input, textarea, select, [contenteditable]") !== null;
}

class Queue {
  constructor(cells, hasMore, name, blind) {
    this.cells = cells;
    this.blind = blind;
    this.hasMore = hasMore;
    this.name = name;
    this.cursor = 0;
    this.answered = [];
    this.unsent = [];
    this.saved = 0;
    this.failure = null;
    this.isSending = false;
  }

  get cell() {
    return this.cells[this.cursor];
  }

  answer(label) {
    const { cell } = this;
    const entry = {
      cell, label, at: this.cursor, review_id: crypto.randomUUID(), replaces: cell.last ?? null,
      blind: this.blind && !cell.isRevealed,
    };
    cell.last = entry;
    this.answered.push(entry);
    this.unsent.push(entry);
    this.cursor += 1;
    this.send();
  }

  // Cells with an answer, and without one.
  get counts() {
    const cells = [...new Set(this.cells)];
    const answered = cells.filter((cell) => cell.last).length;
    return [answered, cells.length - answered];
  }

  undo() {
    const last = this.answered.pop();
    if (last) this.cursor = last.at;
    return last;
  }

  async send() {
    if (this.isSending) return;
    this.isSending = true;
    while (this.unsent.length && !this.failure) {
      const [entry] = this.unsent;
      try {
        const { review, suggestion } = await this.store(entry);
        this.revealed?.(entry, review, suggestion);
        entry.sequence = review.sequence;
        this.unsent.shift();
        this.saved += 1;
      } catch (error) {
        this.failure = { entry, error };
      }
      this.changed();
    }
    this.isSending = false;
  }

  async store({ cell, label, review_id, replaces, blind }) {
    const note = replaces?.sequence ? text.review.note(replaces.sequence) : "";
    const body = { result_id: cell.result_id, label, reviewer: this.name, note, review_id, blind };
    for (let tries = 1; ; tries += 1) {
      try {
        return await post("api/reviews", body);
      } catch (error) {
        if (FINAL.has(error.status) || tries === RETRIES) throw error;
        await pause(PAUSE);
      }
    }
  }

  retry(leave) {
    const { entry } = this.failure;
    this.failure = null;
    if (leave) {
      this.unsent = this.unsent.filter((one) => one !== entry);
      this.answered = this.answered.filter((one) => one !== entry);
      if (entry.cell.last === entry) {
        entry.cell.last = entry.replaces;
        // Comes next, and not where it stood: the cells in between have their answers.
        this.cells.splice(this.cursor, 0, entry.cell);
      }
    }
    this.changed();
    this.send();
  }
}

function askName(main, session) {
  return new Promise((done) => {
    const name = h("input", {
      id: "reviewer", value: suggested(session), required: true, maxlength: "42",
      autocomplete: "name",
    });
    show(main, h("form.narrow", {
      onsubmit(event) {
        event.preventDefault();
        if (!name.value.trim()) return;
        remember(session, name.value.trim());
        done(name.value.trim());
      },
    }, h("h1", {}, text.review.heading), h("label", { for: "reviewer" }, text.review.name), name,
    h("p", {}, text.review.nameWhy),
    h("button.main", { type: "submit" }, text.review.begin)));
    name.focus();
  });
}

export async function review({ main, query, session, follow }) {
  const own = text.review;
  const specimen = query.get("specimen");
  const mayAnswer = session.scopes.includes("review");
  const name = mayAnswer ? known(session) ?? await askName(main, session) : "";
  const blindKey = `${BLIND} ${session.identity}`;
  const wanted = session.blind_first || localStorage.getItem(blindKey) === "1";
  const found = await get("api/queue", { specimen, blind: wanted ? "1" : null });
  const queue = new Queue(found.cells, found.more, name, found.blind);
  const stage = h("div.stage");
  const place = h("p.place", { id: "place", role: "status" });
  const saved = h("p", { role: "status", id: "saved" });
  const failed = h("div");
  const reveal = h("p", { role: "status", id: "reveal" });
  const help = h("dl.keys", { hidden: true }, own.help_list.map(([key, says]) => [
    h("dt", {}, h("kbd", {}, key)), h("dd", {}, says)]));
  let heat = false;
  let undone = null;

  const button = (act, key, kind = "") => h(`button${kind}`, {
    type: "button", onclick: () => turn(act), "data-act": act,
  }, own[act], " ", h("kbd", {}, key));

  function draw() {
    const { cell } = queue;
    heat = false;
    place.textContent = cell ? own.place(queue.cursor + 1, queue.cells.length, queue.hasMore) : "";
    if (!cell) {
      show(stage, h("p.done", {}, queue.cells.length ? own.done(...queue.counts) : own.empty),
        h("p", {}, h("a.button", { href: address("review", { specimen }) }, own.again)));
      return;
    }
    const reasons = (cell.reasons ?? []).map((reason) => h("li", {}, reason.message));
    show(stage, picture(cell, "cell", describe(cell)), h("div.about", {},
      cell.other && h("p.undone", { role: "status" }, found.blind
        ? own.meanwhileBlind(cell.other.reviewer)
        : own.meanwhile(cell.other.reviewer, text.label[cell.other.label])),
      undone && h("p.undone", { role: "status" }, own.undone(text.label[undone.label])),
      found.blind ? h("p.blind", {}, own.blindWhy)
        : [h("p", {}, decision(cell.decision),
          ` ${text.cell.probability} ${probability(cell.p_all)}`), h("ul", {}, reasons)]));
    for (const next of queue.cells.slice(queue.cursor + 1, queue.cursor + 1 + AHEAD)) {
      new Image().src = pictureAddress(next, "cell");
    }
  }

  queue.changed = () => {
    const waiting = queue.unsent.length;
    saved.textContent = waiting ? own.saving(waiting) : own.saved(queue.saved);
    show(failed, queue.failure && h("div.problem", { role: "alert" },
      h("p", {}, own.failed(queue.failure.error.message)),
      h("button.main", { type: "button", onclick: () => queue.retry(false) }, own.retry),
      h("button", {
        type: "button",
        onclick() {
          queue.retry(true);
          draw();
        },
      }, own.leave)));
    if (queue.failure) failed.querySelector("button").focus();
  };

  // Says of an answered cell whether leukd agreed. An answer that was changed knew that.
  queue.revealed = (entry, { confirms }, { decision: suggested, p_all: pAll, label }) => {
    if (!found.blind) return;
    entry.cell.isRevealed = true;
    const says = suggested === "rejected" ? text.decision.rejected[1] : text.label[
      suggested === "review" ? label : suggested];
    show(reveal, own.revealed(describe(entry.cell), text.label[entry.label],
      `${says}, ${text.cell.probability} ${probability(pAll)}`, confirms));
  };

  async function toggleHeat(cell) {
    heat = !heat;
    const shown = picture(cell, heat ? "heat" : "cell", describe(cell));
    stage.querySelector(".picture")?.replaceWith(shown);
  }

  function turn(act) {
    const { cell } = queue;
    if (act === "help") {
      help.hidden = !help.hidden;
      return;
    }
    // An answer that was not stored comes first.
    if (queue.failure) return;
    if (act === "undo") {
      undone = queue.undo() ?? null;
      if (undone) draw();
      return;
    }
    if (!cell) return;
    if (found.blind && !cell.isRevealed && ["heat", "cell", "field"].includes(act)) {
      show(reveal, own.blindFirst);
      return;
    }
    if (act === "skip") queue.cursor += 1;
    else if (act === "heat") {
      toggleHeat(cell);
      return;
    } else if (act === "cell") {
      location.href = address("cell", { sequence: cell.sequence });
      return;
    } else if (act === "field") {
      if (cell.field) location.href = address("field", { sequence: cell.sequence });
      return;
    } else if (mayAnswer) queue.answer(act);
    else return;
    undone = null;
    queue.changed();
    draw();
  }

  document.addEventListener("keydown", (event) => {
    // A key that is held down on a button would answer one cell after another.
    if (event.repeat && event.target.closest?.("button")) event.preventDefault();
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.repeat) return;
    const act = KEYS[event.key.toLowerCase()];
    if (!act || isTyping(event.target)) return;
    event.preventDefault();
    turn(act);
  });
  addEventListener("beforeunload", (event) => {
    if (queue.unsent.length) event.preventDefault();
  });

  show(main, h("div.queue", {},
    h("div.title", {}, h("h1", {}, own.heading, specimen ? ` ${specimen}` : ""), place, saved,
      mayAnswer && h("span.who", {}, own.as(name), " ", h("button", {
        type: "button",
        onclick() {
          forget(session);
          location.reload();
        },
      }, own.change)),
      mayAnswer && h("label", { title: session.blind_first ? own.blindFixed : own.blindWhy },
        h("input", {
          type: "checkbox", id: "blind", checked: found.blind, disabled: session.blind_first,
          onchange(event) {
            localStorage.setItem(blindKey, event.target.checked ? "1" : "0");
            location.reload();
          },
        }), ` ${own.blind}`)),
    !mayAnswer && h("p.problem", {}, own.mayNot), failed, reveal, stage,
    h("div.buttons", { role: "group", "aria-label": own.keys },
      button("all", "B", ".all"), button("hem", "N", ".hem"), button("other", "O"),
      button("undo", "U"), button("skip", "S"), button("heat", "H"), button("field", "F"),
      button("cell", "C"), button("help", "?")), help));
  queue.changed();
  draw();
  follow(null, {
    event(kind, value) {
      if (kind !== "review") return;
      const cell = queue.cells.find((one) => one.result_id === value.result_id);
      // One's own answers come back as well.
      if (!cell || cell.last) return;
      cell.other = value;
      if (cell === queue.cell) draw();
    },
  });
}
