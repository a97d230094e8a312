"""The second opinion about facts that award others than their senders."""

from typing import Any

from bq_server.game.facts import Fact
from tests.game import oracle
from tests.game.oracle_facts import without_void
from tests.game.oracle_outcome import Outcome
from tests.game.oracle_participants import reads_awards, with_attributes, with_awards

KEPT = ("system.timezone_changed", "system.badge_awarded")
"""What of one's own decides how what others bring counts."""


def play(document: dict[str, Any], applied_seq: int, who: str, facts: list[Fact]) -> Outcome:
    """What comes of everybody's facts for one participant."""
    counting = without_void(facts)
    story = [fact for fact in counting if fact.participant_id == who or who in named(fact)]
    story = with_attributes(sorted(story, key=lambda fact: (fact.occurred_at, fact.seq)))
    if reads_awards(document):
        before: list[Fact] = []
        for fact in story:
            before.append(with_awards(document, fact, outcome(document, applied_seq, who, before)))
        story = before
    out = outcome(document, applied_seq, who, story)
    for fact in counting:
        if (
            fact.fact_type == "system.points_transferred"
            and fact.properties["recipient_id"] == who != fact.participant_id
        ):
            currency = fact.properties.get("currency", "coins")
            out.received[currency] = out.received.get(currency, 0) + fact.properties["amount"]
    return out


def outcome(document: dict[str, Any], applied_seq: int, who: str, story: list[Fact]) -> Outcome:
    """What comes of a participant's own facts, and of those that name them."""
    mine = [fact for fact in story if fact.participant_id == who]
    out = oracle.outcome({**document, **some(document, given=False)}, applied_seq, mine)
    nothing: dict[str, Any] = {"challenges": [], "streaks": [], "tiers": [], "leaderboards": []}
    brought = [fact for fact in story if who in named(fact) or fact.fact_type in KEPT]
    given = oracle.outcome({**nothing, **some(document, given=True)}, applied_seq, brought)
    out.earned += given.earned
    out.badges |= given.badges
    out.counts.update(given.counts)
    return out


def some(document: dict[str, Any], *, given: bool) -> dict[str, Any]:
    """The rules for whom facts name, or the others."""
    return {kind: [each for each in document[kind] if ("award_to" in each) is given] for kind in ("points", "badges")}


def named(fact: Fact) -> set[str]:
    """Whom the fact names, without its sender."""
    value = fact.properties.get("r") if fact.fact_type.startswith("custom.") else None
    names = value if isinstance(value, list) else [value]
    if not all(name is None or isinstance(name, str) for name in names):
        return set()
    return {name for name in names if name} - {fact.participant_id}
