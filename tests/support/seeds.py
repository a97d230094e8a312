"""Seeds of what a test draws at random."""

from typing import Any

import pytest


def seeds(count: int, *, quick: int = 1) -> list[Any]:
    """So many, for `parametrize`; `make test` tries the first `quick` of them."""
    return [each if each < quick else pytest.param(each, marks=pytest.mark.slow) for each in range(count)]
