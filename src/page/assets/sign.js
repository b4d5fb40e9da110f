// The sign-off of a specimen: what is missing, who has signed, and what changed since.

import { address, get, post } from "./api.js";
import { h, show } from "./dom.js";
import { time } from "./parts.js";
import { remember, suggested } from "./person.js";
import { text } from "./text.js";

export function signState(of) {
  if (!of) return "–";
  const [shape, name] = text.sign.state[of.state];
  const people = of.signatures.filter((one) => one.counts).map((one) => one.signer).join(", ");
  return h(`span.sign.${of.state}`, {}, h("span", { "aria-hidden": "true" }, shape),
    ` ${name}`, people && ` (${people})`);
}

// A question that is asked over the screen. `ask` sends, and an error of it is shown there. Its
// button sends once: what comes of it is awaited, and a second try carries the same id.
function dialog(heading, explain, fields, submit, ask) {
  const failed = h("p.bad", { role: "alert" });
  const button = h("button.main", { type: "submit" }, submit);
  const box = h("dialog", { "aria-labelledby": "question" }, h("form.narrow", {
    async onsubmit(event) {
      event.preventDefault();
      if (button.disabled) return;
      button.disabled = true;
      show(failed);
      try {
        await ask();
        box.close();
      } catch (error) {
        show(failed, error.message);
        button.disabled = false;
      }
    },
  }, h("h2", { id: "question" }, heading), h("p", {}, explain), fields, failed,
  h("div.buttons", {}, button, h("button", {
    type: "button", onclick: () => box.close(),
  }, text.sign.cancel))));
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
}

function input(id, label, value, attributes = {}) {
  const field = h("input", { id, value, maxlength: "42", ...attributes });
  return [field, h("label", { for: id }, label, field)];
}

// `mine` is called with the id of each signature of this screen, before it is sent.
export function signSection(name, first, session, mine) {
  const own = text.sign;
  const section = h("section.signoff", { "aria-labelledby": "signoff" });
  const mayAnswer = session.scopes.includes("review");
  let of = first;

  async function send(body) {
    mine(body.signature_id);
    await post("api/signatures", { specimen: name, ...body });
    of = (await get("api/specimen", { specimen: name })).sign_off;
    draw();
    section.querySelector("h2").focus();
  }

  function sign() {
    const signature_id = crypto.randomUUID();
    const { as_of } = of;
    const [signer, field] = input("signer", own.name, suggested(session), {
      required: true, autocomplete: "name",
    });
    dialog(own.question(name), own.explain, field, own.sign(name), async () => {
      const person = signer.value.trim();
      await send({ act: "signed", signer: person, as_of, signature_id });
      remember(session, person);
    });
  }

  function withdraw(signature) {
    const signature_id = crypto.randomUUID();
    const [by, who] = input("by", own.name, suggested(session), {
      required: true, autocomplete: "name",
    });
    const [reason, why] = input("reason", own.reason, "", { maxlength: "1000" });
    dialog(own.withdrawQuestion(signature.signer, name), own.withdrawExplain, [who, why],
      own.withdraw, () => send({
        act: "withdrawn", signer: signature.signer, by: by.value.trim(),
        reason: reason.value.trim(), signature_id,
      }));
  }

  function line(signature) {
    return h("li", {}, own.signed(signature.signer, time(signature.at), signature.sequence),
      !signature.counts && h("strong.stale", {}, ` ${own.noLonger}`), " ",
      mayAnswer && h("button", {
        type: "button", onclick: () => withdraw(signature),
        "aria-label": own.withdrawOf(signature.signer),
      }, own.withdraw));
  }

  function draw() {
    if (!of) {
      show(section);
      return;
    }
    const current = of.signatures.filter((one) => one.counts).length;
    const cells = of.first.flatMap((sequence) => [" ",
      h("a", { href: address("cell", { sequence }) }, String(sequence))]);
    show(section, h("h2", { id: "signoff", tabindex: "-1" }, own.heading),
      h("p", {}, signState(of)),
      of.to_review > 0 && h("p.missing", {}, own.missing(of.to_review), " ", own.first, cells,
        of.to_review > of.first.length && " …"),
      of.state === "waiting" && h("p.missing", {}, own.signatures(current, of.readers)),
      of.since && h("p.changed", {}, own.since(of.since)),
      of.signatures.length > 0 && h("ul", {}, of.signatures.map(line)),
      of.state !== "signed" && of.to_review === 0 && (mayAnswer
        ? h("button.main", { type: "button", id: "sign", onclick: sign }, own.sign(name))
        : h("p.hint", {}, own.mayNot)));
  }

  draw();
  return section;
}
