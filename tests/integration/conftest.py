"""What tests of this level share."""

from pathlib import Path
from typing import Any

import pytest

from bq_server.runtime.data_directory import DataDirectory
from bq_server.store.database import Database
from tests.support.played_world import World, play


@pytest.fixture
async def world(data_dir: Path, store_address: Path | str) -> Any:
    DataDirectory(data_dir).create()
    async with Database.open(store_address) as database:
        made = World(database)
        await play(made)
        yield made
