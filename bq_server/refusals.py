"""Every refusal of the server: a stable code, and a sentence that a person can act on."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from msgspec import Struct
from pydantic import ValidationError


class Code(StrEnum):
    """The stable machine-readable part of a refusal. `docs/errors.md` lists them, which a test checks."""

    MALFORMED_REQUEST = "malformed_request"
    INVALID_JSON = "invalid_json"
    INSUFFICIENT_POINTS = "insufficient_points"
    UNAUTHENTICATED = "unauthenticated"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a code
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    MESSAGE_DEAD = "message_dead"
    FREEZE_UNAVAILABLE = "freeze_unavailable"
    NOT_EMPTY = "not_empty"
    REWARD_UNAVAILABLE = "reward_unavailable"
    NOT_VOIDABLE = "not_voidable"
    ALIAS_CONFLICT = "alias_conflict"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    VALIDATION_FAILED = "validation_failed"
    RATE_LIMITED = "rate_limited"
    TOO_MANY_FEEDS = "too_many_feeds"
    HEAD_TOO_LARGE = "head_too_large"
    INTERNAL_ERROR = "internal_error"
    NOT_READY = "not_ready"
    STREAM_UNAVAILABLE = "stream_unavailable"
    STREAM_FULL = "stream_full"
    STORE_UNAVAILABLE = "store_unavailable"
    GAME_UNREADABLE = "game_unreadable"
    OVERLOADED = "overloaded"
    STOPPING = "stopping"
    NOT_DRAINED = "not_drained"


class FieldError(Struct, frozen=True):
    """What is wrong with one field: its path (`properties.amount`), a code, and a sentence."""

    field: str
    code: str
    detail: str


class Refusal(Exception):
    """A request that the server refuses; it had no effect. The API decides how HTTP answers it."""

    def __init__(
        self,
        code: Code,
        detail: str,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
    ) -> None:
        """`retry_after`: seconds until a retry may succeed, if they differ from the code's."""
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after

    @classmethod
    def of_fields(cls, errors: Sequence[FieldError]) -> "Refusal":
        """The refusal of a request with invalid fields; its detail names the first of them."""
        first = errors[0]
        more = f" ({len(errors) - 1} more in errors)" if len(errors) > 1 else ""
        return cls(Code.VALIDATION_FAILED, f"{first.field}: {first.detail}{more}", errors)


def overloaded() -> "Refusal":
    """The refusal of what could not be answered soon, or held in memory."""
    detail = "The server is overloaded. Nothing was accepted: retry later."
    return Refusal(Code.OVERLOADED, detail)


def too_large(limit: int) -> "Refusal":
    """The refusal of a body of more bytes than that."""
    detail = f"The body may have at most {limit} bytes: send fewer or smaller events per request."
    return Refusal(Code.BODY_TOO_LARGE, detail)


NULL_CHARACTER = "must not contain the character U+0000"
LONE_SURROGATE = "must not contain half of a surrogate pair"

_WORDS = {
    "missing": "is required",
    "string_unicode": LONE_SURROGATE,
    "model_type": "must be an object",
    "dict_type": "must be an object",
}


def in_words(error: Any) -> str:
    """What Pydantic reports, as the end of a sentence that starts with the field."""
    message = str(error["msg"]).removeprefix("Value error, ")
    for start, ours in (("String should", "must"), ("Input should", "must")):
        message = message.replace(start, ours, 1)
    return _WORDS.get(error["type"], message[0].lower() + message[1:])


def field_errors(error: ValidationError) -> list[FieldError]:
    """What Pydantic reports, field by field."""
    return [
        FieldError(path(item["loc"]) or "body", item["type"], in_words(item))
        for item in error.errors(include_url=False, include_input=False)
    ]


def path(location: Sequence[str | int]) -> str:
    """A location in a document as one dotted path."""
    return ".".join(str(part) for part in location)
