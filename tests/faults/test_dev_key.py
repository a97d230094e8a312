"""The key of the setting `BQ_DEV_KEY` is valid as long as it is set, and no longer."""

import asyncio
from pathlib import Path

from bq_server.clock import system_clock
from bq_server.ids import IdSource
from bq_server.runtime.data_directory import DataDirectory
from bq_server.store import keys
from bq_server.store.database import Database
from tests.support.process import ServerProcess, run

KEY = "bq_test_" + "0123456789abcdef" * 2
OTHER = "bq_test_" + "fedcba9876543210" * 2
SET = {"BQ_DEV_KEY": KEY}


def status(server: ServerProcess, key: str) -> int:
    return server.request("GET", "/facts", key).status_code


def test_it_ends_with_the_setting(data_dir: Path) -> None:
    for setting, valid in (({"BQ_DEV_KEY": KEY}, (200, 401)), ({"BQ_DEV_KEY": OTHER}, (401, 200)), ({}, (401, 401))):
        with ServerProcess(data_dir, env=setting) as server:
            assert (status(server, KEY), status(server, OTHER)) == valid
            assert server.stop() == 0
    first_key = server.key
    with ServerProcess(data_dir) as again:
        assert status(again, first_key) == 200, "who has no other key was given one"
        assert again.stop() == 0


def test_no_trace_of_it_is_kept(data_dir: Path) -> None:
    with ServerProcess(data_dir, env=SET) as server:
        assert server.stop() == 0
    listed = run("keys", "list", "--data-dir", str(data_dir))
    assert "BQ_DEV_KEY" not in listed.stdout


def test_one_that_an_earlier_release_kept_is_revoked(data_dir: Path, store_address: Path | str) -> None:
    DataDirectory(data_dir).create()
    asyncio.run(_keep(store_address))
    with ServerProcess(data_dir) as server:
        assert status(server, KEY) == 401
        assert status(server, server.key) == 200, "a first key, since there is no other"
        assert server.stop() == 0
    with ServerProcess(data_dir, env=SET) as server:
        assert status(server, KEY) == 200
        assert server.stop() == 0


async def _keep(address: Path | str) -> None:
    async with Database.open(address) as database, database.transaction() as connection:
        await keys.add(connection, KEY, keys.EVERY_SCOPE, "BQ_DEV_KEY", IdSource(), system_clock())
