// A peer by hand: Fastify and ioredis with auto-pipelining. One key check, one validation, one XADD an event.
//
//   node server.js SOCKET KEY        prints "listening PORT"
import { createHash, timingSafeEqual } from "node:crypto";

import Fastify from "fastify";
import Redis from "ioredis";

const [socket, key] = process.argv.slice(2);
const STREAM = "events";

const redis = new Redis({ path: socket, enableAutoPipelining: true });
const keys = new Map([[digest(key).toString("hex", 0, 4), digest(key)]]);

function digest(text) {
  return createHash("sha256").update(text).digest();
}

function checkKey(request, reply, done) {
  const presented = digest(request.headers["x-api-key"] ?? "");
  const known = keys.get(presented.toString("hex", 0, 4));
  if (known === undefined || !timingSafeEqual(known, presented)) {
    reply.code(401).send({ code: "unauthenticated", detail: "Send a valid API key in the X-API-Key header." });
    return;
  }
  done();
}

const event = {
  $id: "event",
  type: "object",
  required: ["event_name", "participant_id"],
  properties: {
    event_name: { type: "string", minLength: 1, maxLength: 100 },
    participant_id: { type: "string", minLength: 1, maxLength: 255 },
    properties: { type: ["object", "null"] },
    timestamp: { anyOf: [{ type: "string", format: "iso-date-time" }, { type: "null" }] },
    idempotency_key: { type: ["string", "null"], minLength: 1, maxLength: 255 },
  },
};
const each = { $ref: "event#" }; // one object: Fastify keeps what it compiled by the schema it was given
const batch = {
  type: "object",
  required: ["events"],
  properties: { events: { type: "array", minItems: 1, maxItems: 100 } },
};
const accepted = {
  type: "object",
  properties: { accepted: { type: "boolean" }, message_id: { type: "string" } },
};

const app = Fastify({
  bodyLimit: 8 * 1024 * 1024,
  // As JSON says it: no number for a text, and what is not known stays.
  ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, allowUnionTypes: true } },
});
app.addSchema(event);
app.removeContentTypeParser("text/plain");

app.setErrorHandler((error, request, reply) => {
  if (error.validation) {
    reply.code(422).send({ code: "validation_failed", detail: error.message });
  } else if (error.code === "FST_ERR_CTP_INVALID_JSON_BODY" || error.code === "FST_ERR_CTP_EMPTY_JSON_BODY") {
    reply.code(400).send({ code: "invalid_json", detail: error.message });
  } else {
    reply.code(error.statusCode ?? 500).send({ code: error.code ?? "internal_error", detail: error.message });
  }
});

function append(found) {
  return redis.xadd(STREAM, "*", "e", JSON.stringify(found));
}

app.post(
  "/api/v1/ingest/events",
  { onRequest: checkKey, schema: { body: each, response: { 202: accepted } } },
  async (request, reply) => {
    const id = await append(request.body);
    reply.code(202);
    return { accepted: true, message_id: id };
  },
);

app.post(
  "/api/v1/ingest/events/batch",
  { onRequest: checkKey, schema: { body: batch } },
  async (request, reply) => {
    const valid = [];
    const errors = [];
    const validate = request.compileValidationSchema(each);
    request.body.events.forEach((found, index) => {
      if (validate(found)) valid.push(found);
      else errors.push({ index, detail: validate.errors[0].message });
    });
    const ids = await Promise.all(valid.map(append));
    reply.code(ids.length ? 202 : 422);
    const answer = { accepted: ids.length, rejected: errors.length, message_ids: ids };
    return errors.length ? { ...answer, errors } : answer;
  },
);

await redis.ping();
await app.listen({ host: "127.0.0.1", port: 0 });
console.log(`listening ${app.server.address().port}`);
