"""When two events with one idempotency key are the same event."""

import hashlib
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json


def fingerprint(
    name: str, participant_id: str, properties: Mapping[str, Any], timestamp: int | None, voids: str | None = None
) -> str:
    """Equal for two events exactly when name, participant, properties, given timestamp and what they void are equal.

    They are compared as JSON values: the order of an object's members and the notation of a number (1 or 1.0) don't
    matter, and a timestamp counts as the moment it names. 32 hex characters of BLAKE2b.
    """
    said = [name, participant_id, _canonical(dict(properties)), timestamp]
    if voids is not None:
        said.append(voids)
    return hashlib.blake2b(to_json(said), digest_size=16).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _canonical(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
