// Requests to leukd. Addresses are relative, so that a prefix in front of the page works.

import { text } from "./text.js";

export class Problem extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, signal: AbortSignal.timeout(70_000) });
  } catch {
    throw new Problem(0, "LOST", text.problem.lost);
  }
  return response.ok ? response : raise(response);
}

export async function raise(response) {
  let error = { code: "UNKNOWN", message: `${response.status} ${response.statusText}` };
  try {
    error = (await response.json()).error ?? error;
  } catch { /* not JSON: the status says what there is to say */ }
  throw new Problem(response.status, error.code, error.message);
}

export function address(path, values = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, value);
  }
  const tail = query.toString();
  return tail ? `${path}?${tail}` : path;
}

// `background`: nobody asked for it, so that it does not keep a session alive.
export async function get(path, values, { background = false } = {}) {
  const headers = background ? { "X-Leukd-Background": "1" } : {};
  return (await ask(address(path, values), { headers })).json();
}

export async function post(path, body) {
  const isBytes = body instanceof Blob;
  const headers = { "X-Leukd": "1" };
  if (!isBytes) headers["Content-Type"] = "application/json";
  const options = { method: "POST", headers, body: isBytes ? body : JSON.stringify(body ?? {}) };
  return (await ask(path, options)).json();
}

// A drawing as an element. The browser parses it, and no text of ours becomes markup.
export function drawing(path, values) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("GET", address(path, values));
    request.responseType = "document";
    request.timeout = 70_000;
    const lost = () => fail(new Problem(0, "LOST", text.problem.lost));
    request.addEventListener("error", lost);
    request.addEventListener("timeout", lost);
    request.addEventListener("load", () => {
      const root = request.responseXML?.documentElement;
      if (request.status === 200 && root?.tagName === "svg") done(document.importNode(root, true));
      else fail(new Problem(request.status, "NO_PLOT", text.problem.noPlot));
    });
    request.send();
  });
}
