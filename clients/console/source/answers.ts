// What the server answers, as far as the console reads it; /openapi.json has all of it.

export type Scope = "ingest" | "award" | "read" | "metrics" | "webhooks" | "admin";

export interface Session {
  environment: "live" | "test";
  scopes: Scope[];
  key_id: string;
  key_name: string;
  ends_at: string | null;
  version: string;
}

export interface Summary {
  participant_id: string;
  display_name: string | null;
  balance: number;
  tier: string | null;
  total_events: number;
  created_at: string;
}

export interface Tier { code: string; name: string; level: number; color: string | null; achieved_at: string | null }

export interface Badge {
  code: string;
  name: string;
  description: string | null;
  rarity: string;
  earned: boolean;
  earned_at: string | null;
  progress: number | null;
}

export interface Milestone { at: number; reached: boolean; reached_at: string | null }

export interface Streak {
  code: string;
  name: string | null;
  description: string | null;
  period: string;
  current_count: number;
  longest_count: number;
  last_recorded_at: string | null;
  is_at_risk: boolean;
  expires_at: string | null;
  timezone: string;
  milestones: Milestone[];
  freezes: { available: number; max: number } | null;
}

/** A streak, period by period: what each was to it. */
export interface StreakCalendar {
  timezone: string;
  /** How many events a period takes. */
  required: number;
  start: string;
  end: string;
  periods: {
    date: string;
    starts_at: string;
    status: "recorded" | "open" | "forgiven" | "frozen" | "missed" | "rest" | "none" | "upcoming";
    times: number;
  }[];
}

export interface Objective {
  code: string;
  name: string | null;
  value: number;
  target: number;
  progress: number;
  completed: boolean;
  prerequisites: string[];
}

export interface Challenge {
  code: string;
  name: string;
  description: string | null;
  status: "not_enrolled" | "upcoming" | "active" | "completed" | "expired";
  progress: number;
  objectives: Objective[];
  milestones: Milestone[];
  expires_at: string | null;
  completed_at: string | null;
}

export interface State {
  participant_id: string;
  total_events: number;
  points: { balance: number; total_earned: number; total_spent: number };
  tier: { current_tier: Tier | null; next_tier: { name: string; points_required: number; points_remaining: number } | null };
  badges: Badge[];
  streaks: Streak[];
  challenges: Challenge[];
  leaderboards: { leaderboard_code: string; period: string; score: number; rank: number }[];
}

export interface Profile {
  participant_id: string;
  display_name: string | null;
  attributes: Record<string, unknown>;
  total_events: number;
  created_at: string;
}

export interface Fact {
  fact_id: string;
  fact_type: string;
  event_name: string;
  participant_id: string;
  properties: Record<string, unknown>;
  occurred_at: string;
  processed_at: string;
  warnings: { code: string; detail: string }[];
}

/** What a fact caused; which other fields there are depends on the type. */
export interface Effect { type: string; participant_id?: string; [field: string]: unknown }

export interface Transaction {
  transaction_id: string;
  amount: number;
  balance: number;
  cause: string;
  fact_id: string;
  occurred_at: string;
}

export interface Applied {
  definition: string;
  part: string | null;
  verdict: string;
  message: string | null;
  value: number | null;
  target: number | null;
}

export interface Rehearsal {
  would_be: "processed" | "duplicate";
  warnings: { code: string; detail: string }[];
  effects: Effect[];
  definitions: Applied[];
}

export interface CatalogueEntry {
  event_name: string;
  first_seen_at: string;
  last_seen_at: string;
  count: number;
  properties: { name: string; share: number; types: Record<string, number> }[];
  similar_to: string[];
}

export interface GameInForce {
  version: number;
  applied_at: string | null;
  game: Record<string, unknown>;
  warnings: { definition: string; message: string; count: number; sample_fact_id: string; last_at: string }[];
  refolds: { definitions: string[]; done: number; total: number; started_at: string; finished_at: string | null }[];
}

export interface Plan {
  version: number | null;
  added: string[];
  changed: string[];
  removed: string[];
  unchanged: number;
  recomputed: string[];
  participants_affected: number;
  /** Of a dry run: what would be awarded for facts that are stored. */
  forecast: { payments: { cause: string; participants: number; points: number; badges: number }[]; participants: number; examined: number; total: number } | null;
  warnings: string[];
}

/** Something wrong in a game. Lines and columns count from 1. */
export interface Mistake { line: number; column: number; path: string; message: string; severity: "error" | "warning" }

export interface Ranking {
  period: string;
  /** Of a leaderboard of teams the ids are their names. */
  entries: { rank: number; participant_id: string; score: number; members?: number; change: "up" | "same" | "down" | "new" | null }[];
  group_by?: string;
  total_participants: number;
  next_cursor: string | null;
}

export interface SandboxClock { now: string; frozen: boolean; real: boolean }

export interface Key {
  key_id: string;
  environment: string;
  scopes: Scope[];
  name: string;
  created_at: string;
  last_used_at: string | null;
  expires_at: string | null;
  revoked_at: string | null;
  valid: boolean;
}

export interface AuditEntry {
  at: string;
  environment: string | null;
  action: string;
  key_id: string | null;
  command: string | null;
  address: string | null;
  about: Record<string, unknown>;
}

export interface Endpoint {
  endpoint_id: string;
  url: string;
  event_types: string[];
  description: string;
  enabled: boolean;
  off_because: string | null;
  failing_since: string | null;
  waiting: number;
  created_at: string;
}

export interface Delivery {
  delivery_id: string;
  event_type: string;
  participant_id: string;
  fact_id: string | null;
  state: "waiting" | "delivered" | "aside";
  created_at: string;
  next_try_at: string | null;
  tries: { tried_at: string; status: number | null; milliseconds: number; answer: string }[];
}

export interface DeadLetter {
  message_id: string;
  reason: string;
  died_at: string;
  event_name: string;
  participant_id: string;
  properties: Record<string, unknown>;
  received_at: string;
}

export interface Activity {
  interval_seconds: number;
  intervals: {
    at: string;
    accepted: number;
    facts: number;
    refused: Record<string, number>;
    accept_p99_ms: number | null;
    lag_p50_ms: number | null;
    lag_p99_ms: number | null;
    waiting: number | null;
  }[];
  waiting: number | null;
  oldest_seconds: number | null;
  dead_letters: number | null;
  queue_limit: number;
}

export interface FactWithEffects extends Fact { effects: Effect[] }

/** An event of the feed; what the data is depends on the type. */
export interface FeedMessage {
  type: "fact.created" | "message.dead" | "game.changed" | "environment.reset" | "feed.ended";
  timestamp: string;
  data: unknown;
}
