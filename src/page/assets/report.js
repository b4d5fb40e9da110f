// A specimen's report, to be printed: everything on one screen, nothing that is asked for later.

import { address, get } from "./api.js";
import { h, show } from "./dom.js";
import {
  decision, describe, facts, interval, picture, probability, share, standing, table, time,
} from "./parts.js";
import { signState } from "./sign.js";
import { scoreFacts, tally } from "./specimens.js";
import { text } from "./text.js";

// Pictures of a report are printed, so that none waits until it is scrolled to.
function shown(cell) {
  const frame = picture(cell, "thumbnail", describe(cell));
  frame.querySelector("img").loading = "eager";
  return h("a.card", { href: address("cell", { sequence: cell.sequence }) }, frame,
    h("span.number", {}, [cell.slide, cell.cell].filter((part) => part).join("/") || cell.sequence),
    decision(cell.decision),
    h("span.number", {}, `${text.cell.probability} ${probability(cell.p_all)}`),
    standing(cell.standing));
}

function gallery(heading, { cells, total }) {
  const own = text.report;
  return h("section", {}, h("h2", {}, `${heading} (${total})`),
    cells.length < total && h("p", {}, own.more(cells.length, total)),
    cells.length ? h("div.grid", {}, cells.map(shown)) : h("p", {}, own.none));
}

// Name and digest of each model: names are known from the pictured cells.
function models({ digests, likeliest, to_review: toReview }) {
  const names = new Map(digests.filter(Boolean).map((digest) => [digest, "–"]));
  for (const { model } of [...likeliest.cells, ...toReview.cells]) {
    if (model) names.set(model.digest, model.id);
  }
  return [...names];
}

function flagged({ flags }) {
  const own = text.specimen;
  return flags.flatMap((flag) => ["counted", "corrected"].filter((of) => flag[of]).map((of) =>
    h("li", {}, own.flag(share(flag.fraction), own.flagOf[of], own.where[flag[of]] ?? flag[of]))));
}

export async function report({ main, query, follow }) {
  const name = query.get("specimen") ?? "";
  const own = text.report;
  const found = await get("api/report", { specimen: name });
  const { figures } = found;
  const seen = models(found);
  const flags = flagged(figures);
  // Stands below each screen; a printed page needs it above too.
  const notice = document.querySelector("footer").textContent.trim();
  show(main, h("h1", {}, `${own.heading} ${name}`), h("p.notice", {}, notice),
    h("p.noprint", {}, h("button.main", { type: "button", onclick: () => print() }, own.print), " ",
      h("a.button", { href: address("specimen", { specimen: name }) }, text.cell.toSpecimen)),
    facts([[own.made, time(found.made_at)], [own.asOf, String(found.as_of)],
      [own.first, time(figures.first_at)], [own.last, time(figures.last_at)]]),
    h("section", {}, h("h2", {}, own.figures), facts([
      [text.specimens.cells, tally(figures.cells)],
      [text.specimen.share, interval(figures.share) ?? text.specimens.none],
      [text.specimen.corrected, interval(figures.corrected)],
      [text.specimen.uncorrected, figures.uncorrected_why],
      ...scoreFacts(figures.score)]),
    flags.length > 0 && h("ul", {}, flags),
    table([own.slide, text.specimens.cells], figures.slides.map((slide) =>
      [slide.slide || text.specimen.noSlide, tally(slide.cells)]))),
    h("section", {}, h("h2", {}, own.models), seen.length
      ? table([own.model, own.digest], seen.map(([digest, id]) => [id, h("code", {}, digest)]))
      : h("p", {}, own.noModel)),
    h("section", {}, h("h2", {}, own.readers), found.readers.length
      ? table([own.reader, own.answers, own.agreed, own.lastAnswer], found.readers.map((one) =>
        [one.reviewer, String(one.answers), `${one.agreed} (${share(one.agreed / one.answers)})`,
          time(one.last_at)]))
      : h("p", {}, own.noReaders)),
    h("section", {}, h("h2", {}, text.sign.heading), h("p", {}, signState(figures.sign_off)),
      figures.sign_off?.since && h("p", {}, text.sign.since(figures.sign_off.since)),
      figures.sign_off?.signatures.length > 0 && h("ul", {}, figures.sign_off.signatures.map((one) =>
        h("li", {}, text.sign.signed(one.signer, time(one.at), one.sequence),
          !one.counts && ` ${text.sign.noLonger}`)))),
    gallery(own.toReview, found.to_review),
    gallery(own.likeliest, found.likeliest),
    h("p.notice", {}, notice));
  follow(null);
}
