"""Challenges that restart each day, week or month. Each round is a challenge of its own, with its own rewards.

A round's cell is kept apart: a fact reads that of the round it falls into, however many there were. The challenge's
own cell holds which rounds were completed.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, tzinfo

from msgspec import Struct
from msgspec.structs import replace

from bq_server.game.document.challenges import Challenge, RecurringDuration
from bq_server.game.document.fields import Period
from bq_server.game.document.leaderboards import Window
from bq_server.game.effects import ChallengeProgressed, Effect, Enrolled, MilestoneReached, ObjectiveProgressed
from bq_server.game.expressions.conditions import Variables
from bq_server.game.facts import CHALLENGE_ENROLLED, Fact, timezone
from bq_server.game.mechanics.challenges import ChallengeRule, challenge_rule
from bq_server.game.mechanics.days import Days, add_day, has_day
from bq_server.game.mechanics.measures import Hit, PartReading
from bq_server.game.mechanics.periods import period_name, period_of, period_start
from bq_server.game.mechanics.quests import COMPLETE
from bq_server.game.mechanics.rule import Bounds, HistoryNeed, Rewards, Rule, RuleHistory, RuleOutcome
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells

PERIODS: Mapping[str, Period] = {"day": "daily", "week": "weekly", "month": "monthly"}

Rounds = Days
"""Numbers of rounds, as a set of days is kept."""


class RecurringChallengeRule(Struct, Rule):
    """A challenge in rounds."""

    key: str
    code: str
    every: Period
    zone: tzinfo
    challenge: ChallengeRule
    """What each round is, but for its dates and its code."""
    bounds: Bounds
    revision: str
    fact_types: frozenset[str]
    rewards: Rewards

    @property
    def window(self) -> Window:
        """What its rankings are of."""
        return self.every

    def read(self, fact: Fact, variables: Variables) -> tuple[PartReading, ...]:
        """What the objectives read; nobody needs to enrol."""
        return () if fact.fact_type == CHALLENGE_ENROLLED else self.challenge.read(fact, variables)

    def cells(self, hits: Sequence[Hit]) -> Iterable[str]:
        """Its own cell, and those of the rounds that the hits fall into."""
        yield keys.challenge(self.code)
        for number in self._by_round(hits):
            yield keys.challenge_round(self.code, self.every, number)

    def is_current(self, hits: Sequence[Hit], cells: Cells) -> bool | None:  # noqa: ARG002
        """Whether the cells are of this definition."""
        cell = cells.get(keys.challenge(self.code))
        return None if cell is None else cell.get("rev") == self.revision

    def whole(self) -> HistoryNeed:
        """All facts, all rounds, what was paid, and the sets that the challenge may have kept before it recurred."""
        return HistoryNeed(
            self.fact_types,
            self.bounds.starts_at,
            (keys.challenge_rounds(self.code, self.every), keys.members(self.key)),
            ledger=True,
        )

    def late(self, hits: Sequence[Hit], cells: Cells) -> HistoryNeed | None:
        """What any of the rounds must replay."""
        asked = [
            need
            for number, own in self._by_round(hits).items()
            if (need := self.round(number).late(own, cells)) is not None
        ]
        if not asked:
            return None
        since = [need.since for need in asked]
        return HistoryNeed(
            frozenset().union(*(need.fact_types for need in asked)),
            None if None in since else min(each for each in since if each is not None),
        )

    def step(self, hits: Sequence[Hit], cells: Cells, history: RuleHistory | None) -> RuleOutcome:
        """Take the hits into their rounds."""
        outcome = RuleOutcome()
        own = cells.get(keys.challenge(self.code))
        anew = history is not None and history.ledger is not None
        fresh, past = self._by_round(hits), self._by_round(history.hits if history is not None else ())
        numbers = set(fresh)
        if anew and history is not None:
            outcome.cells.update(dict.fromkeys(history.cells))
            prefix = keys.challenge_rounds(self.code, self.every)
            given = (key for key, cell in history.cells.items() if key.startswith(prefix) and cell.get("given"))
            numbers |= {*past, *(keys.number_of_round(key) for key in given)}
        completed = [list(each) for each in rounds_of(own, self.every)]
        for number in sorted(numbers):
            rule = self.round(number)
            of_round = fresh.get(number, [])
            answer = None
            if history is not None and (anew or rule.late(of_round, cells) is not None):
                answer = RuleHistory(past.get(number, []), {}, history.ledger, history.by)
            found = rule.step(of_round, cells, answer)
            if rule.cell in cells:
                outcome.cells.pop(rule.cell, None)  # it stays, unless it is another now
            outcome.cells.update(found.cells)
            outcome.grants += found.grants
            outcome.explanations += found.explanations
            outcome.effects += [self._of_round(effect, number) for effect in found.effects]
            cell = found.cells.get(rule.cell, cells.get(rule.cell))
            if cell is not None and COMPLETE in cell.get("given", ()):
                add_day(completed, number)
        changed = {"rev": self.revision, "u": self.every, "s": completed}
        if own is not None and "given" in own:
            changed["given"] = own["given"]  # of the challenge that it was before it recurred
        if changed != own and (anew or own is not None or any(cell for cell in outcome.cells.values())):
            outcome.cells[keys.challenge(self.code)] = changed
        return outcome

    def round(self, number: int) -> ChallengeRule:
        """A round, as a challenge."""
        starts_at, ends_at = self.start(number), self.start(number + 1)
        return replace(
            self.challenge,
            cell=keys.challenge_round(self.code, self.every, number),
            code=f"{self.code}/{period_name(number, self.every)}",
            bounds=Bounds(
                self.bounds.applied_seq,
                max(starts_at, self.bounds.starts_at or starts_at),
                min(ends_at, self.bounds.ends_at or ends_at),
            ),
        )

    def number_at(self, moment: int) -> int:
        """The round that holds a moment."""
        return period_of(moment, self.every, self.zone)

    def start(self, number: int) -> int:
        """When a round begins, in microseconds."""
        return period_start(number, self.every, self.zone)

    def part_name(self, part: int) -> str | None:
        """The code of an objective."""
        return self.challenge.part_name(part)

    def _by_round(self, hits: Sequence[Hit]) -> dict[int, list[Hit]]:
        found: dict[int, list[Hit]] = {}
        for hit in hits:
            if hit.readings:
                found.setdefault(self.number_at(hit.fact.occurred_at), []).append(hit)
        return found

    def _of_round(self, effect: Effect, number: int) -> Effect:
        """An effect of a round, attributed to the challenge."""
        period = period_name(number, self.every)
        match effect:
            case MilestoneReached():
                return dataclasses.replace(effect, code=self.code, period=period)
            case ObjectiveProgressed() | ChallengeProgressed() | Enrolled():
                return dataclasses.replace(effect, challenge=self.code, period=period)
            case _:
                return effect


def recurring_challenge_rule(
    challenge: Challenge, duration: RecurringDuration, applied_seq: int
) -> RecurringChallengeRule:
    """Compile a recurring challenge."""
    rule = challenge_rule(challenge, applied_seq)
    return RecurringChallengeRule(
        key=rule.key,
        code=rule.code,
        every=PERIODS[duration.every],
        zone=UTC if duration.timezone == "UTC" else timezone(duration.timezone),
        challenge=rule,
        bounds=rule.bounds,
        revision=rule.revision,
        fact_types=rule.fact_types,
        rewards=rule.rewards,
    )


def round_now(challenge: Challenge, now: int) -> tuple[Window, str]:
    """The window and the period of a challenge's ranking; for a recurring one, those of the current round."""
    duration = challenge.duration
    if not isinstance(duration, RecurringDuration):
        return "all_time", "all_time"
    every = PERIODS[duration.every]
    return every, period_name(period_of(now, every, timezone(duration.timezone)), every)


def count(rounds: Rounds) -> int:
    """How many rounds there are."""
    return sum(last - first + 1 for first, last in rounds)


def streaks_at(rounds: Rounds, number: int) -> tuple[int, int]:
    """How many consecutive rounds were completed up to this round or the one before, and the longest such run."""
    run = next((min(last, number) - first + 1 for first, last in rounds if first <= number <= last + 1), 0)
    return run, max((last - first + 1 for first, last in rounds), default=0)


def missing(held: Rounds, due: Rounds) -> list[int]:
    """The rounds that are due and missing."""
    return [number for first, last in due for number in range(first, last + 1) if not has_day(held, number)]


def merged(one: Rounds, other: Rounds) -> Rounds:
    """The rounds of both."""
    found = [list(each) for each in one]
    for number in missing(one, other):
        add_day(found, number)
    return found


def rounds_of(cell: Cell | None, every: Period) -> Rounds:
    """The rounds of a length that were completed, as the cell of a recurring challenge has them."""
    return cell["s"] if cell is not None and cell.get("u") == every else []
