/** The event is stored durably and will be a fact. */
export interface Accepted {
  accepted: true;
  message_id: string;
  /** Only if the call waited for the fact. */
  event_id?: string | null;
  /** Only if the call waited; null for a message that became a dead letter. */
  fact_id?: string | null;
}

/** Why one event of a batch was not accepted. */
export interface Rejection {
  /** Its index in the batch. */
  index: number;
  field: string;
  code: string;
  detail: string;
}

/** What became of the events of a batch. */
export interface BatchResult {
  accepted: number;
  rejected: number;
  /** Of the accepted events, in order. */
  message_ids: string[];
  /** Only when an event was rejected; one event may have several. */
  errors?: Rejection[];
}

export interface Warning {
  code: string;
  field: string;
  detail: string;
}

/** Something that an event caused; its other members depend on the type. */
export interface Effect {
  type: string;
  [member: string]: unknown;
}

/** The event is a fact. */
export interface Fact {
  event_id: string;
  fact_id: string;
  fact_type: string;
  processed_at: string;
  effects: Effect[];
  warnings?: Warning[];
}

/** What the event would cause. Nothing was written. */
export interface Rehearsal {
  dry_run: true;
  fact_type: string;
  would_be: "processed" | "duplicate";
  warnings: Warning[];
  effects: Effect[];
  /** Every definition that listens to the event, and whether it would apply. */
  definitions: { definition: string; part: string | null; verdict: string; message: string | null; value: number | null; target: number | null }[];
}

/** The status of an accepted event. */
export interface Message {
  message_id: string;
  status: "queued" | "processed" | "duplicate" | "dead" | "lost";
  event_id: string | null;
  fact_id: string | null;
  reason: string | null;
}

/** Everything that a participant's facts add up to. */
export interface State {
  participant_id: string;
  points: { balance: number; currencies?: { code: string; balance: number; [member: string]: unknown }[]; [member: string]: unknown };
  [member: string]: unknown;
}

export interface FactPage {
  facts: { fact_id: string; event_name: string; participant_id: string; [member: string]: unknown }[];
  next_cursor: string | null;
}
