"""What the answers of the three routes contain, read without trusting them."""

import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from bq_server.moments import parse_timestamp
from harness.conformance.conversation import RecordedExchange
from harness.conformance.outcomes import Failed

MESSAGE_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
"""The id of an entry in a Redis Stream: milliseconds, then a number within them."""
ZONED = re.compile(r".*(Z|[+-]\d\d:?\d\d)")


def is_message_id(value: Any) -> bool:
    """Whether it has the form `<ms>-<n>`."""
    return isinstance(value, str) and MESSAGE_ID.fullmatch(value) is not None


def is_count(value: Any, number: int) -> bool:
    """Whether it is this number in the sense of JSON, in which `true` is none."""
    return type(value) is int and value == number


def is_text(value: Any) -> TypeGuard[str]:
    """Whether it is a non-empty string."""
    return isinstance(value, str) and value != ""


def moment(value: Any) -> int | None:
    """Microseconds since the epoch of an ISO 8601 date and time with its offset; None where it isn't one."""
    if not isinstance(value, str) or not ZONED.fullmatch(value):
        return None
    try:
        return parse_timestamp(value)
    except ValueError:
        return None


def place(message_id: str) -> tuple[int, ...]:
    """The position of a message in the stream: greater is later."""
    return tuple(int(part) for part in message_id.split("-"))


def message_id(exchange: RecordedExchange) -> str:
    """The message id of a single accepted event. Raises `Unseen` if there is none."""
    found = exchange.body.get("message_id")
    exchange.needs(exchange.ok, "the event was not accepted: see single.accepted")
    exchange.needs(is_message_id(found), "the answer has no message_id: see single.message_id")
    return str(found)


def message_ids(exchange: RecordedExchange) -> list[Any]:
    """The message ids of a batch, whatever they are."""
    found = exchange.body.get("message_ids")
    return found if isinstance(found, list) else []


def refused(exchanges: Mapping[str, RecordedExchange], expected: str = "a refusal (4xx)") -> None:
    """Raise `Failed` unless each request was refused as invalid; the keys say what was wrong with it."""
    for what, exchange in exchanges.items():
        if not exchange.refused:
            raise Failed(exchange.sent, f"{expected}: {what}", exchange.came)
