"""What tests of this level share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.valkey import Valkey, valkey


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Valkey]:
    with valkey(tmp_path / "outside", "--appendonly", "yes") as started:
        yield started
