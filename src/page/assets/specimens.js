// All specimens, and one of them.

import { address, drawing, get } from "./api.js";
import { h, show } from "./dom.js";
import { card, interval, problem, share, table, time } from "./parts.js";
import { signSection, signState } from "./sign.js";
import { text } from "./text.js";

export const tally = (cells) => `${cells.all} / ${cells.hem} / ${cells.review} / ${cells.rejected}`;

function line(one) {
  const { specimen: name, figures } = one;
  const link = name
    ? h("a", { href: address("specimen", { specimen: name }) }, name) : text.unnamed;
  const queue = one.to_review && name
    ? h("a", { href: address("review", { specimen: name }) }, String(one.to_review))
    : String(one.to_review);
  return [link, figures ? tally(figures.cells) : "–",
    (figures && interval(figures.share)) ?? text.specimens.none,
    (figures && interval(figures.corrected)) ?? "–", queue,
    signState(figures?.sign_off), figures ? time(figures.last_at) : "–"];
}

export async function specimens({ main, query, follow, outdated }) {
  const found = await get("api/specimens", { offset: query.get("offset") });
  const heads = text.specimens;
  show(main, h("h1", {}, heads.heading), found.specimens.length
    ? table([heads.specimen, heads.cells, heads.share, heads.corrected, heads.toReview,
      heads.signOff, heads.last],
      found.specimens.map(line))
    : h("p", {}, heads.empty),
  found.next !== null && h("p", {},
    h("a.button", { href: address("specimens", { offset: found.next }) }, text.more)));
  follow(null, { event: outdated });
}

// The score in words: rows of a name and what is said.
export function scoreFacts(score) {
  const own = text.specimen;
  if (score.value === null) return [[own.noScore, score.missing_why]];
  const [value, lower, upper] = [score.value, score.lower, score.upper].map((n) => n.toFixed(2));
  return [[own.score, own.scored(`${value} (${lower} – ${upper})`, score.cells)],
    [own.place, score.among ? own.among(score.among) : score.missing_why]];
}

// The same with its place among persons as a picture.
async function scored(score) {
  const words = scoreFacts(score).map(([name, said]) =>
    h("p", {}, name, ": ", h("strong", {}, said)));
  if (!score.among) return words;
  const figure = h("figure", {});
  try {
    figure.append(await drawing("api/plot", { of: "persons", score: String(score.value) }));
  } catch (error) {
    figure.append(problem(error));
  }
  return [words, figure];
}

function figures(name, found, toReview, score) {
  const own = text.specimen;
  const flags = found.flags.flatMap((flag) => ["counted", "corrected"]
    .filter((of) => flag[of])
    .map((of) => h("li", {},
      own.flag(share(flag.fraction), own.flagOf[of], own.where[flag[of]] ?? flag[of]))));
  return h("section.figures", {},
    h("p", {}, text.specimens.cells, ": ", h("strong", {}, tally(found.cells))),
    h("p", {}, own.share, ": ", h("strong", {}, interval(found.share) ?? text.specimens.none)),
    found.corrected
      ? h("p", {}, own.corrected, ": ", h("strong", {}, interval(found.corrected)))
      : h("p", {}, own.uncorrected, ": ", found.uncorrected_why),
    flags.length > 0 && h("ul", {}, flags),
    score,
    h("p", {}, toReview > 0 && h("a.button.main", {
      href: address("review", { specimen: name }),
    }, own.reviewThese(toReview))));
}

function choice(id, label, values, chosen, onchange) {
  return h("label", {}, label, h("select", { name: id, onchange },
    values.map(([value, name]) => h("option", { value, selected: value === chosen }, name))));
}

export async function specimen({ main, query, session, follow, outdated }) {
  const name = query.get("specimen") ?? "";
  const own = text.specimen;
  const found = await get("api/specimen", { specimen: name });
  const grid = h("div.grid");
  const place = h("p", { role: "status" });
  const pages = h("p.pages");
  const words = (of) => [["", own.any], ...Object.entries(of)];
  const decisions = Object.fromEntries(
    Object.entries(text.decision).map(([word, [, says]]) => [word, says]));
  const change = (event) => {
    const { name: key, value } = event.target;
    if (value) query.set(key, value);
    else query.delete(key);
    query.delete("offset");
    if (query.get("order") === "random") {
      query.set("seed", String(1 + Math.floor(Math.random() * 1e6)));
    } else {
      query.delete("seed");
    }
    turn();
  };
  const slides = found.slides.map((slide) => [slide.slide, slide.slide || own.noSlide]);
  const filters = h("form.filters", { "aria-label": own.filter },
    choice("order", own.order, Object.entries(own.orders), query.get("order") ?? "likeliest",
      change),
    choice("decision", own.decision, words(decisions), query.get("decision") ?? "", change),
    choice("standing", own.standing, words(text.verdict), query.get("standing") ?? "", change),
    choice("reason", own.reason, [["", own.any], ...session.reasons.map((word) => [word, word])],
      query.get("reason") ?? "", change),
    slides.length > 1 && choice("slide", own.slide,
      [["", own.any], ...slides.filter(([value]) => value)], query.get("slide") ?? "", change));

  const mine = new Set();
  let turns = 0;

  async function turn() {
    turns += 1;
    const own_turn = turns;
    history.replaceState(null, "", address("specimen", Object.fromEntries(query)));
    let page;
    try {
      page = await get("api/gallery", Object.fromEntries(query));
    } catch (error) {
      if (own_turn === turns) {
        place.textContent = "";
        show(pages);
        show(grid, problem(error, turn));
      }
      return;
    }
    // A later choice was made meanwhile.
    if (own_turn !== turns) return;
    const offset = Number(query.get("offset") ?? 0);
    show(grid, page.cells.map(card));
    place.textContent = page.total
      ? own.shown(offset + 1, offset + page.cells.length, page.total) : own.empty;
    const step = (to, label) => h("button", {
      type: "button",
      onclick() {
        query.set("offset", String(Math.max(0, to)));
        turn();
        main.scrollTop = 0;
      },
    }, label);
    show(pages, offset > 0 && step(offset - page.page, own.previous),
      offset + page.cells.length < page.total && step(offset + page.page, own.next));
  }

  const waiting = await get("api/gallery", {
    specimen: name, decision: "review", standing: "suggested",
  });
  const score = await scored(found.score);
  show(main, h("h1", {}, `${text.specimens.specimen} ${name}`),
    figures(name, found, waiting.total, score),
    signSection(name, found.sign_off, session, (id) => mine.add(id)),
    h("p", {}, h("a.button", { href: address("report", { specimen: name }) }, own.report), " ",
      h("a.button", {
        href: address("api/cells.csv", { specimen: name }), download: "",
      }, own.csv)),
    filters, h("p.hint", {}, own.hint), place, grid, pages);
  await turn();
  // One's own signatures come back as well.
  follow(null, {
    event: (_, value) => value.specimen === name && !mine.has(value.signature_id) && outdated(),
  });
}
