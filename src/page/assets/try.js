// What leukd would say of an image. Nothing is stored.

import { post } from "./api.js";
import { figureTable, reasonList } from "./cell.js";
import { h, show } from "./dom.js";
import { outlines } from "./field.js";
import { decision, probability, problem } from "./parts.js";
import { text } from "./text.js";

function url(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
}

function said(cell, at) {
  return h("section.said", { tabindex: "0" }, h("h2", {}, String(at + 1)),
    h("p", {}, decision(cell.decision), ` ${text.cell.probability} ${probability(cell.p_all)}`),
    cell.map && h("div.picture.cell", {}, h("img", { src: url(cell.map), alt: text.cell.heat })),
    reasonList(cell), figureTable(cell.figures));
}

export async function attempt({ main, session, follow }) {
  const own = text.try;
  const mayTry = session.scopes.includes("classify");
  const result = h("div", { role: "status" });
  let turns = 0;
  const look = async (file) => {
    if (!file) return;
    turns += 1;
    const mine = turns;
    show(result, h("p", {}, own.busy(file.name)));
    try {
      const found = await post("api/try", file);
      // Another image was chosen meanwhile.
      if (mine !== turns) return;
      const cells = found.cells.map(said);
      const picture = url(found.png);
      const shown = found.field
        ? outlines(picture, [found.width, found.height], found.cells, cells)
        : h("div.picture.cell", {}, h("img", { src: picture, alt: own.heading }));
      show(result, h("p", {}, h("strong", {}, file.name), `: ${own.result(cells.length)}. ${own.notStored}`),
        cells.length ? h("div.two", {}, shown, h("div", {}, cells))
          : [h("p", {}, own.none), shown]);
    } catch (error) {
      if (mine === turns) show(result, problem(error));
    }
  };
  const input = h("input", { id: "file", type: "file", onchange: () => look(input.files[0]) });
  const zone = h("div.drop", {
    ondragover(event) {
      event.preventDefault();
      zone.classList.add("over");
    },
    ondragleave: () => zone.classList.remove("over"),
    ondrop(event) {
      event.preventDefault();
      zone.classList.remove("over");
      look(event.dataTransfer.files[0]);
    },
  }, h("p", {}, own.explain), h("label", { for: "file" }, own.choose), " ", input);
  show(main, h("h1", {}, own.heading), mayTry ? zone : h("p.problem", {}, own.mayNot), result);
  follow(null);
}
