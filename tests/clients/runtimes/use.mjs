// What an application at the edge does with the client.
import { Client, Refused, Unreachable } from "../dist/index.js";

const bq = new Client(BQ_URL, BQ_API_KEY);
const purchase = { event_name: "purchase_completed", participant_id: "edge", properties: { amount: 40 } };
const refusal = await bq.send({ ...purchase, event_name: "" }).catch((error) => error);
const nobody = new Client("http://127.0.0.1:9", BQ_API_KEY, { retries: { most: 1, firstWait: 1 } });
const unreachable = await nobody.state("edge").catch((error) => error);

const rehearsal = await bq.dryRun(purchase);
const queued = await bq.send({ ...purchase, timestamp: new Date("2026-04-10T10:30:00Z") }, { wait: true });
const { status } = await bq.message(queued.message_id);
const fact = await bq.sendSync(purchase);
const several = await bq.sendBatch([purchase, purchase]);
const batch = bq.batch();
await batch.add(purchase);
await batch.flush();
await batch.add(purchase);
await batch.close();

let facts = [];
while (facts.length < 6) {
  facts = [];
  for await (const each of bq.facts({ participant_id: "edge", limit: 2 })) facts.push(each.fact_id);
}

export const told = {
  node: [typeof process, typeof Buffer, typeof require],
  refused: refusal instanceof Refused && refusal.code,
  unreachable: unreachable instanceof Unreachable,
  rehearsed: rehearsal.would_be,
  status,
  effect: fact.effects[0].type,
  accepted: several.accepted,
  facts: new Set(facts).size,
  balance: (await bq.state("edge")).points.balance,
};
