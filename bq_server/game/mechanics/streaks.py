"""Streaks: consecutive calendar periods, as a set of periods, so that facts may arrive in any order.

A record in period q continues a streak whose last period is p if it happened before the end of p + 1 plus the grace. In
other words, it reaches back to every period from `reach` on. A streak's runs are then what these reaches connect, and
more facts only ever connect more.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any

from bq_server import causes
from bq_server.game.document.definitions import Period, Streak
from bq_server.game.effects import MilestoneReached, StreakChanged
from bq_server.game.expressions.conditions import Variables
from bq_server.game.facts import TIMEZONE_CHANGED, Fact, Moment, timezone
from bq_server.game.mechanics.measures import Condition, Hit, PartReading, fact_types
from bq_server.game.mechanics.periods import (
    HOUR,
    is_skipped,
    moment_after,
    period_before,
    period_of,
    period_start,
    zone_at,
)
from bq_server.game.mechanics.rule import (
    Bounds,
    Grant,
    Replay,
    Replayed,
    Rewards,
    Rule,
    RuleOutcome,
    Step,
    bounds,
    explain,
    merge,
    reduced,
    revision,
    still_due,
)
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells

KEPT_PERIODS = 128
"""How far behind the newest period a fact may be without any history."""


@dataclass(slots=True)
class Runs:
    """The recorded periods: stretches without a gap as `[first, last, reach]`, and how older ones ended."""

    stretches: list[list[int]] = field(default_factory=list)
    older: tuple[int, int] | None = None
    """The last period no longer kept, and the length of the run it belongs to."""
    longest: int = 0
    newest: Moment | None = None
    rows: dict[int, list[int]] = field(default_factory=dict)
    """Stretches no longer kept here but in their own cells, by last period: `[first, reach]`. Only new ones."""
    rows_known: bool = True
    """Whether all those no longer kept here are in cells. An earlier release dropped them."""

    def add(self, period: int, reach: int) -> None:
        """Record a period."""
        index = bisect_left(self.stretches, period, key=lambda stretch: stretch[1])
        if index < len(self.stretches) and self.stretches[index][0] <= period:
            stretch = self.stretches[index]
            stretch[2] = min(stretch[2], reach)
        else:
            self.stretches.insert(index, [period, period, reach])
            self._join(index)
            self._join(index - 1)
        self.longest = max(self.longest, *self.lengths())

    def recall(self, rows: Iterable[tuple[int, list[int]]]) -> None:
        """Add back those that were in cells."""
        self.stretches[:0] = sorted([first, last, reach] for last, (first, reach) in rows)
        self.older = None

    def forget(self) -> None:
        """Keep the newest periods only."""
        if not self.stretches or self.stretches[0][1] >= self.stretches[-1][1] - KEPT_PERIODS:
            return
        floor = self.stretches[-1][1] - KEPT_PERIODS
        lengths = self.lengths()
        gone = next(place for place, stretch in enumerate(self.stretches) if stretch[1] >= floor)
        self.older = (self.stretches[gone - 1][1], lengths[gone - 1])
        self.rows |= {last: [first, reach] for first, last, reach in self.stretches[:gone]}
        del self.stretches[:gone]

    def forgets(self, period: int, reach: int) -> bool:
        """Whether a record may touch periods that are no longer kept, or soon won't be.

        The period may be of any zone: the margin of one period exceeds the difference of any two zones.
        """
        if self.stretches and period - 1 <= self.stretches[-1][1] - KEPT_PERIODS:
            return True
        return self.older is not None and min(period - 1, reach) <= self.older[0] + 1

    def lengths(self) -> list[int]:
        """The length, in recorded periods, of the run that each stretch belongs to, up to and including it."""
        count, linked = self.older[1] if self.older else 0, self._links()
        lengths = []
        for (first, last, _), link in zip(self.stretches, linked, strict=True):
            count = (count if link else 0) + last - first + 1
            lengths.append(count)
        return lengths

    @property
    def current(self) -> int:
        """The length of the newest run, whether or not it can still be continued."""
        return self.lengths()[-1] if self.stretches else 0

    def until(self, period: int) -> tuple[int | None, int]:
        """The last recorded period up to this one, or None, and the length of the run up to it."""
        found: tuple[int | None, int] = (None, 0)
        if self.older is not None and self.older[0] <= period:
            found = self.older
        for (first, last, _), length in zip(self.stretches, self.lengths(), strict=True):
            if first <= period:
                found = min(last, period), length - max(0, last - period)
        return found

    def _links(self) -> list[bool]:
        """Whether each stretch belongs to the same run as the one before it."""
        links, reach = [], None
        for index in range(len(self.stretches) - 1, -1, -1):
            own = self.stretches[index][2]
            reach = own if reach is None else min(reach, own)
            before = self.stretches[index - 1][1] if index else self.older[0] if self.older else None
            linked = before is not None and reach <= before
            links.append(linked)
            reach = reach if linked else None
        return links[::-1]

    def _join(self, index: int) -> None:
        if 0 <= index < len(self.stretches) - 1 and self.stretches[index][1] + 1 == self.stretches[index + 1][0]:
            _, last, reach = self.stretches.pop(index + 1)
            stretch = self.stretches[index]
            stretch[1], stretch[2] = last, min(stretch[2], reach)

    @classmethod
    def load(cls, cell: Cell | None) -> "Runs":
        """Read what `dump` wrote."""
        if cell is None:
            return cls()
        return cls(
            [list(stretch) for stretch in cell["s"]],
            tuple(cell["o"]) if cell["o"] is not None else None,
            cell["l"],
            Moment(*cell["k"]) if cell["k"] is not None else None,
            rows_known="w" in cell or cell["o"] is None,
        )

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        cell: dict[str, Any] = {
            "s": self.stretches,
            "o": list(self.older) if self.older is not None else None,
            "l": self.longest,
            "k": list(self.newest) if self.newest is not None else None,
        }
        if self.rows_known and self.older is not None:
            cell["w"] = 1
        return cell


@dataclass(slots=True)
class StreakRule(Rule):
    """A streak."""

    key: str
    code: str
    fact_types: frozenset[str]
    bounds: Bounds
    revision: str
    condition: Condition
    period: Period
    grace: int
    """In wall clock time of the zone, in microseconds."""
    zone: tzinfo | None
    """None for the participant's own zone."""
    milestones: tuple[tuple[int, Rewards], ...]
    rewards: Rewards

    def read(self, fact: Fact, variables: Variables) -> tuple[PartReading, ...]:
        """Whether the fact is a record; a change of zone always is."""
        if fact.fact_type == TIMEZONE_CHANGED:
            return (PartReading(0, "matched"),)
        if not self.bounds.admits(fact.moment):
            return (PartReading(0, "outside_window"),)
        return (self.condition.refusal(0, variables) or PartReading(0, "matched"),)

    def cells(self, hits: Sequence[Hit]) -> Iterable[str]:  # noqa: ARG002
        """Its own cell, and the participant's zones."""
        yield keys.streak(self.code)
        if self.zone is None:
            yield keys.ZONE

    def is_current(self, hits: Sequence[Hit], cells: Cells) -> bool | None:  # noqa: ARG002
        """Whether the cell is of this definition."""
        cell = cells.get(keys.streak(self.code))
        return None if cell is None else cell["rev"] == self.revision

    def whole(self) -> Replay:
        """All records."""
        facts = self.fact_types - {TIMEZONE_CHANGED}
        return Replay(facts, self.bounds.starts_at, (keys.members(self.key),), ledger=bool(self.milestones))

    def late(self, hits: Sequence[Hit], cells: Cells) -> Replay | None:
        """The periods no longer kept, if a record may touch them; all records, if a zone changed before some."""
        runs = Runs.load(cells.get(keys.streak(self.code)))
        if self._recalls(hits, runs):
            return Replay(frozenset(), None, (keys.members(self.key),))
        if runs.newest is not None and (self._moves(hits, runs.newest) or self._forgot(hits, runs)):
            return self.whole()
        return None

    def step(self, hits: Sequence[Hit], cells: Cells, replayed: Replayed | None) -> RuleOutcome:
        """Record the periods of the hits."""
        outcome = RuleOutcome()
        key = keys.streak(self.code)
        old = cells.get(key)
        known = Runs.load(old)
        recalls = replayed is not None and replayed.by is None and self._is_own(old) and self._recalls(hits, known)
        anew = replayed is not None and not recalls
        story = merge(replayed.hits, hits) if replayed is not None and anew else hits
        runs = Runs.load(None if anew else old)
        kept_apart = replayed.cells if replayed is not None else {}
        if recalls:
            runs.recall((int(key.rpartition("/")[2]), row) for key, row in kept_apart.items())
        timeline = cells.get(keys.ZONE, ())
        before: dict[str, Any] = old.get("given", {}) if old is not None else {}
        due: dict[str, Rewards] = {}
        if replayed is not None and replayed.ledger is not None:
            due = still_due(self.steps(), before, cells, replayed.ledger)
        given = {name: each for name, each in before.items() if name not in due}
        records = [hit.fact for hit in story if _matched(hit) and hit.fact.fact_type != TIMEZONE_CHANGED]
        batch = {hit.fact.fact_id for hit in hits}
        newest = hits[-1].fact if hits else replayed.by if replayed is not None else None
        for fact in records:
            zone = self.zone or zone_at(timeline, fact.moment)
            runs.add(*self.place(fact.occurred_at, zone))
            if not recalls:
                runs.forget()
            if runs.newest is None or fact.moment > runs.newest:
                runs.newest = fact.moment
            self._grant(outcome, runs, fact if fact.fact_id in batch or newest is None else newest, fact, given)
        runs.forget()
        outcome.grants = reduced(outcome.grants, self.steps(), due)
        way = runs.current, next((at for at, _ in self.milestones if at > runs.current), None)
        for hit in hits:
            if hit.fact.fact_type != TIMEZONE_CHANGED:
                reading = hit.readings[0]
                outcome.explanations.append(explain(self, hit.fact, 0, reading.verdict, reading.message, way))
        if newest is not None and (known.current, known.longest) != (runs.current, runs.longest):
            outcome.effects.append(
                StreakChanged(
                    participant_id=newest.participant_id,
                    fact_id=newest.fact_id,
                    occurred_at=newest.occurred_at,
                    code=self.code,
                    current=runs.current,
                    longest=runs.longest,
                )
            )
        if records or replayed is not None:
            cell = {"rev": self.revision, **runs.dump()}
            if given or before:
                cell["given"] = given | before  # the time of the first award stays
            if cell != old:
                outcome.cells[key] = cell
        rows = {keys.member(self.key, "past", last): row for last, row in runs.rows.items()}
        outcome.cells.update(dict.fromkeys(kept_apart.keys() - rows.keys()))
        outcome.cells.update({name: row for name, row in rows.items() if kept_apart.get(name) != row})
        return outcome

    def _moves(self, hits: Sequence[Hit], newest: Moment) -> bool:
        """Whether a zone changed before a record."""
        return any(hit.fact.fact_type == TIMEZONE_CHANGED and hit.fact.moment < newest for hit in hits)

    def _forgot(self, hits: Sequence[Hit], runs: Runs) -> bool:
        """Whether a record may touch periods that are not kept in the cell."""
        records = [hit.fact for hit in hits if _matched(hit) and hit.fact.fact_type != TIMEZONE_CHANGED]
        return any(runs.forgets(*self.place(fact.occurred_at, UTC)) for fact in records)

    def _recalls(self, hits: Sequence[Hit], runs: Runs) -> bool:
        """Whether everything that the hits touch is kept, though not all of it in the cell."""
        if runs.newest is None or not runs.rows_known:
            return False
        return not self._moves(hits, runs.newest) and self._forgot(hits, runs)

    def _is_own(self, cell: Cell | None) -> bool:
        return cell is not None and cell["rev"] == self.revision

    def steps(self) -> list[Step]:
        """Everything that can be reached."""
        return [(str(at), causes.of_streak(self.code, at), rewards) for at, rewards in self.milestones]

    def place(self, at: int, zone: tzinfo) -> tuple[int, int]:
        """The period of a moment, and the oldest last period of a streak that a record at that moment can continue."""
        period = period_of(at, self.period, zone)
        reach = (period_before(at, self.grace, self.period, zone) if self.grace else period) - 1
        return period, reach - is_skipped(reach, self.period, zone)

    def lost_at(self, last: int, zone: tzinfo) -> int:
        """When a streak with this last period can no longer be continued, in microseconds."""
        following = last + 1 + is_skipped(last + 1, self.period, zone)
        return moment_after(self.starts(following + 1, zone), self.grace, zone)

    def starts(self, period: int, zone: tzinfo) -> int:
        """When a period starts, in microseconds."""
        return period_start(period, self.period, zone)

    def _grant(self, outcome: RuleOutcome, runs: Runs, cause: Fact, record: Fact, given: dict[str, Any]) -> None:
        for at, rewards in self.milestones:
            if runs.longest < at or str(at) in given:
                continue
            given[str(at)] = [record.occurred_at, cause.fact_id]
            outcome.grants.append(Grant(cause, record.occurred_at, causes.of_streak(self.code, at), rewards))
            outcome.effects.append(
                MilestoneReached(
                    participant_id=cause.participant_id,
                    fact_id=cause.fact_id,
                    occurred_at=record.occurred_at,
                    of="streak",
                    code=self.code,
                    at=at,
                )
            )


def streak_rule(streak: Streak, applied_seq: int) -> StreakRule:
    """Compile a streak."""
    own = streak.timezone == "participant"
    milestones = sorted(streak.milestones, key=lambda milestone: milestone.at)
    cosmetic = ("name", "description", "display_order", "milestones")
    return StreakRule(
        key=f"streak/{streak.code}",
        code=streak.code,
        fact_types=fact_types(streak.on) | ({TIMEZONE_CHANGED} if own else set()),
        bounds=bounds(streak, applied_seq),
        revision=revision(streak, applied_seq, *cosmetic, salt=str([each.at for each in milestones])),
        condition=Condition(streak.when),
        period=streak.period,
        grace=streak.grace_period_hours * HOUR,
        zone=None if own else timezone(streak.timezone),
        milestones=tuple((each.at, Rewards.of(each.rewards)) for each in milestones),
        rewards=Rewards.of([reward for each in milestones for reward in each.rewards]),
    )


def _matched(hit: Hit) -> bool:
    return hit.readings[0].verdict == "matched"
