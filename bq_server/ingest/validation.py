"""From a body's bytes to valid events, or to errors that name the field and say what to do."""

import json
from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any, NamedTuple

from msgspec import Struct
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from bq_server.ingest.models import EventIn
from bq_server.refusals import LONE_SURROGATE, NULL_CHARACTER, Code, FieldError, Refusal, field_errors

LARGEST_BITS = 1023
"""A whole number with more bits is no finite double, which is what conditions and formulas see."""


LARGEST_PLAIN = 1 << 63


class Limits(Struct, frozen=True):
    """What one request may contain; see the settings of the same names."""

    max_properties_bytes: int
    max_nesting: int
    max_batch_events: int


class ValidEvent(NamedTuple):
    """An event that may be accepted, its properties as compact JSON text."""

    sent: EventIn
    properties: str


def parse(body: bytes) -> Any:
    """Parse JSON according to RFC 8259, keeping what can still be refused by field (lone surrogates, NaN).

    Raises `Refusal` with `invalid_json`, or with `validation_failed` for a body nested too deeply.
    """
    try:
        return from_json(body)
    except ValueError as quick:
        # The fast parser refuses some valid JSON (lone surrogates, long numbers): try the tolerant one.
        try:
            return json.loads(body.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise Refusal(Code.INVALID_JSON, f"The body is not UTF-8: byte {error.start} can't be read.") from None
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            raise Refusal(Code.INVALID_JSON, f"The body is not JSON: {error.msg} at {where}.") from None
        except RecursionError:
            raise Refusal(Code.VALIDATION_FAILED, "The body is nested too deeply to be read.") from None
        except ValueError:
            raise Refusal(Code.INVALID_JSON, f"The body can't be read: {quick}.") from None


def single(body: bytes, limits: Limits, header_key: str | None) -> ValidEvent:
    """The one event of a body; `header_key` is the `Idempotency-Key` header. Raises `Refusal`."""
    found = check(parse(body), limits)
    if not isinstance(found, ValidEvent):
        raise Refusal.of_fields(found)
    found.sent.idempotency_key = idempotency_key(header_key, found.sent.idempotency_key)
    if errors := _voids_itself(found.sent):
        raise Refusal.of_fields(errors)
    return found


def idempotency_key(header: str | None, field: str | None) -> str | None:
    """The one key of a request, from its header or its body. Raises `Refusal`."""
    if header is None:
        return field
    if not 1 <= len(header) <= 255:
        raise Refusal.of_fields([FieldError("Idempotency-Key", "string_length", "must have 1 to 255 characters")])
    if field not in (None, header):
        detail = "the header and the body's idempotency_key differ: send one of them, or the same in both"
        raise Refusal.of_fields([FieldError("Idempotency-Key", "keys_differ", detail)])
    return header


def batch(body: bytes, limits: Limits) -> list[Any]:
    """The documents of a batch, each to be checked on its own. Raises `Refusal` if there is no batch at all."""
    document = parse(body)
    if not isinstance(document, dict) or not isinstance(document.get("events"), list):
        raise Refusal.of_fields([FieldError("events", "list_type", 'must be a list, in a body like {"events": [...]}')])
    events: list[Any] = document["events"]
    if not 1 <= len(events) <= limits.max_batch_events:
        detail = f"must have 1 to {limits.max_batch_events} events, not {len(events)}"
        raise Refusal.of_fields([FieldError("events", "list_length", detail)])
    return events


def check(document: Any, limits: Limits) -> ValidEvent | list[FieldError]:
    """Check one event against the Event Schema and the limits."""
    try:
        sent = _validate(document)
    except ValidationError as error:
        return field_errors(error)
    if errors := _voids_itself(sent):
        return errors
    properties = sent.properties or {}
    if not (_is_plain(properties) and _is_plain(document, but=document.get("properties"))):
        errors = [
            FieldError(name, fault, _FAULTS[fault])
            for name in ("event_name", "participant_id", "idempotency_key", "voids")
            if (fault := _fault_of_text(getattr(sent, name) or ""))
        ]
        errors += _faults("properties", properties, limits.max_nesting)
        errors += _faults("", sent.model_extra or {}, limits.max_nesting)
        if errors:
            return errors
    text = to_json(properties)
    if len(text) > limits.max_properties_bytes:
        detail = f"must not exceed {limits.max_properties_bytes} bytes of compact JSON; it has {len(text)}"
        return [FieldError("properties", "too_large", detail)]
    return ValidEvent(sent, text.decode("utf-8"))


def _voids_itself(sent: EventIn) -> list[FieldError]:
    if sent.voids is None or sent.voids != sent.idempotency_key:
        return []
    return [FieldError("voids", "voids_itself", "must be the idempotency key of another event, not this one's own")]


def _is_plain(document: dict[str, Any], but: Any = None) -> bool:
    """Whether a quick look shows that an object, except for one value in it, has no fault: most have none.

    Anything that needs a second look, such as a letter beyond ASCII or a nested list, is not plain.
    """
    for name, value in document.items():
        kind = type(value)
        if kind is str:
            if not value.isascii() or "\0" in value:
                return False
        elif kind is float:
            if not isfinite(value):
                return False
        elif kind is int:
            if not -LARGEST_PLAIN < value < LARGEST_PLAIN:
                return False
        elif value is not None and kind is not bool and value is not but:
            return False
        if not name.isascii() or "\0" in name:
            return False
    return True


_validate: Callable[[Any], EventIn] = EventIn.__pydantic_validator__.validate_python
"""As `EventIn.model_validate`, without looking at its options for every event."""


_FAULTS = {
    "null_character": NULL_CHARACTER,
    "lone_surrogate": LONE_SURROGATE,
    "not_finite": "must be a finite number; NaN, Infinity and numbers beyond 1e308 are not",
}


def _fault_of_text(text: str) -> str | None:
    if "\0" in text:
        return "null_character"
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return "lone_surrogate"
    return None


def _fault_of_value(value: Any) -> str | None:
    kind = type(value)
    if kind is str:
        return _fault_of_text(value)
    if kind is float:
        return None if isfinite(value) else "not_finite"
    if kind is int and value.bit_length() > LARGEST_BITS:
        return "not_finite"
    return None


MOST_FAULTS = 100
"""Of an object: whoever sends more can correct these first."""

MOST_PATH_CHARACTERS = 200


def _faults(name: str, document: dict[str, Any], max_nesting: int) -> list[FieldError]:
    """The faults in an object, by their paths, up to `MOST_FAULTS`; a level that is too deep is reported once.

    A path is written only for a fault: memory must not grow with the length of names times the number of values.
    """
    errors: list[FieldError] = []
    waiting: list[tuple[_Path, Any, int]] = [((None, name), document, 1)]
    while waiting:
        here, container, depth = waiting.pop()
        if depth > max_nesting:
            detail = f"must not nest deeper than {max_nesting} levels"
            return [*errors, FieldError(name or "body", "too_deep", detail)]
        for member, value in _members(container):
            if isinstance(member, str) and (fault := _fault_of_text(member)):
                errors.append(FieldError(_written(here) or "body", fault, f"a name in it {_FAULTS[fault]}"))
            elif isinstance(value, (dict, list)):
                waiting.append(((here, member), value, depth + 1))
            elif fault := _fault_of_value(value):
                errors.append(FieldError(_written((here, member)), fault, _FAULTS[fault]))
            if len(errors) >= MOST_FAULTS:
                return errors
    return errors


_Path = tuple[Any, str | int]
"""Where something is: the path of what contains it, or None, and its name or index there."""


def _written(path: _Path) -> str:
    parts: list[str] = []
    step: _Path | None = path
    while step is not None:
        step, part = step
        if part != "" or step is not None:
            parts.append(str(part)[: MOST_PATH_CHARACTERS + 1])
    text = ".".join(reversed(parts))
    return text if len(text) <= MOST_PATH_CHARACTERS else f"{text[:MOST_PATH_CHARACTERS]}..."


def _members(container: dict[str, Any] | list[Any]) -> Iterator[tuple[str | int, Any]]:
    return iter(container.items()) if isinstance(container, dict) else enumerate(container)


def faults_of(document: dict[str, Any], limits: Limits) -> list[FieldError]:
    """What no text and no number in a document may be, wherever it is."""
    return _faults("", document, limits.max_nesting)
