// How often readers agree with leukd's suggestion, by reader and day.

import { get } from "./api.js";
import { h, show } from "./dom.js";
import { share, table } from "./parts.js";
import { text } from "./text.js";

const day = (ms) => new Date(ms).toISOString().slice(0, 10);
const rate = (part, of) => `${part} (${share(part / of)})`;

export async function readers({ main, follow, outdated }) {
  const own = text.readers;
  const found = await get("api/readers");
  show(main, h("h1", {}, own.heading), h("p.hint", {}, own.explain(found.reviews)),
    found.readers.length
      ? table([own.day, own.reader, own.answers, own.agreed, own.overridden, own.blind,
        own.changed],
        found.readers.map((one) => [day(one.last_at), one.reviewer, String(one.answers),
          rate(one.agreed, one.answers), rate(one.answers - one.agreed, one.answers),
          one.blind ? own.blindOf(rate(one.blind_agreed, one.blind), one.blind) : "–",
          String(one.changed)]))
      : h("p", {}, own.empty));
  follow(null, { event: (kind) => kind === "review" && outdated() });
}
