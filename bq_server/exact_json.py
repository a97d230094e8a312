"""JSON for what is stored: fast, and exact for whole numbers of any size."""

import json
import re
from typing import Any

import orjson

_BY_THE_BOOK = " "
"""Starts a text with numbers that the fast reader would round; nothing else written here starts this way."""
_LONG_NUMBER = re.compile("[0-9]{19}")
"""What may be a whole number of more than 64 bits, which the fast reader would round. Earlier releases wrote those."""


def dumps(value: Any) -> str:
    """Write a value as compact JSON."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # A whole number of more than 64 bits, or text that isn't valid Unicode.
        return _BY_THE_BOOK + json.dumps(value, separators=(",", ":"))


def is_by_the_book(text: str) -> bool:
    """Whether `dumps` wrote the text for the slow reader."""
    return text.startswith(_BY_THE_BOOK)


def loads_own(text: str) -> Any:
    """Read what `dumps` wrote, without searching it for long numbers. Raises `ValueError` if it isn't JSON."""
    return json.loads(text) if text.startswith(_BY_THE_BOOK) else orjson.loads(text)


def loads(text: str) -> Any:
    """Read JSON, whatever wrote it. Raises `ValueError` if it isn't JSON."""
    return json.loads(text) if _LONG_NUMBER.search(text) else orjson.loads(text)
