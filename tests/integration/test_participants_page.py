"""A search that finds little looks at a bounded number of participants a page, and goes on from there."""

from pathlib import Path

import pytest

from bq_server.events import Scope
from bq_server.store import participants
from bq_server.store.database import Database
from bq_server.store.participants import Participant

pytestmark = pytest.mark.anyio

SCOPE = Scope("default", "test")


async def test_a_page_ends_where_it_stopped_to_look(new_store: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(participants, "LOOKED_AT", 10)
    async with Database.open(new_store) as database:
        async with database.transaction() as connection:
            for number in range(25):
                known = Participant(f"u{number:02}", "Ada" if number in (3, 12, 24) else None, None, "{}", 0, 0)
                await participants.put(connection, SCOPE, known)
        pages, after = [], ""
        async with database.read() as connection:
            while True:
                page, last = await participants.page(connection, SCOPE, "ada", after, 5)
                pages.append(([each.participant_id for each in page], last))
                if last is None:
                    break
                after = last
    assert pages == [(["u03"], "u09"), (["u12"], "u19"), (["u24"], None)]
