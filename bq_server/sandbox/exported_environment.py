"""Reading an exported environment: every invalid line is reported, and nothing is done unless all are valid."""

import re
from typing import Annotated, Any

from msgspec import Struct, field
from msgspec.structs import replace
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json, to_json

from bq_server.concurrency.time_slices import TimeSlices
from bq_server.game.document.check import check
from bq_server.game.document.definitions import Game
from bq_server.game.facts import PARTICIPANT_REFERRED, REFERRAL_CODE_MADE, SYSTEM_PROPERTIES
from bq_server.ingest.models import FactWarning, Timestamp
from bq_server.ingest.validation import Limits, faults_of
from bq_server.processing.referrals import key_of_code, key_of_referral
from bq_server.refusals import FieldError, Refusal, field_errors
from bq_server.sandbox.exporter import FORMAT

MOST_ERRORS = 20

LINE_LEVELS = 3
"""Levels that a line adds to the nesting of a request: the line itself, the fact, and a system fact's properties."""

CLOSED_SINCE = 2
"""The format since which there is a closing line."""

KINDS = {
    "bq_export": {"bq_server", "exported_at"},
    "game": {"counts_after"},
    "participant": set(),
    "fact": set(),
    "end_of_export": set(),
}
"""What a line may be, and what else belongs into it."""

NO_END = FieldError(
    "end_of_export",
    "missing",
    "is missing: the export was cut short. To import what is there, remove its first line, the one with bq_export",
)

UNCHECKED_END = (
    "These lines have no end_of_export, which exports of bq-server 0.3.0 and newer end with: "
    "nobody can tell whether they were cut short."
)


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class HeaderLine(_Line):
    """What the lines are."""

    bq_export: int = Field(ge=1)
    bq_server: str
    exported_at: Timestamp


class EndLine(_Line):
    """The last line."""

    lines: int = Field(ge=0)
    """How many come before it; empty ones don't count."""


class ParticipantLine(_Line):
    """What is known about a participant beside their facts."""

    participant_id: str = Field(min_length=1, max_length=255)
    display_name: str | None = Field(None, max_length=255)
    avatar_url: str | None = Field(None, max_length=500)
    attributes: dict[str, Any] = {}
    created_at: Timestamp


def _known_type(value: Any) -> Any:
    if isinstance(value, str) and (value in SYSTEM_PROPERTIES or re.fullmatch(r"custom\.(?s:.){1,100}", value)):
        return value
    raise ValueError(f"must be custom.<event name> or one of {', '.join(SYSTEM_PROPERTIES)}")


class FactLine(_Line):
    """A fact."""

    fact_id: str = Field(min_length=1, max_length=255)
    event_id: str = Field(pattern=r"^evt_[0-9a-z]{26}$")
    fact_type: Annotated[str, BeforeValidator(_known_type)]
    participant_id: str = Field(min_length=1, max_length=255)
    properties: dict[str, Any]
    occurred_at: Timestamp
    received_at: Timestamp
    processed_at: Timestamp
    idempotency_key: str | None = Field(None, min_length=1, max_length=255)
    fingerprint: str | None = Field(None, pattern=r"^[0-9a-f]{32}$")
    warnings: list[FactWarning] = []
    voids: str | None = Field(None, min_length=1, max_length=255)


class ExportedEnvironment(Struct):
    """What the lines contain."""

    game: Game | None = None
    counts_after: dict[str, int] = field(default_factory=dict)
    """For each definition, how many facts come before the first one that it counts."""
    participants: list[ParticipantLine] = field(default_factory=list)
    facts: list[FactLine] = field(default_factory=list)
    seen: dict[tuple[str, str], int] = field(default_factory=dict)
    """The line of each event id and idempotency key."""
    format: int = 0
    """As the header says; 0 if there is none."""
    lines: int = 0
    """How many were read before the closing one."""
    closed: bool = False
    """Whether the closing line was read."""

    @property
    def warnings(self) -> list[str]:
        """What is odd about it, in sentences."""
        return [] if self.closed else [UNCHECKED_END]


async def read_export(body: bytes, limits: Limits) -> ExportedEnvironment:
    """Read exported lines. Raises `Refusal`, naming each invalid line; then nothing was done."""
    limits = replace(limits, max_nesting=limits.max_nesting + LINE_LEVELS)
    exported = ExportedEnvironment()
    errors: list[FieldError] = []
    slices = TimeSlices()
    for number, line in enumerate(body.splitlines(), start=1):
        await slices.give_way()
        if not line.strip():
            continue
        try:
            document = from_json(line)
        except ValueError as error:
            errors.append(FieldError(f"line {number}", "json_invalid", f"is not JSON: {error}"))
            exported.lines += 1
            continue
        found = _read_line(document, number, exported, limits)
        exported.lines += not exported.closed
        errors += [FieldError(f"line {number}: {each.field}", each.code, each.detail) for each in found]
        if len(errors) >= MOST_ERRORS:
            break
    if exported.format >= CLOSED_SINCE and not exported.closed and not errors:
        errors.append(NO_END)
    if not body.strip():
        errors.append(FieldError("body", "empty", "contains no lines: send the answer of GET /sandbox/export"))
    if errors:
        raise Refusal.of_fields(errors)
    return exported


def _read_line(document: Any, number: int, exported: ExportedEnvironment, limits: Limits) -> list[FieldError]:
    """Add one line; returns what is wrong with it."""
    if exported.closed:
        return [FieldError("body", "misplaced", "comes after end_of_export")]
    kind = next((kind for kind in KINDS if isinstance(document, dict) and kind in document), None)
    if kind is not None and (other := next((name for name in document if name not in {kind, *KINDS[kind]}), None)):
        return [FieldError(other, "extra_forbidden", f"does not belong in a line with {kind}")]
    try:
        match kind:
            case "bq_export":
                header = HeaderLine.model_validate(document)
                if header.bq_export > FORMAT:
                    detail = f"is format {header.bq_export}, and this bq-server reads formats up to {FORMAT}"
                    return [FieldError("bq_export", "too_new", detail)]
                exported.format = header.bq_export
            case "game":
                return _read_game(document, exported)
            case "participant":
                exported.participants.append(ParticipantLine.model_validate(document["participant"]))
                return faults_of(document, limits)
            case "fact":
                exported.facts.append(FactLine.model_validate(document["fact"]))
                fact = exported.facts[-1]
                fact.idempotency_key = _key_of(fact)
                return [*faults_of(document, limits), *_misshapen(fact), *_repeats(fact, number, exported.seen)]
            case "end_of_export":
                return _read_end(document, exported)
            case _:
                return [FieldError("body", "unknown_line", f"must be an object with one of {', '.join(KINDS)}")]
    except ValidationError as error:
        return field_errors(error)
    return [] if exported.lines == 0 else [FieldError("bq_export", "misplaced", "belongs into the first line")]


def _read_game(document: dict[str, Any], exported: ExportedEnvironment) -> list[FieldError]:
    checked = check(to_json(document["game"]))
    if checked.game is None:
        return [FieldError(mistake.path or "game", "game_mistake", mistake.message) for mistake in checked.errors]
    if exported.game is not None or exported.facts:
        return [FieldError("game", "misplaced", "must come once, before the facts")]
    counts = document.get("counts_after", {})
    if not isinstance(counts, dict) or not all(type(each) is int and each >= 0 for each in counts.values()):
        return [FieldError("counts_after", "int_type", "must give a number of facts for each definition")]
    exported.game, exported.counts_after = checked.game, counts
    return []


def _read_end(document: dict[str, Any], exported: ExportedEnvironment) -> list[FieldError]:
    exported.closed = True
    lines = EndLine.model_validate(document["end_of_export"]).lines
    if lines == exported.lines:
        return []
    detail = (
        f"is {lines}, and {exported.lines} lines come before it: some were removed or added. "
        "To import what is there, remove this line and the first one, with bq_export"
    )
    return [FieldError("end_of_export.lines", "miscounted", detail)]


def _key_of(fact: FactLine) -> str | None:
    """Its idempotency key. Referrals are found by theirs, which lines that this server didn't write needn't have."""
    code, key = fact.properties.get("code"), fact.idempotency_key
    if not isinstance(code, str):
        return key
    if fact.fact_type == REFERRAL_CODE_MADE:
        return key_of_code(code)
    if fact.fact_type == PARTICIPANT_REFERRED and not (key or "").startswith(key_of_referral(code, "")):
        return key_of_referral(code, fact.event_id)
    return key


def _misshapen(fact: FactLine) -> list[FieldError]:
    """What is wrong with the properties of a system fact."""
    try:
        if model := SYSTEM_PROPERTIES.get(fact.fact_type):
            model.model_validate(fact.properties)
    except ValidationError as error:
        return [FieldError(f"properties.{each.field}", each.code, each.detail) for each in field_errors(error)]
    return []


def _repeats(fact: FactLine, number: int, seen: dict[tuple[str, str], int]) -> list[FieldError]:
    """Remember the fact's unique names; returns those that an earlier line already has."""
    errors = []
    for name, value in (("event_id", fact.event_id), ("idempotency_key", fact.idempotency_key)):
        if value is not None and (first := seen.setdefault((name, value), number)) != number:
            errors.append(FieldError(name, "repeated", f"is already that of line {first}"))
    return errors
