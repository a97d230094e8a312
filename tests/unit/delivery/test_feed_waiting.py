"""Feeds wait for commits, and for nothing else."""

from pathlib import Path

import pytest

from bq_server.clock import system_clock
from bq_server.delivery.feeds import Feeds
from bq_server.store.database import Database
from bq_server.store.feed import Happened, Position

pytestmark = pytest.mark.anyio


def as_it_is(happened: Happened) -> Happened:
    return happened


async def test_a_commit_wakes_a_feed_and_what_is_rolled_back_does_not(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "facts.db") as database:
        feeds = Feeds(database, as_it_is, {}, system_clock, most=1, most_per_key=1)
        moved = feeds.moved()
        async with database.transaction(undo=True):
            pass
        assert not moved.done()
        async with database.transaction():
            assert not moved.done()
        assert moved.done()
        assert not feeds.moved().done()
        assert await feeds.head() == Position(0, 0)
