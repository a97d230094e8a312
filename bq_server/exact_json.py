"""JSON for what is stored: quick, and exact for whole numbers of any size."""

import json
import re
from typing import Any

import orjson

_LONG_NUMBER = re.compile("[0-9]{19}")
"""What may be a whole number of more than 64 bits, which the quick reader would round. Earlier releases wrote such."""


def dumps(value: Any) -> str:
    """Write a value as compact JSON."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # A whole number of more than 64 bits, or text that is no Unicode.
        return json.dumps(value, separators=(",", ":"))


def loads(text: str) -> Any:
    """Read JSON. Raises `ValueError` for what is none."""
    return json.loads(text) if _LONG_NUMBER.search(text) else orjson.loads(text)
