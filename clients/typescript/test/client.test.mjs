// Against the server that BQ_URL names, with a key of an environment of its own. What gets in the way is a `fetch`.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { Client, Refused, Unsent } from "../dist/index.js";

const { BQ_URL: url, BQ_API_KEY: key } = process.env;
const QUICK = { firstWait: 1 };
const bq = new Client(url, key);

let people = 0;
const somebody = () => `user_${++people}`;
const view = (participant_id) => ({ event_name: "page_view", participant_id });
const busy = (status = 503, headers = { "Retry-After": "0" }) => new Response('{"code":"overloaded"}', { status, headers });

async function factsOf(...participants) {
  const found = [];
  for (const participant_id of participants) for await (const fact of bq.facts({ participant_id, limit: 100 })) found.push(fact);
  return found;
}

/** Facts are made after their events are accepted. */
async function becomeFacts(count, ...participants) {
  let found = [];
  for (let tries = 0; tries < 3000 && (found = await factsOf(...participants)).length < count; tries++) await wait(10);
  assert.equal(found.length, count);
}

test("an event goes each way", async () => {
  const ada = somebody();
  const purchase = { event_name: "purchase_completed", participant_id: ada, properties: { amount: 40 } };
  const queued = await bq.send({ ...purchase, timestamp: new Date("2026-04-10T10:30:00Z") }, { wait: true });
  assert.equal((await bq.message(queued.message_id)).fact_id, queued.fact_id);
  const rehearsal = await bq.dryRun(purchase);
  assert.equal(rehearsal.would_be, "processed");
  assert.equal(rehearsal.definitions[0].verdict, "matched");
  assert.equal((await bq.sendSync(purchase)).effects[0].balance, 80);
  const result = await bq.sendBatch([purchase, { ...purchase, event_name: "" }]);
  assert.deepEqual([result.accepted, result.rejected, result.errors[0].index], [1, 1, 1]);
  await becomeFacts(3, ada);
  assert.equal((await bq.state(ada)).points.balance, 120);
});

test("a refusal says what is wrong", async () => {
  await assert.rejects(bq.send(view("")), (error) => {
    assert.ok(error instanceof Refused);
    assert.deepEqual([error.status, error.code, error.errors[0].field], [422, "validation_failed", "participant_id"]);
    return error.requestId.startsWith("req_");
  });
  assert.equal((await bq.sendBatch([view("")])).rejected, 1);
  await assert.rejects(new Client(url, `bq_test_${"0".repeat(32)}`).state("ada"), { status: 401, code: "unauthenticated" });
});

test("a participant may have any name that a URL can hold", async () => {
  for (const name of ["a/b", "ü ?#%", "..x"]) {
    await bq.sendSync(view(name));
    assert.equal((await bq.state(name)).participant_id, name);
  }
  assert.throws(() => bq.state(".."), RangeError);
});

for (const [what, fault] of [
  ["503", () => busy()],
  ["429", () => busy(429, {})],
  ["no answer", () => Promise.reject(new TypeError("fetch failed"))],
  ["a lost answer", async (...request) => (await fetch(...request), Promise.reject(new TypeError("fetch failed")))],
]) {
  test(`after ${what} a request is repeated and stays one fact`, async () => {
    const ada = somebody();
    let left = 3;
    const client = new Client(url, key, { retries: QUICK, fetch: (...request) => (left-- > 0 ? fault(...request) : fetch(...request)) });
    await client.send(view(ada), { wait: true });
    assert.ok(left < 0, "the three faults were met; a busy server may have refused a further try itself");
    assert.equal((await factsOf(ada)).length, 1);
  });
}

test("no try is made once they are used up, or when the server asks for too much patience", async () => {
  for (const [headers, expected] of [
    [{ "Retry-After": "0" }, 3],
    [{ "Retry-After": "3600" }, 1],
    [{ "Retry-After": new Date(Date.now() + 3_600_000).toUTCString() }, 1],
  ]) {
    let tries = 0;
    const client = new Client(url, key, { retries: { most: 2, ...QUICK }, fetch: async () => (tries++, busy(503, headers)) });
    await assert.rejects(client.send(view("ada")), { code: "overloaded" });
    assert.equal(tries, expected);
  }
});

test("what is no bq-server is said to be none", async () => {
  const client = new Client(url, key, { fetch: async () => new Response("<html>") });
  await assert.rejects(client.state("ada"), /is it a bq-server/);
});

test("a batch loses nothing while the server is away", async () => {
  const names = Array.from({ length: 30 }, somebody);
  const faults = [() => busy(), () => Promise.reject(new TypeError("fetch failed")), async (...request) => (await fetch(...request), busy()), fetch];
  let turn = 0;
  const batch = new Client(url, key, { retries: QUICK, fetch: (...request) => faults[turn++ % 4](...request) }).batch({ size: 4 });
  for (const name of names) await batch.add(view(name));
  await batch.close();
  await becomeFacts(30, ...names);
});

test("each rejected event is told of", async () => {
  const ada = somebody();
  const wrong = [{ event_name: "", participant_id: ada }, view(""), { ...view(ada), properties: { text: "x".repeat(70_000) } }];
  const told = [];
  const batch = bq.batch({ onRejected: (event, rejection) => told.push([event, rejection.field]) });
  for (const event of [view(ada), ...wrong, view(ada)]) await batch.add(event);
  await batch.close();
  assert.deepEqual(told, [[wrong[0], "event_name"], [wrong[1], "participant_id"], [wrong[2], "properties"]]);
  await becomeFacts(2, ada);
});

test("a batch that is too large is sent in parts", async () => {
  const names = Array.from({ length: 5 }, somebody);
  const told = [];
  const client = new Client(url, key, {
    fetch: async (input, init) => {
      const { events } = JSON.parse(init.body);
      if (events.length > 2) return busy(422, {});
      return events.some((event) => event.participant_id === names[1]) ? busy(413, {}) : fetch(input, init);
    },
  });
  const batch = client.batch({ onRejected: (event) => told.push(event.participant_id) });
  for (const name of names) await batch.add(view(name));
  await batch.flush();
  assert.deepEqual(told, [names[1]]);
  await becomeFacts(4, ...names);
});

test("what cannot be sent is handed back", async () => {
  const batch = new Client(url, `bq_test_${"0".repeat(32)}`).batch();
  const event = view("ada");
  await batch.add(event);
  await assert.rejects(batch.flush(), (error) => error instanceof Unsent && error.events[0] === event && error.cause.status === 401);
  await assert.rejects(batch.add(event), Unsent);
  await assert.rejects(batch.close(), Unsent);
});

test("closing gives up in time and hands back what is left", async () => {
  const batch = new Client(url, key, { retries: { most: 0 }, fetch: async () => busy(503, { "Retry-After": "999999999" }) }).batch();
  await batch.add(view("ada"));
  await assert.rejects(batch.close(10), Unsent);
  await assert.rejects(batch.add(view("ada")), /closed/);
});

test("a batch is sent by size and by time", async () => {
  const [ada, bob] = [somebody(), somebody()];
  const bySize = bq.batch({ size: 2, wait: 3_600_000 });
  await bySize.add(view(ada));
  await bySize.add(view(ada));
  await bq.batch({ wait: 10 }).add(view(bob));
  await becomeFacts(3, ada, bob);
});

test("adding waits while the batch is full", async () => {
  const ada = somebody();
  let open;
  const gate = new Promise((resolve) => (open = resolve));
  const batch = new Client(url, key, { fetch: async (...request) => (await gate, fetch(...request)) }).batch({ size: 1, capacity: 2 });
  await batch.add(view(ada));
  await batch.add(view(ada));
  let added = false;
  const third = batch.add(view(ada)).then(() => (added = true));
  await wait(1);
  assert.equal(added, false);
  open();
  await third;
  await batch.close();
  await becomeFacts(3, ada);
});

test("a program that closes nothing loses nothing", async () => {
  const ada = somebody();
  const program = `
    import { Client } from ${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)};
    const batch = new Client(process.env.BQ_URL, process.env.BQ_API_KEY).batch({ wait: 200 });
    for (let number = 0; number < 250; number++) await batch.add({ event_name: "page_view", participant_id: "${ada}" });`;
  execFileSync(process.execPath, ["--input-type=module", "--eval", program]);
  await becomeFacts(250, ada);
});
