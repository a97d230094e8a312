"""The clocks of test environments: setting, advancing and giving them back."""

from datetime import timedelta
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from bq_server.clock import Clocks, OwnClock
from bq_server.events import Scope
from bq_server.ingest.unavailable import unavailable
from bq_server.moments import format_timestamp, is_duration, parse_timestamp
from bq_server.processing.broken_streaks import StreakWatch
from bq_server.processing.contest_freezer import ContestFreezer
from bq_server.processing.points_expiry import PointsExpirer
from bq_server.sandbox.unfinished_work import is_due
from bq_server.store import environments, watched_streaks, webhooks
from bq_server.store.audit_log import Act
from bq_server.store.database import Database

EARLIEST = parse_timestamp("1970-01-01T00:00:00Z")
LATEST = parse_timestamp("9000-01-01T00:00:00Z")
"""What a clock may show. Beyond these, the windows and periods around a moment would leave the calendar."""


class BeyondTheCalendar(Exception):
    """The clock would show a time that it may not."""


def _checked(value: object) -> object:
    if not isinstance(value, str) or not is_duration(value):
        raise ValueError(
            "must be an ISO 8601 duration of weeks, days, hours, minutes and seconds, such as P1D, PT90S or P1DT12H "
            "(months and years have no fixed length: set the clock to a moment instead)"
        )
    return value


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be positive: a clock is set back with PUT")
    return value


Duration = Annotated[timedelta, BeforeValidator(_checked), AfterValidator(_positive)]
"""A length of time by which a clock can be advanced; a day is 24 hours."""


class SandboxClocks:
    """Sets clocks, and keeps them across restarts. Every method raises `Refusal` if the store is unavailable."""

    def __init__(
        self, database: Database, clocks: Clocks, streaks: StreakWatch, expirer: PointsExpirer, freezer: ContestFreezer
    ) -> None:
        self._database = database
        self._clocks = clocks
        self._streaks = streaks
        self._expirer = expirer
        self._freezer = freezer

    async def set(self, act: Act, scope: Scope, moment: int, *, frozen: bool) -> None:
        """Set the environment's clock to this moment, stopped or running on from it.

        Raises `BeyondTheCalendar`.
        """
        await self._put(act, scope, self.at(moment, frozen=frozen))

    def at(self, moment: int, *, frozen: bool) -> OwnClock:
        """A clock at this moment, stopped or running on from it. Raises `BeyondTheCalendar`."""
        if not EARLIEST <= moment <= LATEST:
            raise BeyondTheCalendar
        return OwnClock(frozen, moment if frozen else moment - self._clocks.real())

    async def advance(self, act: Act, scope: Scope, by: timedelta) -> None:
        """Advance the environment's clock; one on the real clock gets its own, running that much ahead.

        Raises `BeyondTheCalendar`.
        """
        distance = by // timedelta(microseconds=1)
        own = self._clocks.own(scope) or OwnClock(frozen=False, at=0)
        if self._clocks.now(scope) + distance > LATEST:
            raise BeyondTheCalendar
        await self._put(act, scope, OwnClock(own.frozen, own.at + distance))

    async def give_back(self, act: Act, scope: Scope) -> None:
        """Return the environment to the real clock."""
        await self._put(act, scope, None)

    async def _put(self, act: Act, scope: Scope, clock: OwnClock | None) -> None:
        with unavailable("The clock can't be set"):
            before = self._clocks.now(scope)
            await self._streaks.look_at_all(scope)
            async with self._database.transaction() as connection:
                # When a streak breaks must be known before the clock passes that moment.
                await self._streaks.look(connection, scope)
                await environments.put_clock(connection, scope, clock)
                if clock is None:
                    await act.keep(connection)
                else:
                    now = format_timestamp(clock.now(self._clocks.real()))
                    await act.keep(connection, now=now, frozen=clock.frozen)
                after = self._clocks.real() if clock is None else clock.now(self._clocks.real())
                if before > after:
                    # What was put off until a time of that clock would wait for the real one to reach it.
                    await webhooks.bring_environment_forward(connection, scope, after)
                    await connection.run(partial(watched_streaks.forget_when, scope=scope))
            self._clocks.put(scope, clock)
            async with self._database.read() as connection:
                due = await connection.run(partial(is_due, scope=scope, now=self._clocks.now(scope)))
            if due:
                await self._freezer.look(scope)
                await self._expirer.look(scope)
            self._database.outbox.beat_all()
