"""What tests of this level share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio as redis

from bq_server.runtime.data_directory import DataDirectory
from bq_server.store.database import Database
from bq_server.stream.connection import READ_TIMEOUT, connect
from bq_server.stream.embedded import EmbeddedValkey
from tests.support.played_world import World, play


@pytest.fixture
async def database(data_dir: Path, store_address: Path | str) -> AsyncIterator[Database]:
    DataDirectory(data_dir).create()
    async with Database.open(store_address) as opened:
        yield opened


@pytest.fixture
async def world(database: Database) -> World:
    made = World(database)
    await play(made)
    return made


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[redis.Redis]:
    """Of a stream server that nobody else uses."""
    valkey = EmbeddedValkey(tmp_path / "stream")
    await valkey.start()
    async with connect(valkey.url, timeout=READ_TIMEOUT) as connected:  # a disk may take a second for a write
        yield connected
    await valkey.stop()
