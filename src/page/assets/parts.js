// Parts that several screens share.

import { address, raise } from "./api.js";
import { h, show } from "./dom.js";
import { text } from "./text.js";

const TIME = new Intl.DateTimeFormat("en-GB", {
  year: "numeric", month: "short", day: "2-digit", hour: "2-digit", minute: "2-digit",
  second: "2-digit", timeZoneName: "short",
});

export const time = (ms) => (ms ? TIME.format(new Date(ms)) : "–");
export const share = (value) => `${(100 * value).toFixed(1)} %`;
export const probability = (value) => (value === null ? "–" : value.toFixed(4));

export function interval(of) {
  if (!of) return null;
  if (of.lower === null) return share(of.value);
  return `${share(of.value)} (${share(of.lower)} to ${share(of.upper)})`;
}

export function decision(word) {
  const [shape, name] = text.decision[word];
  return h(`span.tag.${word}`, {}, h("span", { "aria-hidden": "true" }, shape), ` ${name}`);
}

export function standing(of) {
  if (!of || of.verdict === "suggested") return h("span.standing", {}, text.verdict.suggested);
  const says = `${text.verdict[of.verdict]}: ${text.label[of.label]}`;
  const shape = of.verdict === "confirmed" ? "✓" : "≠";
  return h(`span.standing.${of.verdict}`, {}, `${shape} ${says}`);
}

export function pictureAddress(cell, of) {
  return address("api/picture", { sequence: cell.sequence, of });
}

export function describe(cell) {
  const name = [cell.specimen, cell.slide, cell.cell].filter((part) => part).join("/");
  // A blind review knows no decision.
  const parts = [name || cell.sequence, text.decision[cell.decision]?.[1]];
  return parts.filter((part) => part).join(", ");
}

// A picture, or what to do where there is none.
export function picture(cell, of, alt) {
  const source = pictureAddress(cell, of);
  const frame = h(`div.picture.${of}`);
  const image = h("img", { src: source, alt, loading: of === "thumbnail" ? "lazy" : "eager" });
  image.addEventListener("error", async () => {
    let why = text.problem.noPicture;
    try {
      const response = await fetch(source);
      if (!response.ok) await raise(response);
      // It was refused for a moment alone.
      if (!frame.dataset.again) {
        frame.dataset.again = "1";
        image.src = `${source}&again=1`;
        return;
      }
    } catch (problem) {
      why = problem.message || why;
    }
    show(frame, h("p.gone", { role: "img", "aria-label": why, title: why },
      h("strong", {}, text.problem.noPicture), h("span", {}, why)));
  });
  frame.append(image);
  return frame;
}

export function card(cell) {
  return h("a.card", {
    href: address("cell", { sequence: cell.sequence }), "data-sequence": cell.sequence,
  }, picture(cell, "thumbnail", describe(cell)), decision(cell.decision),
  h("span.number", {}, `${text.cell.probability} ${probability(cell.p_all)}`),
  standing(cell.standing));
}

export function problem(error, again) {
  return h("div.problem", { role: "alert" }, h("strong", {}, text.problem.heading),
    h("p", {}, error.message),
    again && h("button", { type: "button", onclick: again }, text.problem.again));
}

export function facts(pairs) {
  const lines = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl.facts", {}, lines.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

export function table(heads, rows) {
  return h("div.wide", { tabindex: "0", role: "group" }, h("table", {},
    h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell)))))));
}
