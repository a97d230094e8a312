"""What the first release stored, in the form of the tables of `0004_compact`.

Frozen history: it agrees with the rest of the program as of that migration, and doesn't change with it.
None of these functions raises, whatever the old tables contain.
"""

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from bq_server.exact_json import dumps, loads
from bq_server.moments import format_timestamp, parse_timestamp

_DIGITS = str.maketrans("0123456789abcdefghjkmnpqrstvwxyz", "0123456789abcdefghijklmnopqrstuv")
_ULID = re.compile("[0-7][0-9a-hjkmnp-tv-z]{25}")
_ID_BYTES = 16

_EFFECTS = {
    kind: (number, names)
    for number, (kind, names) in enumerate(
        {
            "points": ("cause", "amount", "balance"),
            "badge": ("code", "name", "rarity", "cause"),
            "enrolment": ("challenge", "expires_at"),
            "objective": ("challenge", "objective", "value", "target", "completed"),
            "challenge": ("challenge", "progress", "completed"),
            "milestone": ("of", "code", "at"),
            "streak": ("code", "current", "longest"),
            "tier": ("code", "name", "level", "previous_code", "previous_level"),
            "leaderboard": ("code", "window", "period", "score"),
        }.items()
    )
}
"""The number of each kind of effect, and which members are packed, in order."""


def packed_id(prefix: str, identifier: str) -> bytes:
    """16 bytes for a ULID with that prefix; one or two zero bytes and the text for any other."""
    ulid = identifier.removeprefix(f"{prefix}_")
    if ulid is not identifier and _ULID.fullmatch(ulid):
        return int(ulid.translate(_DIGITS), 32).to_bytes(_ID_BYTES)
    other = b"\0" + identifier.encode()
    return other if len(other) != _ID_BYTES else b"\0" + other


def own_id(event_id: str, fact_id: str) -> bytes | None:
    """The packed id of a fact; None where it is its event's with another prefix."""
    ulid = event_id.removeprefix("evt_")
    if fact_id == f"fact_{ulid}" and ulid is not event_id and _ULID.fullmatch(ulid):
        return None
    return packed_id("fact", fact_id)


def packed_fingerprint(fingerprint: str | None) -> bytes | str | None:
    """16 bytes, or the text of one that is not 32 hexadecimal digits."""
    try:
        packed = bytes.fromhex(fingerprint or "")
    except ValueError:
        return fingerprint
    return packed if len(packed) == 16 and packed.hex() == fingerprint else fingerprint


def packed_cause(cause: str, fact_id: str) -> str:
    """The cause of a ledger entry, with a slash in place of the id of its fact."""
    return cause.removesuffix(fact_id) + "/" if cause.endswith(fact_id) else cause


def packed_effects(text: str, fact_id: str, occurred_at: int) -> str | None:
    """What a fact caused; None for what can't be read."""
    at = format_timestamp(occurred_at)
    try:
        return dumps([_packed_effect(each, fact_id, at) for each in loads(text)])
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def _packed_effect(effect: Mapping[str, Any], fact_id: str, at: str) -> list[Any]:
    number, names = _EFFECTS[effect["type"]]
    values = [effect[name] for name in names]
    if "cause" in names:
        values[names.index("cause")] = packed_cause(effect["cause"], fact_id)
    elif names[-1] == "expires_at" and values[-1] is not None:
        values[-1] = parse_timestamp(values[-1])
    if effect["occurred_at"] == at:
        return [number, *values]
    return [~number, parse_timestamp(effect["occurred_at"]), *values]


def state(cells: Iterable[tuple[str, str]], entries: int) -> str:
    """A participant's own row: all cells except those stored apart, and the number of ledger entries.

    `cells` are names and JSON; what isn't JSON is kept as a string. Of each window of each leaderboard only the newest
    score is kept: the rankings have the others.
    """
    own: dict[str, Any] = {}
    scores: dict[str, list[Any]] = {}
    for name, text in cells:
        value = _value(text)
        kind, _, rest = name.partition("/")
        if kind != "score" or rest.count("/") != 2:
            own[name] = value
            continue
        slot, _, period = rest.rpartition("/")
        if slot not in scores or scores[slot][0] < period:
            scores[slot] = [period, *_score(value)]
    return dumps({"cells": own, "scores": scores, "entries": entries})


def _score(value: Any) -> tuple[Any, Any, Any]:
    """The revision, the score and when it was reached. Anything else takes the place of the score."""
    return (value.get("rev"), value.get("score"), value.get("at")) if isinstance(value, dict) else (None, value, None)


def exact(told: Any, cell: str) -> str | None:
    """The score of a cell, if what a ranking shows of it, a count or a number of units, isn't exactly that."""
    value = _value(cell)
    score = value.get("score") if isinstance(value, dict) else None
    if not isinstance(score, int) or isinstance(score, bool):
        return None
    if isinstance(told, int | float) and score in (told, _millionths(told)):
        return None
    return str(score)


def _millionths(told: float) -> int:
    return told * 1_000_000 if isinstance(told, int) else round(Decimal(repr(told)) * 1_000_000)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return text
