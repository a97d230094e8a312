"""Servers with one mistake each: `python -m tests.harness.mutants NAME serve ...` is `bq-server serve ...`, but wrong.

The harness must see every one of them. A mutant is the real server with a part of it replaced, in its process only.
"""

import asyncio
import math
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from datetime import timezone as fixed
from typing import Any

from msgspec import structs

Mutant = Callable[[], None]
"""Puts the mistake in."""

IN_BETWEEN_SECONDS = 0.4
"""From the commit to the acknowledgement, or the other way round: so long that every kill falls between some."""

_UNIQUE = {
    "event_id BLOB NOT NULL UNIQUE": "event_id BLOB NOT NULL",
    "CREATE UNIQUE INDEX facts_by_key": "CREATE INDEX facts_by_key",
}
"""The keys of the facts in the schema, and what stands there without them."""


def drops_the_unique_key() -> None:
    """Nothing tells a repeat: no unique key, no look at the facts before, no claim in the stream."""
    from bq_server.store import facts
    from bq_server.stream.claims import EventClaims

    async def nothing(*_: object) -> dict[Any, Any]:
        return {}

    _drop_unique_keys()
    replace(facts, "by_keys", nothing)
    replace(EventClaims, "of", lambda *_: None)


def doubles_what_is_delivered_twice() -> None:
    """The unique keys of the facts are gone: only a kill after the commit, before the acknowledgement, shows it."""
    from bq_server.stream.consumer import Consumer

    results_of = Consumer._results_of

    async def late(self: Any, entries: Sequence[Any]) -> Any:
        results = await results_of(self, entries)
        await asyncio.sleep(IN_BETWEEN_SECONDS)
        return results

    _drop_unique_keys()
    replace(Consumer, "_results_of", late)


def acknowledges_before_commit() -> None:
    """A message is out of the stream before it is a fact: only a kill in between shows it."""
    from bq_server.stream.consumer import Consumer

    async def process_batch(self: Any, entries: Sequence[Any]) -> None:
        if entries:
            await self._group.remove(entries)
            await asyncio.sleep(IN_BETWEEN_SECONDS)
            await self._results_of(entries)

    replace(Consumer, "_process_batch", process_batch)


def folds_in_order_of_arrival() -> None:
    """Where order decides, the order in which facts arrived decides: nothing is folded again for a late one."""
    from bq_server.game.mechanics.ordered_quest import Course
    from bq_server.game.mechanics.quest_rule import QuestRule

    replace(QuestRule, "late", lambda *_: None)
    replace(Course, "end", property(lambda _: None))


def reads_the_real_clock() -> None:
    """Streaks are read as of the real present, whatever the environment's clock shows."""
    from bq_server.api.resources import participant_state
    from bq_server.clock import system_clock

    read = vars(participant_state)["read_streaks"]
    replace(participant_state, "read_streaks", lambda game, cells, _: read(game, cells, system_clock()))


def ignores_time_zones() -> None:
    """All streaks go by the days of UTC."""
    _streaks_in(lambda _: UTC)


def ignores_summer_time() -> None:
    """All streaks go by the time that zones have in winter."""
    _streaks_in(lambda zone: fixed(datetime(2026, 1, 15, tzinfo=zone).utcoffset() or timedelta(0)))


def drops_the_last_of_a_batch() -> None:
    """The last event of a batch is accepted and forgotten."""
    from bq_server.stream.writer import Writer

    append = Writer.append

    def short(self: Any, messages: Sequence[Any]) -> Any:
        if len(messages) < 2:
            return append(self, messages)

        async def without_the_last() -> Any:
            answers = await append(self, messages[:-1])
            return [*answers, answers[-1]]

        return asyncio.ensure_future(without_the_last())

    replace(Writer, "append", short)


def rounds_points_up() -> None:
    """A fraction of a point is a whole one."""
    from bq_server.game.expressions import conditions

    number = conditions.Formula.number

    def points(self: Any, variables: Any) -> Any:
        found = number(self, variables)
        return found if isinstance(found, conditions.ExpressionFailure) else math.ceil(found)

    replace(conditions.Formula, "points", points)


def forgets_timestamps_in_the_stream() -> None:
    """By the stream, everything happens when it is received."""
    from bq_server.events import Event

    read = Event.from_payload.__func__  # type: ignore[attr-defined]

    def late(cls: Any, payload: bytes, message_id: str) -> Any:
        event = read(cls, payload, message_id)
        return event._replace(occurred_at=event.received_at)

    replace(Event, "from_payload", classmethod(late))


def takes_badges_back() -> None:
    """A badge is held only while the facts, as they are known now, lead to it."""
    from bq_server.game.mechanics import badges

    reached = badges.BadgeRule._reached

    def lost_too(
        self: Any, outcome: Any, story: Any, batch: Any, before: Any, standing: Any, given: dict[str, Any], by: Any
    ) -> None:
        reached(self, outcome, story, batch, before, standing, given, by)
        if before.progress.complete and not standing.progress.complete:
            outcome.cells[f"badge/{self.key.partition('/')[2]}"] = None

    replace(badges.BadgeRule, "_reached", lost_too)


def leaves_the_hidden_in_sight() -> None:
    """Whoever is hidden keeps the places of before."""
    from bq_server.store import rank_sections

    replace(rank_sections, "move_places_of", lambda *_, **__: None)


def ranks_by_days_of_utc() -> None:
    """The days of a leaderboard begin at midnight in UTC, whatever its zone."""
    from bq_server.game.mechanics.board_periods import BoardPeriods

    of = BoardPeriods.of.__func__  # type: ignore[attr-defined]
    replace(BoardPeriods, "of", classmethod(lambda cls, board: structs.replace(of(cls, board), zone=UTC)))


def ends_no_season() -> None:
    """A season goes on after its end."""
    from bq_server.game.mechanics.board_periods import BoardPeriods

    of = BoardPeriods.of.__func__  # type: ignore[attr-defined]

    def endless(cls: Any, board: Any) -> Any:
        found = of(cls, board)
        return structs.replace(found, seasons=tuple(structs.replace(each, ends_at=2**62) for each in found.seasons))

    replace(BoardPeriods, "of", classmethod(endless))


def ranks_the_highest_first() -> None:
    """The highest score leads, whatever the leaderboard says."""
    from bq_server.game.mechanics.leaderboards import BoardOrder

    replace(BoardOrder, "turned", lambda _, score: score)


def shares_no_rank() -> None:
    """Equal scores have different ranks."""
    from bq_server.store.rankings import RankingView

    ranked = RankingView._ranked
    replace(RankingView, "_ranked", lambda self, scores, first, **_: ranked(self, scores, first, shared=False))


def gives_a_repeatable_badge_once() -> None:
    """A badge is earned once, and counted no further."""
    from bq_server.game.document.badges import Badge

    replace(Badge, "is_counted", property(lambda _: False))


def plays_rounds_in_one() -> None:
    """A recurring challenge never begins anew."""
    from bq_server.game.mechanics import recurring_challenges

    replace(recurring_challenges.RecurringChallengeRule, "number_at", lambda *_: 20_000)


def ignores_limits() -> None:
    """Everything that matches counts."""
    from bq_server.game.mechanics.limits import Quota

    replace(Quota, "refusal", lambda *_: None)


def counts_limits_by_the_days_of_utc() -> None:
    """A limit's day ends at midnight in UTC, wherever the participant is."""
    from bq_server.game.mechanics import limits

    replace(limits, "zone_at", lambda *_: UTC)


def restarts_a_cooldown_with_every_fact() -> None:
    """A fact that doesn't count begins the pause anew."""
    from bq_server.game.mechanics.limits import Quota

    refusal = Quota.refusal

    def longer(self: Any, tally: Any, at: int, period: int) -> Any:
        found = refusal(self, tally, at, period)
        if found == "cooling_down":
            tally[0] = max(tally[0], at)
        return found

    replace(Quota, "refusal", longer)


def forgets_what_is_void_already() -> None:
    """A void that comes before the fact it voids comes to nothing."""
    from bq_server.processing import game_runner, void_changes

    replace(game_runner, "awaits_voids", lambda _: False)
    replace(void_changes, "awaits_voids", lambda _: False)


def takes_no_points_back() -> None:
    """What a void fact was paid stays in the ledger."""
    from bq_server.game import void_payout

    replace(void_payout, "corrections", lambda *_: iter(()))


def awards_nobody_else() -> None:
    """A fact awards its sender alone."""
    from bq_server.game.recipients import AwardTo

    replace(AwardTo, "recipients", lambda *_: ())


MUTANTS: dict[str, Mutant] = {
    mutant.__name__: mutant
    for mutant in (
        drops_the_unique_key,
        doubles_what_is_delivered_twice,
        acknowledges_before_commit,
        folds_in_order_of_arrival,
        reads_the_real_clock,
        ignores_time_zones,
        ignores_summer_time,
        drops_the_last_of_a_batch,
        rounds_points_up,
        forgets_timestamps_in_the_stream,
        takes_badges_back,
        leaves_the_hidden_in_sight,
        ranks_by_days_of_utc,
        ends_no_season,
        ranks_the_highest_first,
        shares_no_rank,
        gives_a_repeatable_badge_once,
        plays_rounds_in_one,
        ignores_limits,
        counts_limits_by_the_days_of_utc,
        restarts_a_cooldown_with_every_fact,
        forgets_what_is_void_already,
        takes_no_points_back,
        awards_nobody_else,
    )
}


def replace(owner: Any, name: str, by: Any) -> None:
    """Put something else in the place of a part, which must be there: a mutant of what is gone changes nothing."""
    assert name in vars(owner), f"{owner} has no {name} any more: mend this mutant"
    setattr(owner, name, by)


def _drop_unique_keys() -> None:
    from bq_server.store import batch, migrations

    before = batch.before

    def of_nothing(*where: Any) -> Any:
        """What there is before a batch, but for the facts that its events repeat."""
        return structs.replace(before(*where), by_event=_Forgetful(), by_key=_Forgetful())

    replace(batch, "before", of_nothing)
    scripts = migrations.available()
    whole = "\n".join(sql for _, _, sql in scripts)
    assert all(each in whole for each in _UNIQUE), "the schema has its keys elsewhere: mend this mutant"

    def available() -> list[tuple[int, str, str]]:
        return [(number, name, _without_unique_keys(sql)) for number, name, sql in scripts]

    replace(migrations, "available", available)


class _Forgetful(dict[Any, Any]):
    def __setitem__(self, key: Any, value: Any) -> None:
        """Keep nothing: not even the same batch knows a repeat."""


def _without_unique_keys(sql: str) -> str:
    for key, none in _UNIQUE.items():
        sql = sql.replace(key, none)
    return sql


def _streaks_in(zone_of: Callable[[Any], tzinfo]) -> None:
    from bq_server.game.mechanics.streak_calendar import StreakCalendar

    for name in ("place", "starts", "ends", "lost_at", "rests", "day_ends"):
        replace(StreakCalendar, name, _in_zone(vars(StreakCalendar)[name], zone_of))


def _in_zone(method: Callable[..., Any], zone_of: Callable[[Any], tzinfo]) -> Callable[..., Any]:
    return lambda self, moment, zone: method(self, moment, zone_of(zone))


if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)]()

    from bq_server.cli import main

    main()
