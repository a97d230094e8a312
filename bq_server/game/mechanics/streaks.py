"""Streaks: calendar periods in a row with enough matching facts, which may come in any order."""

from collections.abc import Iterable, Sequence
from datetime import UTC, tzinfo
from typing import Any

from msgspec import Struct

from bq_server import causes
from bq_server.game.document.streaks import Streak, StreakPeriod
from bq_server.game.effects import MilestoneReached, StreakChanged, Verdict
from bq_server.game.expressions.conditions import Variables
from bq_server.game.facts import (
    FREEZE_BOUGHT,
    FREEZE_USED,
    TIMEZONE_CHANGED,
    Fact,
    FreezeBought,
    FreezeUsed,
    Moment,
    system_properties,
    timezone,
)
from bq_server.game.mechanics.freezes import FreezeRules, FrozenRuns
from bq_server.game.mechanics.measures import Condition, Hit, PartReading, fact_types
from bq_server.game.mechanics.periods import zone_at
from bq_server.game.mechanics.rule import (
    Bounds,
    Grant,
    HistoryNeed,
    Rewards,
    Rule,
    RuleHistory,
    RuleOutcome,
    Step,
    bounds,
    dues,
    explain,
    merge,
    reduced,
    revision,
)
from bq_server.game.mechanics.runs import Runs
from bq_server.game.mechanics.streak_calendar import StreakCalendar, streak_calendar
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells

_ABOUT_IT = frozenset({TIMEZONE_CHANGED, FREEZE_BOUGHT, FREEZE_USED})
"""Facts that record nothing."""


class StreakRule(Struct, Rule):
    """A streak."""

    key: str
    code: str
    fact_types: frozenset[str]
    bounds: Bounds
    revision: str
    condition: Condition
    period: StreakPeriod
    """As in the document."""
    calendar: StreakCalendar
    required: int
    """How many facts a period takes."""
    zone: tzinfo | None
    """None for the participant's own zone."""
    milestones: tuple[tuple[int, Rewards], ...]
    rewards: Rewards
    freezes: FreezeRules | None = None

    @property
    def cell(self) -> str:
        """The key of its cell."""
        return keys.streak(self.code)

    @property
    def notes_records(self) -> bool:
        """Whether the newest fact it read may not be a record."""
        return bool(self.calendar.weekdays) or self.freezes is not None

    def runs(self, cell: Cell | None) -> Runs:
        """What a cell of this definition holds, or none."""
        if self.freezes is None:
            return Runs.load(cell)
        runs = FrozenRuns.load(cell)
        runs.rules = self.freezes
        if cell is not None:
            runs.take(cell)
        return runs

    def read(self, fact: Fact, variables: Variables) -> tuple[PartReading, ...]:
        """Whether the fact is a record; a change of zone always is."""
        if fact.fact_type == TIMEZONE_CHANGED:
            return (PartReading(0, "matched"),)
        if fact.fact_type in _ABOUT_IT:
            own = fact.properties.get("streak_code") == self.code and fact.seq > self.bounds.applied_seq
            return (PartReading(0, "matched"),) if own else ()
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

    def whole(self) -> HistoryNeed:
        """All records."""
        facts = self.fact_types - {TIMEZONE_CHANGED}
        return HistoryNeed(facts, self.bounds.starts_at, (keys.members(self.key),), ledger=bool(self.milestones))

    def late(self, hits: Sequence[Hit], cells: Cells) -> HistoryNeed | None:
        """The periods no longer kept, if a record may touch them; all records, if a zone changed before some."""
        runs = self.runs(cells.get(self.cell))
        if self._recalls(hits, runs):
            return HistoryNeed(frozenset(), None, (keys.members(self.key),))
        if runs.newest is None:
            return None
        if self._moves(hits, runs.newest) or self._forgot(hits, runs) or self._uncounted(hits, runs):
            return self.whole()
        return None

    def step(self, hits: Sequence[Hit], cells: Cells, history: RuleHistory | None) -> RuleOutcome:
        """Record the periods of the hits."""
        outcome = RuleOutcome()
        key = keys.streak(self.code)
        old = cells.get(key)
        known = self.runs(old)
        recalls = history is not None and history.by is None and self._is_own(old) and self._recalls(hits, known)
        anew = history is not None and not recalls
        story = merge(history.hits, hits) if history is not None and anew else hits
        runs = self.runs(None if anew else old)
        kept_apart = history.cells if history is not None else {}
        if recalls:
            runs.recall((int(key.rpartition("/")[2]), row) for key, row in kept_apart.items())
        timeline = cells.get(keys.ZONE, ())
        before: dict[str, Any] = old.get("given", {}) if old is not None else {}
        due = dues(self.steps(), before, old, cells, history)
        given = {name: each for name, each in before.items() if name not in due.rewards}
        records = [hit.fact for hit in story if _matched(hit) and hit.fact.fact_type != TIMEZONE_CHANGED]
        batch = {hit.fact.fact_id for hit in hits}
        verdicts: dict[str, tuple[Verdict, str | None]] = {}
        newest = hits[-1].fact if hits else history.by if history is not None else None
        for fact in records:
            zone = self.zone or zone_at(timeline, fact.moment)
            if fact.fact_type in _ABOUT_IT:
                self._take_freeze(runs, fact, zone)
            else:
                verdicts[fact.fact_id] = self._record(runs, fact, zone)
            if not recalls:
                runs.forget()
            if runs.newest is None or fact.moment > runs.newest:
                runs.newest = fact.moment
            self._grant(outcome, runs, fact if fact.fact_id in batch or newest is None else newest, fact, given)
        runs.forget()
        outcome.grants = reduced(outcome.grants, self.steps(), due)
        way = runs.current, next((at for at, _ in self.milestones if at > runs.current), None)
        for hit in hits:
            if hit.fact.fact_type not in _ABOUT_IT:
                reading = hit.readings[0]
                verdict, message = verdicts.get(hit.fact.fact_id, (reading.verdict, reading.message))
                outcome.explanations.append(explain(self, hit.fact, 0, verdict, message, way))
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
        if records or history is not None:
            cell = {"rev": self.revision, **runs.dump()}
            if given or before:
                cell["given"] = given | before  # the time of the first award stays
            if owed := due.left(self.steps(), given):
                cell["owed"] = owed
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
        return any(self._touches(runs, hit.fact) for hit in hits if _matched(hit))

    def _touches(self, runs: Runs, fact: Fact) -> bool:
        if fact.fact_type == TIMEZONE_CHANGED:
            return False
        period, reach = self.calendar.place(fact.occurred_at, UTC)
        if fact.fact_type == FREEZE_BOUGHT:
            return runs.older is not None and reach <= runs.older[0] + 1
        if fact.fact_type == FREEZE_USED:
            named = system_properties(fact)
            return (
                runs.older is not None
                and isinstance(named, FreezeUsed)
                and self.calendar.place(named.starts_at, UTC)[0] <= runs.older[0] + 1
            )
        return runs.forgets(period, reach)

    def _uncounted(self, hits: Sequence[Hit], runs: Runs) -> bool:
        """Whether a fact is of a period whose facts are counted no longer, in any zone."""
        if self.required == 1:
            return False
        records = [hit.fact for hit in hits if _matched(hit) and hit.fact.fact_type not in _ABOUT_IT]
        return any(self.calendar.place(fact.occurred_at, UTC)[0] - 1 <= runs.tally_floor for fact in records)

    def _recalls(self, hits: Sequence[Hit], runs: Runs) -> bool:
        """Whether everything that the hits touch is kept, though not all of it in the cell."""
        if runs.newest is None or not runs.rows_known or self._uncounted(hits, runs):
            return False
        return not self._moves(hits, runs.newest) and self._forgot(hits, runs)

    def _is_own(self, cell: Cell | None) -> bool:
        return cell is not None and cell["rev"] == self.revision

    def steps(self) -> list[Step]:
        """Everything that can be reached."""
        return [(str(at), causes.of_streak(self.code, at), rewards) for at, rewards in self.milestones]

    def _take_freeze(self, runs: Runs, fact: Fact, zone: tzinfo) -> None:
        """Take a freeze bought or used. Neither saves a streak that was lost by then."""
        savable = self.calendar.place(fact.occurred_at, zone)[1] + 1
        match system_properties(fact):
            case FreezeBought() if isinstance(runs, FrozenRuns):
                runs.buy(savable)
            case FreezeUsed(starts_at=starts_at) if isinstance(runs, FrozenRuns):
                period = self.calendar.place(starts_at, zone)[0]
                if period >= savable:
                    runs.use(period)

    def _record(self, runs: Runs, fact: Fact, zone: tzinfo) -> tuple[Verdict, str | None]:
        """Take a fact into the periods; returns what became of it."""
        calendar, at = self.calendar, fact.occurred_at
        if calendar.rests(at, zone):
            return "rest_day", None
        if self.notes_records:
            runs.recorded_at = max(at, runs.recorded_at or at)
        period, reach = calendar.place(at, zone)
        if self.required > 1:
            needed = runs.tally(period, reach, self.required, steady=calendar.is_steady)
            if needed is None:
                return "matched", f"{runs.times(period):,} of {self.required:,} in this period"
            reach = needed
        runs.add(period, reach)
        return "matched", None

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
    own = streak.timezone == "participant" and streak.period != "hourly"
    milestones = sorted(streak.milestones, key=lambda milestone: milestone.at)
    cosmetic = ("name", "description", "display_order", "milestones")
    return StreakRule(
        key=f"streak/{streak.code}",
        code=streak.code,
        fact_types=fact_types(streak.on) | ({TIMEZONE_CHANGED} if own else set()) | _freeze_types(streak),
        bounds=bounds(streak, applied_seq),
        revision=revision(streak, applied_seq, *cosmetic, salt=str([each.at for each in milestones])),
        condition=Condition(streak.when),
        period=streak.period,
        calendar=streak_calendar(streak),
        required=streak.required,
        zone=UTC if streak.period == "hourly" else None if own else timezone(streak.timezone),
        milestones=tuple((each.at, Rewards.of(each.rewards)) for each in milestones),
        rewards=Rewards.of([reward for each in milestones for reward in each.rewards]),
        freezes=_freeze_rules(streak),
    )


def _freeze_types(streak: Streak) -> frozenset[str]:
    return frozenset() if streak.freezes is None else frozenset({FREEZE_BOUGHT, FREEZE_USED})


def _freeze_rules(streak: Streak) -> FreezeRules | None:
    freezes = streak.freezes
    if freezes is None:
        return None
    return FreezeRules(freezes.monthly, freezes.max, freezes.automatic, freezes.price, streak_calendar(streak))


def _matched(hit: Hit) -> bool:
    return bool(hit.readings) and hit.readings[0].verdict == "matched"
