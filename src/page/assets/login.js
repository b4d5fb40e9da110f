// Signing in: the token is sent once, and is not kept in the browser.

import { post } from "./api.js";
import { h, show } from "./dom.js";
import { problem } from "./parts.js";
import { text } from "./text.js";

export function login(main) {
  const said = h("div");
  const token = h("input", {
    id: "token", type: "password", autocomplete: "off", required: true, spellcheck: "false",
  });
  const form = h("form.narrow", {
    async onsubmit(event) {
      event.preventDefault();
      try {
        await post("api/login", { token: token.value });
        location.reload();
      } catch (error) {
        token.value = "";
        show(said, problem(error));
        token.focus();
      }
    },
  }, h("h1", {}, text.login.heading), h("p", {}, text.login.explain),
  h("label", { for: "token" }, text.login.token), token,
  h("button.main", { type: "submit" }, text.login.submit), said);
  show(main, form);
  token.focus();
}
