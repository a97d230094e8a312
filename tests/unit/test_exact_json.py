"""What is stored as JSON comes back as it was."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from bq_server.exact_json import dumps, loads, loads_own

NUMBERS = [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1, 2**64, 10**25 + 1, -(10**30) - 7]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("read", [loads, loads_own])
def test_a_whole_number_of_any_size_is_exact(number: int, read: Callable[[str], Any]) -> None:
    assert read(dumps({"score": [number]})) == {"score": [number]}
    assert type(read(dumps(number))) is int


@pytest.mark.parametrize("number", NUMBERS)
def test_what_an_earlier_release_wrote_is_exact(number: int) -> None:
    assert loads(json.dumps({"v": [number, None]}, separators=(",", ":"))) == {"v": [number, None]}


def test_what_is_no_json_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"unexpected|expected|Expecting"):
        loads("{'a': 1}")
