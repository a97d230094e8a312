import type { Event } from "./events.js";

export interface FieldProblem {
  field: string;
  code: string;
  detail: string;
}

/** A request to a bq-server that failed. */
export class BqError extends Error {
  override readonly name: string = "BqError";
}

/** The server refused. `code` is stable: switch on it; `detail` is a sentence for a person. */
export class Refused extends BqError {
  override readonly name = "Refused";
  readonly code: string;
  readonly detail: string;
  readonly errors: FieldProblem[];
  /** Also in the server's log. */
  readonly requestId: string;

  constructor(
    readonly status: number,
    problem: Record<string, unknown>,
    /** Milliseconds after which to retry, if the server says so. */
    readonly retryAfter?: number,
  ) {
    super(`${status} ${problem["code"] ?? ""}: ${problem["detail"] ?? ""}`);
    this.code = String(problem["code"] ?? "");
    this.detail = String(problem["detail"] ?? "");
    this.errors = Array.isArray(problem["errors"]) ? problem["errors"] : [];
    this.requestId = String(problem["request_id"] ?? "");
  }
}

/** No answer came. The request may have been carried out nevertheless; repeating it is safe. */
export class Unreachable extends BqError {
  override readonly name = "Unreachable";
}

/** A batch has events that could not be sent. They are all here; `cause` says why. */
export class Unsent extends BqError {
  override readonly name = "Unsent";

  constructor(
    readonly events: readonly Event[],
    cause?: unknown,
  ) {
    super(`${events.length} event(s) could not be sent`, { cause });
  }
}
