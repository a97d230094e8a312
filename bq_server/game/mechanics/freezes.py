"""Freezes: what a streak's missed periods may be covered with, so that it doesn't break.

Every month of the calendar brings some, and some are bought, up to the most that one can hold. A missed period takes
one of those there are by then: of itself, or where its participant said so. What was recorded, bought and said is kept;
what became of it is computed from that, from the first record on, and so a late fact changes it like any other.
"""

from bisect import bisect_right, insort
from typing import Any, NamedTuple

from msgspec import Struct, field

from bq_server.game.mechanics.runs import Runs
from bq_server.game.mechanics.streak_calendar import StreakCalendar
from bq_server.game.state.keys import Cell

_LONG_AGO = 2**40
"""Before every period, as a number of periods."""

FURTHEST = 1000
"""How many periods ahead the end of a streak is looked for that freezes keep alive."""

CYCLE = 4800
"""Months after which the calendar is the same again, days of the week included."""


class Stock(NamedTuple):
    """The freezes a participant has at a period."""

    have: int
    month: int
    """The newest month whose freezes came."""
    period: int
    """Those bought for this period or an earlier one came."""


class Stand(NamedTuple):
    """The state of a streak after a period, missed or not."""

    last: int
    """The last period recorded or covered."""
    stock: Stock
    covered: range
    """The periods that freezes covered since the last record."""


class FreezeRules(Struct, frozen=True):
    """The compiled freezes of a streak."""

    monthly: int
    most: int
    automatic: bool
    price: int | None
    calendar: StreakCalendar

    def first(self, period: int) -> Stock:
        """The stock at the first record, before any were added."""
        return Stock(0, self.calendar.month_of(period) - 1, -_LONG_AGO)

    def refilled(self, stock: Stock, period: int, bought: list[int]) -> Stock:
        """The stock when a later period was missed."""
        month = max(self.calendar.month_of(period), stock.month)
        came = bisect_right(bought, period) - bisect_right(bought, stock.period)
        have = stock.have + self.monthly * (month - stock.month) + max(came, 0)
        return Stock(min(have, self.most), month, max(period, stock.period))


class FrozenRuns(Runs):
    """The periods of a streak that has freezes."""

    rules: FreezeRules | None = None
    bought: list[int] = field(default_factory=list)
    """For each freeze bought, the first missed period that it may cover, in order."""
    used: list[int] = field(default_factory=list)
    """The periods that a participant wants covered, in order."""
    base: Stock | None = None
    """What there was at the last period that is kept here no longer."""
    base_longest: int = 0
    """The longest of the runs that ended by then, or reach beyond."""

    def buy(self, period: int) -> None:
        """Take a freeze that was bought when this was the first period it may cover."""
        insort(self.bought, period)
        self._measure()

    def use(self, period: int) -> None:
        """Cover a period, if it is missed and there is a freeze by then."""
        if period not in self.used:
            insort(self.used, period)
            self._measure()

    def add(self, period: int, reach: int) -> None:
        """Record a period."""
        Runs.add(self, period, reach)
        self._measure()

    def recall(self, rows: Any) -> None:
        """Restore those that were kept in cells of their own."""
        Runs.recall(self, rows)
        self.base, self.base_longest = None, 0

    def links(self) -> list[bool]:
        """Whether each stretch belongs to the same run as the one before it, counting covered periods."""
        return [linked for linked, _, _ in self._story()]

    def covered(self) -> list[range]:
        """The missed periods between those recorded that freezes cover, gap by gap."""
        return [covered for _, covered, _ in self._story() if covered]

    def stand(self, period: int, reach: int) -> Stand | None:
        """The state of a streak in a period from which a record would reach back so far; None before the first record.

        It is alive if its `last` is not before `reach`.
        """
        last, stock = self.older[0] if self.older is not None else None, self.base
        for (first, end, _), (_, _, after) in zip(self.stretches, self._story(), strict=True):
            if first <= period:
                last, stock = min(end, period), after
        if last is None or stock is None:
            return None
        found, covered = self._bridge(stock, last, reach)
        return Stand(covered[-1] if covered else last, found, covered)

    def have(self, period: int, reach: int) -> int:
        """How many freezes are available in a period, less those promised to later ones. The first record adds some."""
        rules, stand = self._rules, self.stand(period, reach)
        if stand is None:
            return min(len(self.bought), rules.most)
        stock = rules.refilled(stand.stock, max(period, stand.stock.period), self.bought)
        promised = sum(each > reach for each in self.used) if not rules.automatic else 0
        return max(stock.have - promised, 0)

    def end(self, stand: Stand) -> int:
        """The last period that freezes will cover without another record; if it is far away, an earlier one."""
        reach = min(stand.last + FURTHEST, self._rules.calendar.last_period)
        _, covered = self._bridge(stand.stock, stand.last, reach)
        return covered[-1] if covered else stand.last

    def forget(self) -> None:
        """Keep the newest periods only."""
        story, lengths, known = self._story(), self.lengths(), len(self.stretches)
        Runs.forget(self)
        gone = known - len(self.stretches)
        if gone:
            self.base = story[gone - 1][2]
            self.base_longest = max(self.base_longest, *lengths[:gone])

    def take(self, cell: Cell) -> None:
        """Read what `dump` wrote beside what other runs have."""
        self.bought, self.used = list(cell.get("b", ())), list(cell.get("u", ()))
        if "f" in cell:
            *stock, self.base_longest = cell["f"]
            self.base = Stock(*stock)

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        cell = Runs.dump(self)
        if self.bought:
            cell["b"] = self.bought
        if self.used:
            cell["u"] = self.used
        if self.base is not None:
            cell["f"] = [*self.base, self.base_longest]
        return cell

    @property
    def _rules(self) -> FreezeRules:
        if self.rules is None:
            raise ValueError("runs with freezes need their rules")
        return self.rules

    def _measure(self) -> None:
        self.longest = max(self.base_longest, *self.lengths(), 0)

    def _story(self) -> list[tuple[bool, range, Stock]]:
        """For each stretch: whether it continues the one before, what freezes covered in between, and what was left."""
        reaches = self._reaches()
        last, stock = self.older[0] if self.older is not None else None, self.base
        found = []
        for (first, end, _), reach in zip(self.stretches, reaches, strict=True):
            linked, covered = False, range(0)
            if last is None or stock is None:
                stock = self._rules.first(first)
            else:
                stock, covered = self._bridge(stock, last, reach)
                linked = (covered[-1] if covered else last) >= reach
            found.append((linked, covered, stock))
            last = end
        return found

    def _reaches(self) -> list[int]:
        """How far back each stretch reaches, including those of the same run."""
        reaches: list[int] = []
        later: int | None = None
        for _, last, own in reversed(self.stretches):
            reach = own if later is None or later > last else min(own, later)
            reaches.append(reach)
            later = reach
        return reaches[::-1]

    def _bridge(self, stock: Stock, last: int, reach: int) -> tuple[Stock, range]:
        """Cover the periods missed after the last one, up to one, as long as there are freezes."""
        rules, period = self._rules, last + 1
        if rules.automatic:
            return self._cover_months(stock, period, reach)
        while period <= reach:
            stock = rules.refilled(stock, period, self.bought)
            if not stock.have or period not in self.used:
                break
            stock = stock._replace(have=stock.have - 1)
            period += 1
        return stock, range(last + 1, period)

    def _cover_months(self, stock: Stock, first: int, reach: int) -> tuple[Stock, range]:
        """Cover what is missed in as few steps as there are months.

        A gap of millennia takes no more than two cycles of the calendar: as many freezes in the same month of the
        next one mean that all that follow are alike. Where no month can take more than it brings, two months do.
        """
        rules, period = self._rules, first
        longest = rules.calendar.longest_month
        had: dict[int, int] = {}
        while period <= reach:
            stock = rules.refilled(stock, period, self.bought)
            bought_before = bisect_right(self.bought, period)
            if bought_before == len(self.bought) and rules.calendar.begin_of(stock.month) == period:
                alike = min(rules.monthly, rules.most) >= longest and (stock.have == rules.most or longest == 1)
                cycle = 1 if alike else CYCLE
                cycles = (rules.calendar.month_of(reach) - stock.month) // cycle
                if cycles > 0 and had.get(stock.month - cycle) == stock.have:
                    month = stock.month + cycles * cycle
                    period = rules.calendar.begin_of(month)
                    stock = Stock(stock.have, month, period)
                had[stock.month] = stock.have
            if not stock.have:
                break
            until = min(reach, rules.calendar.begin_of(stock.month + 1) - 1)
            if bought_before < len(self.bought):
                until = min(until, self.bought[bought_before] - 1)
            spent = min(stock.have, until - period + 1)
            period += spent
            stock = stock._replace(have=stock.have - spent, period=max(period - 1, stock.period))
        return stock, range(first, period)
