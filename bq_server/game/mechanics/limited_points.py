"""Points rules that pay some of the facts they match: at most so many a period, or with a pause after each.

In the order of event time, the facts that find room count. A place is paid once: as many facts are paid as count, and
one that comes late and takes the place of another, which was paid, is paid nothing. So the number of payments doesn't
depend on the order of arrival.

Of each object there is a cell: its tally and the newest fact that matched. Where there is only a limit, a tally counts
a late fact as any other, and one of a period that it keeps no longer asks for the facts of that period. With a
cooldown, a late fact may change which of all later ones count, and so asks for all.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from bq_server.game.document.points import PointsRule
from bq_server.game.effects import Verdict
from bq_server.game.expressions.conditions import ExpressionFailure, Variables
from bq_server.game.facts import TIMEZONE_CHANGED, Fact, Moment
from bq_server.game.mechanics.limits import KEPT_PERIODS, Quota, counted, zone_types
from bq_server.game.mechanics.measures import Condition, Hit, PartReading, fact_types, refused
from bq_server.game.mechanics.multipliers import award_of
from bq_server.game.mechanics.points import PointsRuleCompiled
from bq_server.game.mechanics.rule import (
    NO_REWARDS,
    Grant,
    HistoryNeed,
    RuleHistory,
    RuleOutcome,
    Way,
    bounds,
    explain,
    merge,
    revision,
)
from bq_server.game.recipients import award_to
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells

Group = tuple[str, int]
"""An object and a period: of such facts, one payment stands for another. With a cooldown all periods are one."""


class PaidPlace(NamedTuple):
    """The place of a fact that may be paid."""

    about: str
    """The object."""
    period: int
    points: int


class LimitedPointsRule(PointsRuleCompiled, kw_only=True):
    """A points rule with a limit or a cooldown."""

    quota: Quota
    revision: str

    @property
    def keeps_nothing(self) -> bool:
        """Removing a fact makes room for another."""
        return False

    def read(self, fact: Fact, variables: Variables) -> tuple[PartReading, ...]:
        """How many points the fact is worth, and which object it is about: `<object>/<points>`."""
        if fact.fact_type == TIMEZONE_CHANGED:
            return ()
        if not self.bounds.admits(fact.moment):
            return (PartReading(0, "outside_window"),)
        points = self.points(variables)
        if points is None or isinstance(points, ExpressionFailure):
            return (refused(0, points or False),)
        worth = self.worth(variables) if points else 0
        if isinstance(worth, ExpressionFailure):
            return (refused(0, worth),)
        return (PartReading(0, "matched", worth or 0),)

    def worth(self, variables: Variables) -> str | ExpressionFailure | None:
        """The object that a fact within the bounds is about, and its points; None if it is worth none."""
        points = self.points(variables)
        if not points or isinstance(points, ExpressionFailure):
            return points or None
        about = self.quota.object_of(variables)
        return about if isinstance(about, ExpressionFailure) else f"{about}/{points}"

    def cells(self, hits: Sequence[Hit]) -> Iterable[str]:
        """Those of the objects that the hits are about, and the zones that tell periods."""
        if self._zoned:
            yield keys.ZONE
            if self.quota.by is None:
                yield keys.limit(self.code)
        for hit in hits:
            if (place := self.place(hit, ())) is not None:
                yield self.cell_of(place.about)

    def is_current(self, hits: Sequence[Hit], cells: Cells) -> bool | None:
        """Whether the cells of these objects are of this definition."""
        found = [cells[key] for key in self.cells(hits) if key in cells and key != keys.ZONE]
        return all(cell["rev"] == self.revision for cell in found) if found else None

    def whole(self) -> HistoryNeed:
        """All facts, all objects, and what was paid."""
        own = (keys.limit(self.code), keys.members(self.key))
        return HistoryNeed(self.fact_types - {TIMEZONE_CHANGED}, self.bounds.starts_at, own, ledger=True)

    def late(self, hits: Sequence[Hit], cells: Cells) -> HistoryNeed | None:
        """All facts, where one changes which others count; those of a period kept no longer, where one is of it."""
        timeline = cells.get(keys.ZONE, ())
        zones = [hit for hit in hits if hit.fact.fact_type == TIMEZONE_CHANGED]
        if zones and self._moves(zones, len(hits) > len(zones), cells):
            return self.whole()
        spans = []
        for hit in hits:
            place = self.place(hit, timeline)
            cell = cells.get(self.cell_of(place.about)) if place is not None else None
            if place is None or cell is None:
                continue
            if self._shifts(cell, hit.fact.moment):
                return self.whole()
            if self._forgot(cell, place.period):
                spans.append(self.quota.span(place.period))
        if not spans:
            return None
        since, until = min(start for start, _ in spans), max(end for _, end in spans)
        return HistoryNeed(self.fact_types - {TIMEZONE_CHANGED}, since, until=until)

    def step(self, hits: Sequence[Hit], cells: Cells, history: RuleHistory | None) -> RuleOutcome:
        """Pay the facts within the limit."""
        outcome = RuleOutcome()
        timeline = cells.get(keys.ZONE, ())
        if history is not None and history.ledger is not None:
            verdicts = self._step_anew(outcome, hits, timeline, history)
        else:
            verdicts = self._step_on(outcome, hits, cells, timeline, history.hits if history is not None else ())
        for hit in hits:
            for reading in hit.readings:
                verdict = verdicts.get(hit.fact.fact_id, reading.verdict)
                message = reading.message or self.quota.said(verdict)
                way = self._way(self.place(hit, timeline), {**cells, **outcome.cells})
                outcome.explanations.append(explain(self, hit.fact, 0, verdict, message, way))
        return outcome

    def place(self, hit: Hit, timeline: Cell) -> PaidPlace | None:
        """The place of a fact; None if it is worth no points. Without the zones, the period is meaningless."""
        reading = hit.readings[0] if hit.readings else None
        if reading is None or reading.verdict != "matched" or not reading.amount:
            return None
        about, _, points = str(reading.amount).rpartition("/")
        return PaidPlace(about, self.quota.period(hit.fact.moment, timeline), int(points))

    def cell_of(self, about: str) -> str:
        """The key of an object's cell: `{"rev", "k", "n"}`, the newest fact that matched and the tally."""
        return keys.limit(self.code) if self.quota.by is None else keys.member(self.key, "0", about)

    def needs_past(self, cell: Cell, moment: Moment, period: int) -> bool:
        """Whether an object's cell is not enough to take a fact."""
        return self._shifts(cell, moment) or self._forgot(cell, period)

    def taken(self, cell: Cell | None, moment: Moment, period: int, *, counts: bool) -> Cell:
        """An object's cell with a fact that matched."""
        newest = list(moment) if cell is None else max(cell["k"], list(moment))
        tally = cell["n"] if cell is not None else [None, []]
        if counts:
            tally = self.quota.add(tally, moment.at, period)
        return {"rev": self.revision, "k": newest, "n": tally}

    def is_readable(self, cell: Cell) -> bool:
        """Whether a cell says what `taken` writes. May raise `TypeError`, `ValueError` or `LookupError` where not."""
        last, periods = cell["n"]
        counts = [(int(period), int(times)) for period, times in periods]
        return isinstance(cell["rev"], str) and len(Moment(*cell["k"])) == len([last, counts])

    def paid_otherwise(
        self, hits: Iterable[Hit], timeline: Cell, held: Collection[str], due: Collection[str]
    ) -> set[str]:
        """The causes of payments due that are not held, of whose group as many are held as are due.

        `hits` are all facts, `held` the causes of all entries in the ledger, `due` of those that the facts lead to.
        """
        paid, owed, missing = Counter[Group](), Counter[Group](), dict[str, Group]()
        for hit in hits:
            place = self.place(hit, timeline)
            if place is None:
                continue
            cause, group = self.cause(hit.fact.fact_id), self._group(place)
            paid[group] += cause in held
            if cause in due:
                owed[group] += 1
                if cause not in held:
                    missing[cause] = group
        return {cause for cause, group in missing.items() if paid[group] >= owed[group]}

    @property
    def _zoned(self) -> bool:
        return TIMEZONE_CHANGED in self.fact_types

    def _group(self, place: PaidPlace) -> Group:
        return place.about, 0 if self.quota.cooldown else place.period

    def _moves(self, zones: Sequence[Hit], others: bool, cells: Cells) -> bool:
        """Whether changes of zone may move facts into other periods; assumed if there are many objects."""
        cell = cells.get(keys.limit(self.code))
        if others or self.quota.by is not None:
            return True
        return cell is not None and any(list(hit.fact.moment) < cell["k"] for hit in zones)

    def _shifts(self, cell: Cell, moment: Moment) -> bool:
        """Whether a fact changes when others count. One within the cooldown after the last that did doesn't."""
        last = cell["n"][0]
        if last is None or list(moment) > cell["k"]:
            return False
        return not last < moment.at < last + self.quota.cooldown

    def _forgot(self, cell: Cell, period: int) -> bool:
        periods = cell["n"][1]
        return len(periods) == KEPT_PERIODS and period < int(periods[0][0])

    def _way(self, place: PaidPlace | None, cells: Cells) -> Way:
        times = self.quota.times
        cell = cells.get(self.cell_of(place.about)) if place is not None else None
        if place is None or times is None or cell is None or self._forgot(cell, place.period):
            return None, None
        return counted(cell["n"], place.period), times

    def _step_on(
        self, outcome: RuleOutcome, hits: Sequence[Hit], cells: Cells, timeline: Cell, past: Sequence[Hit]
    ) -> dict[str, Verdict]:
        """Take the hits into the cells. `past` holds the facts of periods that these keep no longer."""
        verdicts: dict[str, Verdict] = {}
        own = {hit.fact.fact_id for hit in hits}
        before = Counter(
            self._group(place)
            for hit in past
            if hit.fact.fact_id not in own and (place := self.place(hit, timeline)) is not None
        )
        for hit in hits:
            place = self.place(hit, timeline)
            if place is None:
                continue
            key, moment = self.cell_of(place.about), hit.fact.moment
            cell = outcome.cells.get(key, cells.get(key))
            refusal: Verdict | None = None
            if cell is not None and self._forgot(cell, place.period):
                refusal = "limit_reached" if before[self._group(place)] >= (self.quota.times or 0) else None
                before[self._group(place)] += 1
            elif cell is not None:
                refusal = self.quota.refusal(cell["n"], moment.at, place.period)
            changed = self.taken(cell, moment, place.period, counts=refusal is None)
            if changed != cell:
                outcome.cells[key] = changed
            if refusal is None:
                outcome.grants.append(self._grant(hit, place))
            else:
                verdicts[hit.fact.fact_id] = refusal
        return verdicts

    def _step_anew(
        self, outcome: RuleOutcome, hits: Sequence[Hit], timeline: Cell, history: RuleHistory
    ) -> dict[str, Verdict]:
        """Compute the cells from all facts, and pay where fewer were paid than count: those of the batch first."""
        verdicts: dict[str, Verdict] = {}
        paid = {entry.cause for entry in history.ledger or ()}
        room, unpaid = Counter[Group](), list[tuple[Hit, PaidPlace]]()
        new: dict[str, Cell] = {}
        for hit in merge(history.hits, hits):
            place = self.place(hit, timeline)
            if place is None:
                continue
            key, moment = self.cell_of(place.about), hit.fact.moment
            cell = new.get(key)
            refusal = self.quota.refusal(cell["n"] if cell is not None else None, moment.at, place.period)
            new[key] = self.taken(cell, moment, place.period, counts=refusal is None)
            is_paid = self.cause(hit.fact.fact_id) in paid
            room[self._group(place)] += (refusal is None) - is_paid
            if refusal is not None:
                verdicts[hit.fact.fact_id] = refusal
            elif not is_paid:
                verdicts[hit.fact.fact_id] = "limit_reached"
                unpaid.append((hit, place))
        batch = {hit.fact.fact_id for hit in hits}
        unpaid.sort(key=lambda each: (each[0].fact.fact_id not in batch, each[0].fact.moment))
        for hit, place in unpaid:
            if room[self._group(place)] > 0:
                room[self._group(place)] -= 1
                verdicts[hit.fact.fact_id] = "matched"
                outcome.grants.append(self._grant(hit, place))
        own = (keys.limit(self.code), *(key for key in history.cells if key.startswith(keys.members(self.key))))
        outcome.cells.update({key: None for key in own if key in history.cells})
        outcome.cells.update(new)
        return verdicts

    def _grant(self, hit: Hit, place: PaidPlace) -> Grant:
        return Grant(hit.fact, hit.fact.occurred_at, self.cause(hit.fact.fact_id), NO_REWARDS, place.points)


def limited_points_rule(rule: PointsRule, applied_seq: int) -> LimitedPointsRule:
    """Compile a points rule that has a limit."""
    quota = Quota(rule.limit, rule.cooldown)
    return LimitedPointsRule(
        key=f"points/{rule.code}",
        code=rule.code,
        fact_types=fact_types(rule.on) | zone_types([quota]),
        bounds=bounds(rule, applied_seq),
        condition=Condition(rule.when),
        award=award_of(rule),
        quota=quota,
        revision=revision(rule, applied_seq, "name"),
        currency=rule.currency,
        award_to=award_to(rule.award_to),
    )
