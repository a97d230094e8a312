"""JSON for what is stored: quick, and exact for whole numbers of any size."""

import json
import re
from typing import Any

import orjson

_BY_THE_BOOK = " "
"""Starts a text that holds what the quick reader would round; nothing else that is written here starts so."""
_LONG_NUMBER = re.compile("[0-9]{19}")
"""What may be a whole number of more than 64 bits, which the quick reader would round. Earlier releases wrote such."""


def dumps(value: Any) -> str:
    """Write a value as compact JSON."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # A whole number of more than 64 bits, or text that is no Unicode.
        return _BY_THE_BOOK + json.dumps(value, separators=(",", ":"))


def is_by_the_book(text: str) -> bool:
    """Whether `dumps` wrote the text for the slow reader."""
    return text.startswith(_BY_THE_BOOK)


def loads_own(text: str) -> Any:
    """Read what `dumps` has written, without searching it for long numbers. Raises `ValueError` for what is no JSON."""
    return json.loads(text) if text.startswith(_BY_THE_BOOK) else orjson.loads(text)


def loads(text: str) -> Any:
    """Read JSON, whoever wrote it. Raises `ValueError` for what is none."""
    return json.loads(text) if _LONG_NUMBER.search(text) else orjson.loads(text)
