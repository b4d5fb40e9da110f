// The card of the model in service.

import { drawing, get } from "./api.js";
import { h, show } from "./dom.js";
import { facts, problem, table, time } from "./parts.js";
import { text } from "./text.js";

function metricRow(metric) {
  const round = (number) => number.toFixed(3);
  const value = metric.lower === null ? round(metric.value)
    : `${round(metric.value)} (${round(metric.lower)} to ${round(metric.upper)})`;
  return [metric.name, value, metric.split, `${metric.cells} (${metric.subjects})`];
}

async function plot(name) {
  const own = text.model.plots;
  const figure = h("figure", {}, h("figcaption", {}, h("h3", {}, own.names[name]),
    h("p.hint", {}, own.says[name])));
  try {
    figure.append(await drawing("api/plot", { of: name }));
  } catch (error) {
    figure.append(problem(error));
  }
  return figure;
}

export async function model({ main, follow }) {
  const own = text.model;
  const found = await get("api/model");
  const plots = await Promise.all(found.plots.map(plot));
  const missing = found.not_drawn.map((name) => h("li", {}, text.model.plots.missing[name]));
  const band = found.review.map((end) => end.toFixed(3)).join(" – ");
  show(main, h("h1", {}, `${own.heading} ${found.id}`),
    h("section", {}, h("h2", {}, own.facts), facts([
      [own.digest, h("code", {}, found.digest)], [own.origin, found.origin],
      [own.since, time(found.since)], [own.engine, found.engine],
      [own.threshold, found.threshold.toFixed(4)],
      [own.band, found.review_why ? `${band}: ${found.review_why}` : band],
      [own.trained, found.trained_at], [own.trainer, found.trainer], [own.data, found.data],
      [own.cells, String(found.cells)]])),
    h("section", {}, h("h2", {}, own.figures), h("p.hint", {}, own.warning),
      table([own.name, own.value, own.split, own.of], found.metrics.map(metricRow))),
    h("section", {}, h("h2", {}, own.plots.heading), plots,
      missing.length > 0 && [h("h3", {}, own.plots.lacks), h("ul", {}, missing)]),
    h("section", {}, h("h2", {}, own.card), h("pre", { tabindex: "0" }, found.card)));
  follow(null);
}
