"""Names without end: the catalogue has pages and caps, similar names come from an index, and nothing else grows."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from bq_server.events import Scope
from bq_server.processing.catalog_index_job import CatalogIndexJob
from bq_server.store import catalog
from bq_server.store.catalog import MOST_SIMILAR, PAGE_PROPERTIES, CatalogCaps, Seen
from bq_server.store.database import Database
from tests.support.client import Json, Project, event
from tests.support.process import ServerProcess
from tests.support.store import of_a_file

pytestmark = pytest.mark.anyio
SCOPE = Scope("default", "test")
CAPS = ("--max-event-names", "5", "--max-event-properties", "4")


@pytest.fixture
def capped(data_dir: Path) -> Iterator[ServerProcess]:
    with ServerProcess(data_dir, *CAPS) as server:
        yield server


def page(server: ServerProcess, **query: str) -> Json:
    answer = server.request("GET", "/events/catalog", params=query)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def send(server: ServerProcess, *names: str, **properties: object) -> None:
    for name in names:
        answer = server.request("POST", "/ingest/events/sync", json=event(name, properties=properties))
        assert answer.status_code == 200, answer.text


def test_pages_follow_one_another(bq: Project) -> None:
    names = sorted([f"event_{letter}" for letter in "abcdefg"] + ["日本語", "event a/b", "Event"])
    for name in names:
        bq.send_sync(event(name, properties={"n": 1}))
    found, cursor, pages = [], None, 0
    while True:
        params = {"limit": "3"} | ({} if cursor is None else {"cursor": cursor})
        answer = bq.request("GET", "/events/catalog", params=params).json()
        pages += 1
        assert (answer["names"], answer["left_out"]) == (len(names), None)
        assert all(each["properties"] for each in answer["events"])
        found += [each["event_name"] for each in answer["events"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert found == names
    assert pages == 4
    after = bq.request("GET", "/events/catalog", params={"cursor": "zzz"}).json()["events"]
    assert [each["event_name"] for each in after] == ["日本語"]
    assert bq.request("GET", "/events/catalog", params={"cursor": "\U0010ffff"}).json()["events"] == []


def test_past_the_caps_events_are_facts_and_what_is_left_out_is_said(capped: ServerProcess) -> None:
    send(capped, "one", "two", "three", a=1, b="x")
    send(capped, "four", "five", "six", "seven", "one")
    found = page(capped)
    assert sorted(each["event_name"] for each in found["events"]) == ["five", "four", "one", "three", "two"]
    assert (found["names"], found["left_out"]) == (5, {"events": 2, "properties": 2})
    assert {each["event_name"]: each["count"] for each in found["events"]}["one"] == 2, "known names count on"
    assert len(capped.request("GET", "/facts").json()["facts"]) == 8
    missing = capped.request("GET", "/events/catalog/six")
    assert missing.status_code == 404
    assert "not every name seen is in it" in missing.json()["detail"]
    warning = httpx.get(f"{capped.url}/readyz").json()["warnings"]["catalog"]
    assert "5 names: 2 events and 2 values are left out" in warning
    assert capped.request("POST", "/sandbox/reset", json={}).status_code == 200
    assert (page(capped)["names"], page(capped)["left_out"]) == (0, None)
    assert httpx.get(f"{capped.url}/readyz").json()["warnings"] == {}
    send(capped, "six", a=1)
    assert page(capped)["events"][0]["event_name"] == "six"


def test_a_property_with_a_name_like_data_is_left_out(bq: Project) -> None:
    bq.send_sync(event(properties={"x" * 100: 1, "x" * 101: 1, "y" * 5000: 1}))
    answer = bq.get("/events/catalog").json()
    assert [each["name"] for each in answer["events"][0]["properties"]] == ["x" * 100]
    assert answer["left_out"] == {"events": 0, "properties": 2}


@asynccontextmanager
async def opened(address: Path | str) -> AsyncIterator[Database]:
    async with Database.open(address) as database:
        yield database


async def fill(database: Database, names: list[str], caps: CatalogCaps | None = None, properties: int = 1) -> None:
    add = partial(catalog.add, scope=SCOPE, caps=caps or CatalogCaps(10**7, 10**7))
    for start in range(0, len(names), 500):
        seen = Seen()
        for name in names[start : start + 500]:
            seen.add(name, 1, {f"p{number}": 1 for number in range(properties)})
        async with database.transaction() as connection:
            await connection.run(partial(add, seen=seen))


def noted_names(count: int) -> list[str]:
    """Names of every kind that people make by the thousand: numbers, hashes, words with endings."""
    kinds = [
        lambda n: f"order_{n}",
        lambda n: f"{n * 2654435761 % 2**32:08x}_done",
        lambda n: f"page{'abcdefghij'[n % 10]}_{n}_viewed",
    ]
    return [kinds[number % 3](number) for number in range(count)]


async def page_steps(database: Database) -> int:
    """What the dearest of a few pages of fifty takes, in thousands of steps of SQLite: the same on every computer."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    found = []
    async with database.read() as connection:
        await connection.run(lambda reading: reading.set_progress_handler(step, 1_000))
        for after in ("", "a", "order_1", "page", "5"):
            steps = 0
            page = await catalog.page(connection, SCOPE, after, 50)
            await catalog.similar(connection, SCOPE, [each.event_name for each in page])
            await catalog.totals(connection, SCOPE)
            assert len(page) == 50
            found.append(steps)
        await connection.run(lambda reading: reading.set_progress_handler(None, 1_000))
    return max(found)


async def test_many_names_cost_a_page_what_few_do(tmp_path: Path) -> None:
    costs = []
    for place, count in (("few", 300), ("many", 12_000)):
        async with opened(tmp_path / f"{place}.sqlite3") as database:
            await fill(database, noted_names(count))
            index_job = CatalogIndexJob(database)
            while await index_job.look():
                pass
            costs.append(await page_steps(database))
    few, many = costs
    assert many < 3 * few, f"{few} and {many} thousand steps: forty times as many names"


async def test_similar_names_are_found_among_many(new_store: Path | str) -> None:
    slips = ["purchase_completed", "purchase_complete", "purchaseCompleted", "purchase_compelted", "level_1", "level_2"]
    async with opened(new_store) as database:
        await fill(database, noted_names(3_000) + slips + slips[:1])
        async with database.read() as connection:
            before = await catalog.similar(connection, SCOPE, ["purchase_completed"])
        assert before == {"purchase_completed": []}, "none of them is indexed yet"
        indexing = CatalogIndexJob(database)
        while await indexing.look():
            pass
        async with database.read() as connection:
            found = await catalog.similar(connection, SCOPE, ["purchase_completed", "levl_1", "level_1", "order_7"])
    assert found["purchase_completed"] == ["purchaseCompleted", "purchase_compelted", "purchase_complete"]
    assert found["level_1"] == []
    assert found["levl_1"] == ["level_1"], "also for a name that was never seen"
    assert found["order_7"] == []


async def test_thousands_that_are_close_are_told_as_ten(new_store: Path | str) -> None:
    letters = [chr(0x4E00 + number) for number in range(2_000)]
    async with opened(new_store) as database:
        await fill(database, [f"abcdefgh{letter}" for letter in letters])
        indexing = CatalogIndexJob(database)
        while await indexing.look():
            pass
        async with database.read() as connection:
            found = await catalog.similar(connection, SCOPE, ["abcdefgh"])
    assert len(found["abcdefgh"]) == MOST_SIMILAR


async def test_a_page_of_names_with_many_properties_ends_early_and_loses_none(new_store: Path | str) -> None:
    names = [f"event_{number:02}" for number in range(30)]
    async with opened(new_store) as database:
        await fill(database, names, properties=400)
        found: list[str] = []
        async with database.read() as connection:
            while some := await catalog.page(connection, SCOPE, found[-1] if found else "", 100):
                assert sum(len(each.properties) for each in some) <= PAGE_PROPERTIES
                assert all(len(each.properties) == 400 for each in some)
                found += [each.event_name for each in some]
    assert found == names


@of_a_file  # its size tells whether it grows
async def test_a_full_catalogue_grows_no_more(new_store: Path | str) -> None:
    caps = CatalogCaps(names=1_000, properties=1_500)
    async with opened(new_store) as database:
        await fill(database, noted_names(1_000), caps, properties=2)
        indexing = CatalogIndexJob(database)
        while await indexing.look():
            pass
        pages = []
        for _ in range(2):
            await fill(database, [f"{name}_more" for name in noted_names(4_000)], caps, properties=2)
            async with database.read() as connection:
                totals = await catalog.totals(connection, SCOPE)
                pages.append(await (await connection.execute("PRAGMA page_count")).fetchone())
        assert (totals.names, totals.properties) == (1_000, 1_500)
        assert (totals.events_left_out, totals.properties_left_out) == (8_000, 500)
        assert pages[0] == pages[1]
        assert await indexing.look() == 0
