// A picture that can be enlarged, by buttons or keys, and how long a micrometre is on it.

import { h } from "./dom.js";
import { text } from "./text.js";

const STEPS = [1, 1.5, 2, 3, 4, 6, 8];
const KEYS = { "+": 1, "=": 1, "-": -1, 0: 0 };
// Lengths of a scale bar, in micrometres, and the share of the picture that it may take.
const LENGTHS = [1, 2, 5, 10, 20, 50, 100];
const SHARE = 0.4;

// Pixels of the screen that one pixel of the picture takes at zoom 1.
function fit(image) {
  const { naturalWidth: width, naturalHeight: height, clientWidth, clientHeight } = image;
  return width && height ? Math.min(clientWidth / width, clientHeight / height) : 0;
}

// `frame` holds a `.picture`, which may be replaced; `scale` is null where nobody knows it.
export function zoom(frame, scale) {
  const own = text.cell.zoom;
  let step = 0;
  const says = h("span", { role: "status", id: "zoom" });
  const bar = h("span.bar-length", { "aria-hidden": "true" });
  const length = h("span");
  const picture = () => frame.querySelector(".picture");

  function measure() {
    const image = picture()?.querySelector("img");
    // A heat map is drawn at the size that the model sees.
    const isCell = picture()?.classList.contains("cell");
    const unit = scale && image && isCell ? (fit(image) * STEPS[step]) / scale.micrometres_per_pixel : 0;
    bar.hidden = !unit;
    if (!unit) {
      length.textContent = scale ? "" : own.unknown;
      return;
    }
    const room = picture().clientWidth * SHARE;
    const micrometres = LENGTHS.filter((one) => one * unit <= room).pop() ?? LENGTHS[0];
    bar.style.width = `${micrometres * unit}px`;
    length.textContent = own.bar(micrometres, own.sources[scale.source] ?? scale.source);
  }

  function apply() {
    const shown = picture();
    const image = shown?.querySelector("img");
    says.textContent = own.at(STEPS[step]);
    if (image) {
      shown.classList.toggle("zoomed", step > 0);
      // Through the style's object: the policy forbids the attribute.
      image.style.transform = step ? `scale(${STEPS[step]})` : "";
      // The keys that scroll move the picture.
      if (step) shown.setAttribute("tabindex", "0");
      else shown.removeAttribute("tabindex");
      shown.scrollTo((shown.scrollWidth - shown.clientWidth) / 2,
        (shown.scrollHeight - shown.clientHeight) / 2);
      if (!image.complete) image.addEventListener("load", apply, { once: true });
    }
    measure();
  }

  function turn(by) {
    step = by ? Math.min(STEPS.length - 1, Math.max(0, step + by)) : 0;
    apply();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.target.closest?.("input:not([type=checkbox]), textarea, select")) return;
    const by = KEYS[event.key];
    if (by === undefined) return;
    event.preventDefault();
    turn(by);
  });
  addEventListener("resize", measure);
  new MutationObserver(apply).observe(frame, { childList: true });
  apply();
  const button = (by, name, key) => h("button", {
    type: "button", onclick: () => turn(by), "data-zoom": by,
  }, name, " ", h("kbd", {}, key));
  return h("div", {}, h("div.buttons", { role: "group", "aria-label": own.label },
    button(1, own.larger, "+"), button(-1, own.smaller, "-"), button(0, own.whole, "0"), says),
  h("p.scale", {}, bar, length));
}
