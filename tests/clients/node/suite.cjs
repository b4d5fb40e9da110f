// A client of leukd made from proto/ alone: one scenario of ../README.md a run.
//
//     NODE_PATH=…/node_modules node suite.cjs follow --proto ../../../proto --server 127.0.0.1:50051 --expect 60
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const { parseArgs } = require("node:util");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const PATIENCE = 60_000;
const code = grpc.status;

const options = {};
for (const name of ["proto", "server", "expect", "capture", "ca", "certificate", "key", "token-file"]) {
  options[name] = { type: "string" };
}
const { values: given, positionals } = parseArgs({ options, allowPositionals: true });
const expected = Number(given.expect);

// keepCase: fields are named as in the .proto, which its documents use. longs: a sequence has 64 bits,
// and a JavaScript number 53. defaults: else 0, false and "" are absent.
const files = fs.readdirSync(path.join(given.proto, "leukd/v1")).map((name) => `leukd/v1/${name}`);
const definition = loader.loadSync(files, {
  includeDirs: [given.proto], keepCase: true, longs: String, enums: String, oneofs: true, defaults: true,
});
const { leukd: { v1 } } = grpc.loadPackageDefinition(definition);

const deadline = () => ({ deadline: Date.now() + PATIENCE });
const sleep = (time) => new Promise((resolve) => setTimeout(resolve, time));

/** A service's client, with calls of one answer as promises. */
function client(Service, credentials = grpc.credentials.createInsecure()) {
  return new Service(given.server, credentials);
}

function call(stub, method, request, metadata = new grpc.Metadata()) {
  return new Promise((resolve, reject) => {
    stub[method](request, metadata, deadline(), (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

async function refused(status, promise) {
  const error = await promise.then(() => assert.fail(`answered, not refused with ${status}`), (error) => error);
  assert.strictEqual(error.code, status, String(error));
}

async function listed(pageSize) {
  const stub = client(v1.Results);
  const results = [];
  let [token, pages, bytes] = ["", 0, 0];
  do {
    const page = await call(stub, "ListResults", { page_size: pageSize, page_token: token });
    results.push(...page.results);
    bytes += v1.Results.service.ListResults.responseSerialize(page).length;
    pages += 1;
    token = page.next_page_token;
  } while (token);
  stub.close();
  return { results, pages, bytes };
}

/** One connection: adds to `seen` until `messages` have come, or all, or the connection breaks. */
function followOnce(seen, epoch, messages) {
  const stub = client(v1.Results);
  const after = seen.at(-1)?.sequence;
  const start = after ? { after: { epoch: epoch.of, sequence: after } } : { earliest: {} };
  return new Promise((resolve, reject) => {
    let greeted = false;
    const events = stub.Subscribe(start, deadline());
    const end = () => { events.cancel(); stub.close(); resolve(greeted); };
    events.on("error", (error) => {
      if (error.code === code.CANCELLED) return;
      // The daemon was killed: it comes again.
      if (error.code !== code.UNAVAILABLE) reject(error);
      stub.close();
      setTimeout(() => resolve(greeted), 100);
    });
    events.on("data", (event) => {
      if (messages === 0 || seen.length === expected) return;
      if (event.kind === "hello") {
        greeted = true;
        epoch.of = event.hello.epoch;
      } else if (event.kind === "result") {
        const before = seen.at(-1)?.sequence ?? "0";
        if (!(BigInt(event.result.sequence) > BigInt(before))) reject(new Error(`${before}, ${event.result.sequence}`));
        seen.push(event.result);
      } else if (event.kind !== "heartbeat") {
        reject(new Error(`an event of kind ${event.kind}`));
      }
      messages -= 1;
      if (messages === 0 || seen.length === expected) end();
    });
  });
}

async function follow() {
  const [seen, epoch, until] = [[], {}, Date.now() + PATIENCE];
  let connections = 0;
  while (seen.length < expected) {
    assert(Date.now() < until, `${seen.length} of ${expected} results`);
    connections += await followOnce(seen, epoch, 2 + Math.floor(11 * Math.random()));
  }
  const { results } = await listed(17);
  // A listing tells how each result stands now, a stream does not.
  const stored = results.map((result) => ({ ...result, standing: null }));
  assert(results.every((result) => result.standing), "a listing tells no standing");
  assert.deepStrictEqual(seen, stored);
  assert(connections > 1, "the connection never broke");
  const stub = client(v1.Results);
  const future = stub.Subscribe({ after: { epoch: epoch.of, sequence: String(2n ** 40n) } }, deadline());
  const error = await new Promise((resolve) => future.on("error", resolve).on("data", () => {}));
  assert.strictEqual(error.code, code.OUT_OF_RANGE, String(error));
  stub.close();
  console.log(`${seen.length} results over ${connections} connections, each just once`);
}

async function classify() {
  const image = fs.readFileSync(given.capture);
  const stub = client(v1.Classifier);
  const request = { image, specimen: "S-7", slide: "1", cell: "4" };
  const first = await call(stub, "Classify", request);
  const second = await call(stub, "Classify", request);
  assert.deepStrictEqual(first.result, second.result);
  assert(second.reused && !first.reused && first.result.label === "all" && first.result.specimen === "S-7");
  await refused(code.INVALID_ARGUMENT, call(stub, "Classify", { image: Buffer.from("no picture") }));
  const stream = stub.ClassifyStream(deadline());
  const answers = [];
  const ended = new Promise((resolve, reject) => stream.on("end", resolve).on("error", reject));
  stream.on("data", (answer) => answers.push(answer));
  for (let cell = 0; cell < 40; cell += 1) {
    const more = stream.write({ image, specimen: "S-8", cell: String(cell) });
    if (!more) await new Promise((resolve) => stream.once("drain", resolve));
  }
  stream.end();
  await ended;
  const indices = answers.map((answer) => Number(answer.index)).sort((one, two) => one - two);
  assert.deepStrictEqual(indices, [...Array(40).keys()]);
  assert(answers.every((answer) => answer.classified.result.specimen === "S-8"));
  stub.close();
  console.log("classified, one by one and in a stream");
}

async function statusOf(credentials, metadata) {
  const stub = client(v1.Control, credentials);
  try {
    return await call(stub, "GetStatus", {}, metadata);
  } finally {
    stub.close();
  }
}

function shown(token) {
  const metadata = new grpc.Metadata();
  if (token) metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

async function token() {
  const tls = () => grpc.credentials.createSsl(fs.readFileSync(given.ca));
  const own = fs.readFileSync(given["token-file"], "utf8").trim();
  const { version } = await statusOf(tls(), shown(own));
  const control = client(v1.Control, tls());
  await refused(code.PERMISSION_DENIED, call(control, "ReloadModel", {}, shown(own)));
  control.close();
  for (const stranger of [null, "leukd_of_another_laboratory"]) {
    await refused(code.UNAUTHENTICATED, statusOf(tls(), shown(stranger)));
  }
  console.log(`leukd ${version} over TLS, with a token that reads`);
}

async function certificate() {
  const [ca, pair, key] = [given.ca, given.certificate, given.key].map((file) => fs.readFileSync(file));
  const { version } = await statusOf(grpc.credentials.createSsl(ca, key, pair));
  await refused(code.UNAVAILABLE, statusOf(grpc.credentials.createSsl(ca)));
  console.log(`leukd ${version} over TLS, with a certificate of our own`);
}

async function pages() {
  const { results, pages, bytes } = await listed(1000);
  const numbers = results.map((result) => Number(result.sequence));
  assert.deepStrictEqual(numbers, [...Array(expected).keys()].map((index) => index + 1));
  assert(bytes > 4 << 20 && pages > 1, `${bytes} bytes in ${pages} pages`);
  console.log(`${bytes} bytes in ${pages} pages`);
}

async function streams() {
  const stub = client(v1.Results);
  const events = [...Array(130)].map(() => stub.Subscribe({ earliest: {} }, deadline()));
  const greeted = await Promise.all(events.map((stream) => new Promise((resolve, reject) => {
    stream.on("data", (event) => resolve(event.kind === "hello" ? 1 : reject(new Error(event.kind))));
    stream.on("error", (error) => (error.code === code.RESOURCE_EXHAUSTED ? resolve(0) : reject(error)));
  })));
  const count = greeted.reduce((sum, own) => sum + own, 0);
  assert.strictEqual(count, expected);
  await statusOf();
  events.forEach((stream) => stream.on("error", () => {}).cancel());
  await sleep(0);
  stub.close();
  console.log(`${count} streams of 130, and short calls beside them`);
}

const scenario = { follow, classify, token, certificate, pages, streams }[positionals[0]];
assert(scenario, `no scenario ${positionals[0]}`);
scenario().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
