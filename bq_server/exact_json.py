"""JSON for what is stored: quick, and exact for whole numbers of any size."""

import json
from typing import Any

import orjson

_BY_THE_BOOK = " "
"""Starts a text that holds what the quick reader would round; no other text starts so."""


def dumps(value: Any) -> str:
    """Write a value as compact JSON."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # A whole number of more than 64 bits, or text that is no Unicode.
        return _BY_THE_BOOK + json.dumps(value, separators=(",", ":"))


def loads(text: str) -> Any:
    """Read what `dumps` wrote. Raises `ValueError` for what is not JSON."""
    return json.loads(text) if text.startswith(_BY_THE_BOOK) else orjson.loads(text)
