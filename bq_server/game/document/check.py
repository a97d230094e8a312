"""Checking a game document: every mistake, each with its line and column."""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Literal

from msgspec import Struct, field
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bq_server.game.document.consistency import inconsistencies
from bq_server.game.document.definitions import Game
from bq_server.game.document.fields import EXPRESSION_FIELDS, DocumentPart
from bq_server.game.document.parser import Document, DocumentError, Path, SourcePosition, read_document
from bq_server.game.expressions.conditions import (
    MAX_CHARACTERS,
    ExpressionError,
    compile_expression,
    integer_arithmetic,
    line_and_column,
)
from bq_server.game.expressions.limits import ExpressionRefusal, refusals
from bq_server.game.expressions.parser import UnreadableError, read
from bq_server.game.expressions.participant import PARTICIPANT, codes_compared

_KINDS = ("points", "badges", "challenges", "streaks", "tiers", "leaderboards", "rewards", "currencies", "contests")


def _parts(kind: type[DocumentPart]) -> Iterator[type[DocumentPart]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _parts(each)


_FIELDS = sorted({name for part in _parts(DocumentPart) for name in part.model_fields})


MOST_MISTAKES = 200
"""Most mistakes that are explained; others are for the next check. Explaining one compares it with the others."""


class Mistake(Struct, frozen=True, order=True):
    """Something wrong in a game document. Lines and columns count from 1."""

    line: int
    column: int
    path: str
    """Where in the game: `challenges[0].objectives[1].when`."""
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"{self.line}:{self.column}: {self.severity}: "
        return place + (f"{self.path}: {self.message}" if self.path else self.message)


class CheckedDocument(Struct, frozen=True):
    """The outcome of a check: a game, or the errors that prevent one; and warnings, which don't."""

    game: Game | None
    mistakes: Sequence[Mistake] = field(default_factory=tuple)

    @property
    def errors(self) -> list[Mistake]:
        """The mistakes that prevent a game."""
        return [mistake for mistake in self.mistakes if mistake.severity == "error"]

    @property
    def warnings(self) -> list[Mistake]:
        """What probably doesn't do what its author meant."""
        return [mistake for mistake in self.mistakes if mistake.severity == "warning"]


def check(text: str | bytes) -> CheckedDocument:
    """Read a game from YAML or JSON and find every mistake in it. Never raises for bad input."""
    try:
        document = read_document(text)
    except DocumentError as error:
        return CheckedDocument(None, [Mistake(error.place.line, error.place.column, "", f"the document {error}")])
    if not isinstance(document.data, dict):
        return CheckedDocument(
            None, [Mistake(1, 1, "", "the document must be a mapping with points, badges, challenges, …")]
        )
    mistakes = [Mistake(place.line, place.column, "", message) for place, message in document.problems]
    game: Game | None = None
    try:
        game = Game.model_validate(document.data)
    except ValidationError as error:
        errors = error.errors()
        mistakes.extend(_mistakes(document, errors[:MOST_MISTAKES]))
        if any(each["type"] != "inconsistent" for each in errors):
            mistakes.extend(_between_the_valid(document, errors))
    mistakes.extend(_doubtful(document))
    found = sorted(set(mistakes))
    if any(each.severity == "error" for each in found):
        game = None
    return CheckedDocument(game, found)


def _mistakes(document: Document, errors: Sequence[ErrorDetails]) -> Iterator[Mistake]:
    located = [(each, _resolve(document, each["loc"])) for each in errors]
    for each, path in located:
        # Of the branches of a union, only the one the author chose matters.
        others = [other["type"] for other, place in located if place[: len(path)] == path and other is not each]
        if each["type"] == "literal_error" and (set(others) - {"model_type"}):
            continue
        if each["type"] == "model_type" and "literal_error" in others:
            continue
        yield _mistake(document, each, path)


def _mistake(document: Document, error: ErrorDetails, path: Path) -> Mistake:
    place = document.values.get(path, SourcePosition())
    name = str(error["loc"][-1]) if error["loc"] else ""
    cause = error.get("ctx", {}).get("error")
    match error["type"]:
        case "missing":
            message = f"needs {name}"
        case "extra_forbidden":
            place = document.keys.get(path, place)
            close = get_close_matches(name, _FIELDS, 1)
            message = f"unknown key {name}" + (f"; did you mean {close[0]}?" if close and close[0] != name else "")
        case "inconsistent":
            message = error["msg"]
        case "model_type" | "model_attributes_type" | "dict_type":
            message = "must be a mapping"
        case "union_tag_not_found":
            message = "needs type: fixed, rolling, recurring or perpetual"
        case _:
            message = re.sub(r"^(Value error, |Input )", "", error["msg"])
    if isinstance(cause, ExpressionError):
        place = document.place_in(path, cause.line, cause.column)
    return Mistake(place.line, place.column, _written(path), message)


def _resolve(document: Document, location: Sequence[int | str]) -> Path:
    """The path of the nearest value in the document, since locations also name branches of unions and missing keys."""
    path: Path = ()
    for part in location:
        if (*path, part) in document.values:
            path = (*path, part)
    return path


def _between_the_valid(document: Document, errors: Sequence[ErrorDetails]) -> Iterator[Mistake]:
    """Mistakes between definitions that have no mistakes of their own."""
    broken = {each["loc"][:2] for each in errors}
    kept = {
        kind: [index for index in range(len(_definitions(document, kind))) if (kind, index) not in broken]
        for kind in _KINDS
    }
    valid = {kind: [_definitions(document, kind)[index] for index in places] for kind, places in kept.items()}
    try:
        game = Game.model_validate(valid, context={"inconsistent": True})
    except ValidationError:
        return
    for found in inconsistencies(game, _codes(document, "badges"), _codes(document, "currencies")):
        kind, index, *rest = found.location
        path = _resolve(document, (kind, kept[str(kind)][int(index)], *rest))
        place = document.values.get(path, SourcePosition())
        yield Mistake(place.line, place.column, _written(path), found.message)


def _definitions(document: Document, kind: str) -> list[Any]:
    found = document.data.get(kind)
    return found if isinstance(found, list) else []


def _codes(document: Document, kind: str) -> list[str]:
    codes = [each.get("code") for each in _definitions(document, kind) if isinstance(each, dict)]
    return [code for code in codes if isinstance(code, str)]


def _doubtful(document: Document) -> Iterator[Mistake]:
    known = {kind: {_code(each) for each in _definitions(document, f"{kind}s")} for kind in ("tier", "badge")}
    for path in document.styles:
        if path and path[-1] in EXPRESSION_FIELDS:
            value: Any = document.data
            for part in path:
                value = value[part]
            if len(str(value)) > MAX_CHARACTERS:
                continue  # reported elsewhere; and a search in it could hold up the process for hours
            for refusal in _refused(str(value)):
                line, column = line_and_column(str(value), refusal.at)
                place = document.place_in(path, line, column)
                yield Mistake(place.line, place.column, _written(path), refusal.message)
            for kind, code in _codes_compared(str(value)):
                if code not in known[kind]:
                    found = re.search(rf"[\"']{re.escape(code)}[\"']", str(value))
                    line, column = line_and_column(str(value), 0 if found is None else found.start())
                    place = document.place_in(path, line, column)
                    yield Mistake(place.line, place.column, _written(path), f"there is no {kind} {code}")
            for line, column, literal in integer_arithmetic(str(value)):
                place = document.place_in(path, line, column)
                message = f"a property is a double, and CEL can't combine it with an integer: write {literal}.0"
                yield Mistake(place.line, place.column, _written(path), message, "warning")


def _code(definition: Any) -> Any:
    return definition.get("code") if isinstance(definition, dict) else None


def _codes_compared(expression: str) -> list[tuple[str, str]]:
    """The tiers and badges that an expression names; none of one that can't be read, which is reported elsewhere."""
    if PARTICIPANT not in expression:
        return []
    try:
        return list(codes_compared(read(expression)))
    except UnreadableError:
        return []


def _refused(expression: str) -> list[ExpressionRefusal]:
    """What could never be evaluated for any event; expressions that don't compile are reported elsewhere."""
    try:
        compile_expression(expression)
    except ExpressionError:
        return []
    return list(refusals(expression))


def _written(path: Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
