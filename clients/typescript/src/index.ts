export type { Accepted, BatchResult, Effect, Fact, FactPage, Message, Rehearsal, Rejection, State, Warning } from "./answers.js";
export { Batch, type BatchOptions } from "./batch.js";
export { Client, type ClientOptions } from "./client.js";
export { BqError, Refused, Unreachable, Unsent, type FieldProblem } from "./errors.js";
export type { Event } from "./events.js";
export type { Retries } from "./retries.js";
