"""Notices of the feed are bounded, environment by environment."""

from pathlib import Path

import pytest

from bq_server.events import Scope
from bq_server.store import feed
from bq_server.store.database import Database
from bq_server.store.feed import NewNotice, NoticeHappened, Position

pytestmark = pytest.mark.anyio


async def test_a_busy_environment_pushes_out_nothing_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MOST_NOTICES", 2)
    quiet, busy = Scope("default", "live"), Scope("default", "test")
    async with Database.open(tmp_path / "x.db") as database:
        for number, scope in enumerate([quiet, busy, busy, busy, busy]):
            async with database.transaction() as connection:
                await feed.add_notices(connection, [NewNotice(scope, "game.changed", 0, {"version": number})])
        async with database.read() as connection:
            kept = {
                scope: [
                    each.data["version"]
                    for each in await feed.page(connection, scope, Position(0, 0), 9)
                    if isinstance(each, NoticeHappened)
                ]
                for scope in (quiet, busy)
            }
    assert kept == {quiet: [0], busy: [3, 4]}
