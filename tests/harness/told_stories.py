"""Stories, and playing them."""

from pathlib import Path

from harness.client import Client
from harness.stories.documents import load
from harness.stories.outcomes import Mode, StoryOutcome
from harness.stories.story_run import play

GAME = """\
  points:
    - {code: spend, on: buy, when: properties.currency == "EUR", award: properties.amount}
  badges:
    - {code: first, name: First, criteria: {on: buy, target: 1}}
    - {code: champion, name: Champion}
    - {code: friend, name: Friend}
  challenges:
    - code: spring
      name: Spring
      duration: {type: fixed, starts_at: 2026-04-01T00:00:00Z, ends_at: 2026-05-01T00:00:00Z}
      objectives:
        - {code: visit, on: visit, target: 1}
        - {code: buy2, on: buy, target: 2, prerequisites: [visit]}
      milestones: [{at: 0.5, rewards: [{points: 50}]}]
      rewards: [{points: 500}, {badge: champion}]
    - {code: marathon, name: Marathon, enrolment: explicit, objectives: [{code: run, on: buy, target: 10}]}
  streaks:
    - {code: daily, on: buy, grace_period_hours: 0}
  tiers:
    - {code: bronze, name: Bronze, level: 1, min_points: 10}
    - {code: silver, name: Silver, level: 2, min_points: 600}
  leaderboards:
    - code: spenders
      name: Spenders
      metric: {on: buy, aggregate: sum, of: properties.amount}
      window: [weekly, all_time]
    - {code: points, name: Points, metric: points}
"""

STORY = f"""\
name: Every kind of step
clock: 2026-04-02T09:00:00Z
game:
{GAME}
steps:
  - profile: {{participant: ada, timezone: Asia/Tokyo, display_name: Ada}}
  - send: {{event_name: visit, participant_id: ada}}
  - send: {{event_name: buy, participant_id: ada, properties: {{amount: 40, currency: EUR}}, idempotency_key: o-1}}
    times: 3
    caused: [{{type: badge, code: first}}, {{type: points, amount: 40}}]
  - send: {{event_name: look, participant_id: eve}}
    caused: []
  - send: {{event_name: buy, participant_id: ada, properties: {{amount: 41, currency: EUR}}, idempotency_key: o-1}}
    refused: {{status: 409, code: idempotency_conflict}}
  - send: {{event_name: buy}}
    refused: {{status: 422, code: validation_failed, field: participant_id}}
  - enroll: {{participant: ada, challenge: marathon}}
  - advance: P1D
  - batch:
      - {{event_name: buy, participant_id: ada, properties: {{amount: 2.5, currency: USD}}}}
      - {{event_name: buy}}
      - {{event_name: buy, participant_id: bob, properties: {{amount: 42.5, currency: EUR}}}}
    rejected: [{{index: 1, field: participant_id, code: missing}}]
  - {{batch: [], refused: {{status: 422, field: events}}}}
  - give: {{participant: bob, badge: friend, reason: helped}}
  - give: {{participant: bob, points: 20, reason: welcome}}
  - take: {{participant: bob, points: 12}}
  - take: {{participant: bob, points: 1000}}
    refused: {{status: 400, code: insufficient_points}}
  - give: {{participant: bob, badge: ghost}}
    refused: {{status: 404}}
"""

EXPECTATIONS = """\
  - expect:
      participant: ada
      exists: true
      facts: 3
      points: {balance: 590, total_earned: 590, total_spent: 0}
      badges: [champion, first]
      tier: bronze
      challenges:
        spring: {status: completed, progress: 1, objectives: {visit: 1, buy2: 2}, milestones: [0.5]}
        marathon: {status: active, progress: 0.1, objectives: {run: 1}}
      streaks: {daily: {current: 2, longest: 2, at_risk: false}}
      leaderboards: {spenders: {rank: 1, score: 42.5}, points: {rank: 1}}
      timezone: Asia/Tokyo
  - expect: {participant: bob, facts: 1, points: 50, badges: [friend, first], tier: bronze, timezone: UTC}
  - expect: {participant: zoe, exists: false}
  - expect:
      facts: 10
      dead: 0
      leaderboard:
        code: spenders
        window: all_time
        entries: [{participant: ada, rank: 1, score: 42.5}, {participant: bob, rank: 2, score: 42.5}]
      warnings: []
"""


class Teller:
    """Plays a text."""

    def __init__(self, client: Client, path: Path) -> None:
        self.client = client
        self.path = path

    def __call__(self, text: str, mode: Mode = "stream", seed: int | None = 1) -> StoryOutcome:
        self.path.write_text(text, "utf-8")
        return play(load(self.path), self.client, mode, seed)

    def failures(self, text: str, mode: Mode = "stream") -> list[str]:
        """Their texts, without the path of the file."""
        return [failure.text.replace(f"{self.path}", "") for failure in self(text, mode).failures]
