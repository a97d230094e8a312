"""Results of contests: frozen when due by the environment's clock, and then recorded as facts, place by place."""

from bq_server.events import Event, Scope
from bq_server.game.document.contests import Contest
from bq_server.game.document.definitions import Game
from bq_server.game.facts import CONTEST_PLACED
from bq_server.game.mechanics.contests import FINAL, LIVE, freezes_at
from bq_server.game.mechanics.leaderboards import NEVER_REACHED
from bq_server.game.mechanics.periods import to_micros
from bq_server.processing.faults import GameUnreadable
from bq_server.processing.time_watch import LOOK_SECONDS, FactMaker, seconds_until, watch
from bq_server.store import contests
from bq_server.store.contests import FrozenPlace
from bq_server.store.database import Connection
from bq_server.store.references import Ranking

PAGE = 50
"""Facts in one transaction."""


async def watch_contests(connection: Connection, scope: Scope, game: Game) -> None:
    """Have the results of a game's contests frozen when they are due, and no others, in a transaction."""
    await contests.watch(connection, scope, {each.code: freezes_at(each) for each in game.contests})


class ContestFreezer(FactMaker):
    """Freezes results, once, and makes a fact of each place."""

    async def run(self) -> None:
        """Work until cancelled."""
        await watch(self._database, contests.NAME, self._look_everywhere)

    async def look(self, scope: Scope) -> None:
        """Freeze everything that is due in the environment, and make all the facts. Raises `StoreUnavailable`."""
        await self._freeze(scope)
        while await self._tell(scope):
            pass

    async def _look_everywhere(self) -> float:
        """Freeze what is due everywhere, and make some facts; returns the seconds until there is more to do."""
        async with self._database.read() as connection:
            scopes = await contests.scopes(connection)
        wait = LOOK_SECONDS
        for scope in scopes:
            due = await self._freeze(scope)
            if await self._tell(scope):
                return 0.0
            wait = min(wait, seconds_until(due, self._clocks, scope))
        return wait

    async def _freeze(self, scope: Scope) -> int | None:
        """Freeze what is due, except contests that are still being counted; returns when the next one is due, if any.

        One that nobody entered has no result: if the clock is set back, it is held again.
        """
        now = self._clocks.now(scope)
        async with self._database.read() as connection:
            ends = await contests.ends(connection, scope)
            waiting = {code: each.due_at for code, each in ends.items() if each.frozen_at is None}
            due = [code for code, due_at in waiting.items() if due_at <= now]
            entered = [code for code in due if await contests.has_places(connection, scope, _rankings(code))]
        for code in entered:
            async with self._database.transaction() as connection:
                end = (await contests.ends(connection, scope)).get(code)
                try:
                    game = await self._games.of(connection, scope)
                except GameUnreadable:
                    continue
                is_counted = f"contest/{code}" not in game.pending
                if is_counted and end is not None and end.frozen_at is None and end.due_at <= now:
                    await contests.freeze(connection, scope, code, *_rankings(code), now)
        return min((due_at for due_at in waiting.values() if due_at > now), default=None)

    async def _tell(self, scope: Scope) -> bool:
        """Make facts of some places; returns whether there may be more."""
        async with self._database.read() as connection:
            if not await contests.next_places(connection, scope, 1):
                return False
        async with self._database.transaction() as connection:
            try:
                game = (await self._games.of(connection, scope)).game
            except GameUnreadable:
                return False
            by_code = {each.code: each for each in game.contests}
            page = await contests.next_places(connection, scope, PAGE)
            events = [self._event(scope, each, by_code.get(each.contest_code)) for each in page]
            await self._processor.process_within(connection, [each for each in events if each is not None])
            await contests.remove_places(connection, scope, page)
        return len(page) == PAGE

    def _event(self, scope: Scope, place: FrozenPlace, contest: Contest | None) -> Event | None:
        """The event of a place; None for a contest that was removed meanwhile."""
        if contest is None:
            return None
        prize = contest.prize_of(place.place)
        properties = {
            "contest_code": contest.code,
            "rank": place.place,
            "score": place.score,
            "reached_at": None if place.reached_at == NEVER_REACHED else place.reached_at,
            **({"points": prize.points} if prize is not None and prize.points is not None else {}),
            **({"badge": prize.badge} if prize is not None and prize.badge is not None else {}),
        }
        return Event.of_system(
            self._ids.new("evt"),
            scope,
            CONTEST_PLACED,
            place.participant_id,
            properties,
            occurred_at=to_micros(contest.ends_at),
            received_at=self._clocks.now(scope),
        )


def _rankings(code: str) -> tuple[Ranking, Ranking]:
    """The live and the final ranking of a contest."""
    return (f"contest/{code}", LIVE, LIVE), (f"contest/{code}", FINAL, FINAL)
