// One cell: its picture, what was said of it and why.

import { address, get } from "./api.js";
import { h, show } from "./dom.js";
import { decision, describe, facts, picture, probability, standing, table, time } from "./parts.js";
import { text } from "./text.js";
import { zoom } from "./zoom.js";

function figureRow({ name, value, lower, upper }) {
  const own = text.cell;
  const known = lower !== null;
  const outside = known && (value < lower || value > upper);
  const round = (number) => Number(number.toPrecision(4)).toString();
  const bounds = known ? `${round(lower)} to ${round(upper)}` : "–";
  return [own.names[name] ?? name, round(value), bounds,
    known ? h(`span.${outside ? "bad" : "fine"}`, {},
      outside ? `≠ ${own.outside}` : `✓ ${own.within}`) : ""];
}

export function figureTable(figures) {
  const own = text.cell;
  return figures.length > 0 && h("section", {}, h("h2", {}, own.figures),
    table([own.figure, own.value, own.bounds, ""], figures.map(figureRow)));
}

export function reasonList(cell) {
  const own = text.cell;
  return [h("h2", {}, own.reasons), cell.reasons.length
    ? h("ul", {}, cell.reasons.map((reason) => h("li", {}, reason.message)))
    : h("p", {}, own.noReasons),
  cell.flags.length > 0 && h("p", {}, `${own.flags}: ${cell.flags.join(", ")}`)];
}

export async function cell({ main, query, follow, outdated }) {
  const own = text.cell;
  const found = await get("api/cell", { sequence: query.get("sequence") });
  const { cell: one } = found;
  const alt = describe(one);
  const frame = h("div.frame", {}, picture(one, "cell", alt));
  const heat = h("input", {
    type: "checkbox", id: "heat",
    onchange: () => show(frame, picture(one, heat.checked ? "heat" : "cell", alt)),
  });
  const history = found.reviews.map((review) => h("li", {},
    h("strong", {}, text.label[review.label]), ` ${review.reviewer}, ${time(review.at)}`,
    review.note && ` (${review.note})`));
  show(main, h("h1", {}, `${own.heading} ${one.sequence}`), h("div.two", {},
    h("section", {}, frame, zoom(frame, found.scale),
      h("p", {}, h("label", {}, heat, ` ${own.heat}`)),
      h("p.hint", {}, own.heatWhy)),
    h("section", {},
      h("p", {}, decision(one.decision), " ", standing(one.standing)),
      facts([[own.probability, probability(one.p_all)],
        [text.specimens.specimen, one.specimen && h("a", {
          href: address("specimen", { specimen: one.specimen }),
        }, one.specimen)],
        [own.slide, one.slide], [own.number, one.cell], [own.captured, time(one.captured_at)],
        [own.classified, time(one.classified_at)], [own.model, one.model?.id],
        [own.file, one.source.file], [own.request, one.source.request]]),
      one.field && h("p", {}, h("a.button", {
        href: address("field", { sequence: one.sequence }),
      }, own.toField)),
      reasonList(one),
      h("h2", {}, own.history), history.length ? h("ul", {}, history) : h("p", {}, own.noHistory))),
  figureTable(found.figures));
  follow(null, {
    event: (kind, value) => kind === "review" && value.of === one.sequence && outdated(),
  });
}
