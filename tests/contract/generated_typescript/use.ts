// Uses what openapi-typescript generated, as a developer would: node use.js URL KEY. What is wrong throws.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };
const [, , url, key] = process.argv;
const bq = createClient<paths>({ baseUrl: url!, headers: { "X-API-Key": key! } });

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

// The README's own event.
const event: components["schemas"]["Event"] = { event_name: "level_completed", participant_id: "user_123", properties: { level: 5 } };

const queued = await bq.POST("/api/v1/ingest/events", { params: { query: { wait: "fact" } }, body: event });
check(queued.data?.fact_id?.startsWith("fact_") === true, "queued");

const plain = await bq.POST("/api/v1/ingest/events/sync", { body: event });
check(plain.data !== undefined && "fact_id" in plain.data, "sync");

const told = await bq.POST("/api/v1/ingest/events/sync", { params: { query: { include: "effects" } }, body: event });
check(told.data !== undefined && "effects" in told.data && "fact_id" in told.data, "effects");
check(told.data.effects[0]?.["type"] === "points", "points");

const rehearsal = await bq.POST("/api/v1/ingest/events/sync", { params: { query: { dry_run: true } }, body: event });
check(rehearsal.data !== undefined && "definitions" in rehearsal.data, "dry run");
check(rehearsal.data.definitions[0]?.verdict === "matched", "verdict");

const batch = await bq.POST("/api/v1/ingest/events/batch", { body: { events: [event, { ...event, event_name: "" }] } });
check(batch.data?.errors?.[0]?.index === 1, "batch with a failure");

const none = await bq.POST("/api/v1/ingest/events/batch", { body: { events: [{ ...event, event_name: "" }] } });
check(none.error !== undefined && "rejected" in none.error && none.error.rejected === 1, "batch of failures");

const state = await bq.GET("/api/v1/gamify/participants/{participant_id}/state", { params: { path: { participant_id: "user_123" } } });
check((state.data?.points?.balance ?? 0) >= 15, "state");

const refused = await bq.POST("/api/v1/ingest/events", { body: { ...event, participant_id: "" } });
check(refused.response.status === 422 && refused.error?.code === "validation_failed", "refusal");
console.log("done");
