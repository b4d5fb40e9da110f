// A field of view: outlines over its picture, and its cells beside it.

import { address, get, raise } from "./api.js";
import { h, show, svg } from "./dom.js";
import { card, describe, problem } from "./parts.js";
import { text } from "./text.js";

const NUDGE = 4;

// Cells with an outline each over a picture; choosing one marks its card, and the other way round.
export function outlines(source, [width, height], cells, cards) {
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "outlines" });
  const mark = (at, isScrolling) => {
    for (const element of [...drawn.children, ...cards]) element.classList.remove("chosen");
    drawn.children[at].classList.add("chosen");
    cards[at].classList.add("chosen");
    if (isScrolling) cards[at].scrollIntoView({ block: "nearest" });
  };
  cells.forEach((cell, at) => {
    const group = svg("g", {
      class: `outline ${cell.decision}`, tabindex: "0", role: "button",
      "aria-label": describe(cell),
      onclick: () => mark(at, true),
      onkeydown(event) {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          mark(at, true);
        }
      },
    });
    const points = cell.outline?.map(([x, y]) => `${x},${y}`).join(" ");
    if (points) group.append(svg("polygon", { points }));
    const region = cell.region ?? { x: 0, y: 0 };
    const size = Math.max(14, width / 70);
    const above = Math.max(size, region.y - NUDGE);
    group.append(svg("text", { x: region.x, y: above, "font-size": size },
      `${text.decision[cell.decision][0]} ${at + 1}`));
    drawn.append(group);
    cards[at].addEventListener("mouseenter", () => mark(at, false));
    cards[at].addEventListener("focus", () => mark(at, false));
  });
  return h("div.field", {}, h("img", { src: source, alt: text.field.heading }), drawn);
}

async function load(sequence) {
  const response = await fetch(address("api/picture", { sequence, of: "field" }));
  if (!response.ok) await raise(response);
  const size = response.headers.get("x-leukd-size").split("x").map(Number);
  return [URL.createObjectURL(await response.blob()), size];
}

export async function field({ main, query, follow }) {
  const own = text.field;
  const found = await get("api/field", { sequence: query.get("sequence") });
  const cards = found.cells.map(card);
  const frame = h("div.frame");
  show(main, h("h1", {}, own.heading),
    !found.field && h("p", {}, own.single),
    h("p", {}, `${own.cells(found.cells.length)}. `, h("code", {}, found.source?.file ?? "")),
    h("p.hint", {}, own.hint),
    h("div.two.wide-left", {}, frame, h("div.grid.beside", {}, cards)));
  try {
    const sequence = found.cells[0]?.sequence;
    if (sequence) {
      const [source, size] = await load(sequence);
      show(frame, outlines(source, size, found.cells, cards));
    }
  } catch (error) {
    show(frame, problem(error));
  }
  follow(null);
}
