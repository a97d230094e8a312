"""Conditions and formulas in CEL: compiled once per definition, evaluated once per fact, never an exception."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import cel

from bq_server.game.facts import Fact

VARIABLES = frozenset({"event_name", "participant_id", "properties", "occurred_at"})
_PARTS = (
    "FullYear",
    "Month",
    "Date",
    "DayOfMonth",
    "DayOfYear",
    "DayOfWeek",
    "Hours",
    "Minutes",
    "Seconds",
    "Milliseconds",
)
FUNCTIONS = frozenset(
    {"size", "contains", "startsWith", "endsWith", "matches", "int", "uint", "double", "string", "bytes", "timestamp"}
    | {"duration", "type", "dyn"}
    | {f"get{part}" for part in _PARTS}
)
MAX_AWARD = 1_000_000_000
"""Most points a formula may give for one fact."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SYNTAX_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?(.*)")
_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*(\w+)\s*,")
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_PATH = r"properties\s*(?:\.\s*\w+|\[[^\]]*\])+"
_INTEGER = r"(?<![\w.])\d+(?![\w.])"
_MIXED = re.compile(rf"{_PATH}\s*[-+*/%]\s*({_INTEGER})|({_INTEGER})\s*[-+*/%]\s*{_PATH}")


class ExpressionError(ValueError):
    """An expression that doesn't compile; says where in the expression, from line 1 and column 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def compile_expression(expression: str) -> cel.Program:
    """Compile a CEL expression. Raises `ExpressionError` for bad syntax or a name that no event has."""
    try:
        program = cel.compile(expression)
    except Exception as error:  # noqa: BLE001 - whatever CEL raises means that it doesn't compile
        found = _SYNTAX_ERROR.search(str(error))
        if found is None:
            raise ExpressionError("is not a CEL expression") from None
        raise ExpressionError(f"CEL: {_plain(found[3])}", int(found[1]), int(found[2])) from None
    names = program.references()
    bound = set(_BOUND.findall(expression))
    for name in names["variables"]:
        if name not in VARIABLES and name not in bound:
            raise ExpressionError(
                f"CEL: there is no {name}; a property is properties.{name}, and there are "
                "event_name, participant_id, properties and occurred_at",
                *_place(name, expression),
            )
    for name in names["functions"]:
        if name.isidentifier() and name not in FUNCTIONS:
            raise ExpressionError(f"CEL: there is no function {name}", *_place(name, expression))
    return program


def integer_arithmetic(expression: str) -> list[tuple[int, int, str]]:
    """Where an integer literal meets a property in arithmetic, as (line, column, literal).

    A property that is a number is a double, and CEL adds no double to an integer: such a rule fails on every event.
    """
    plain = _STRINGS.sub(lambda match: '"' + " " * (len(match[0]) - 2) + '"', expression)
    found = []
    for match in _MIXED.finditer(plain):
        start = match.start(1) if match[1] else match.start(2)
        found.append((*_line_and_column(expression, start), match[1] or match[2]))
    return found


def _plain(message: str) -> str:
    """The parser's message without the list of all that could have come instead."""
    said = message.partition(" expecting ")[0].strip()
    if "<EOF>" in said:
        return "the expression ends too early"
    return re.sub(r"^(?:mismatched|extraneous) input", "didn't expect", said)


def _place(name: str, expression: str) -> tuple[int, int]:
    match = re.search(rf"(?<![\w.]){re.escape(name)}\b", expression) or re.search(rf"\b{re.escape(name)}\b", expression)
    return _line_and_column(expression, match.start()) if match else (1, 1)


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    line = text.count("\n", 0, offset) + 1
    return line, offset - text.rfind("\n", 0, offset)


def as_doubles(value: Any) -> Any:
    """JSON as CEL's own mapping has it: every number a double, so that a rule works for all events or for none."""
    match value:
        case bool() | str() | None:
            return value
        case int():
            try:
                return float(value)
            except OverflowError:
                return math.inf if value > 0 else -math.inf
        case Mapping():
            return {str(key): as_doubles(each) for key, each in value.items()}
        case list() | tuple():
            return [as_doubles(each) for each in value]
        case _:
            return value


class Variables:
    """What expressions see of one fact. Handing values to CEL costs more than evaluating, so it is done once."""

    __slots__ = ("_context", "_fact")

    def __init__(self, fact: Fact) -> None:
        self._fact = fact
        self._context: cel.Context | None = None

    def context(self) -> cel.Context:
        """The fact as a CEL context. Raises `ValueError` when a property is not JSON."""
        if self._context is None:
            fact = self._fact
            self._context = cel.Context(
                variables={
                    "event_name": fact.event_name,
                    "participant_id": fact.participant_id,
                    "properties": as_doubles(fact.properties),
                    "occurred_at": _EPOCH + timedelta(microseconds=fact.occurred_at),
                }
            )
        return self._context


@dataclass(frozen=True, slots=True)
class Failure:
    """An expression had no usable value for a fact; the message says why."""

    message: str


class Formula:
    """A compiled expression."""

    __slots__ = ("_program", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self._program = compile_expression(source)

    def value(self, variables: Variables) -> Any:
        """The value for a fact, or a `Failure`; never an exception."""
        try:
            return self._program.execute(variables.context())
        except Exception as error:  # noqa: BLE001 - whatever CEL raises means that the rule doesn't apply to this fact
            return Failure(_sentence(error))

    def holds(self, variables: Variables) -> bool | Failure:
        """Whether a condition is true of a fact; anything but a boolean is a `Failure`."""
        value = self.value(variables)
        if isinstance(value, bool | Failure):
            return value
        return Failure(f"the condition gave {_kind(value)}, not true or false")

    def points(self, variables: Variables) -> int | Failure:
        """A whole, non-negative number of points; fractions round down."""
        number = self.number(variables)
        if isinstance(number, Failure):
            return number
        if not 0 <= number <= MAX_AWARD:
            return Failure(f"the formula gave {number:g} points; it may give 0 to {MAX_AWARD:,}")
        return math.floor(number)

    def number(self, variables: Variables) -> float | Failure:
        """A finite number, or a `Failure`."""
        value = self.value(variables)
        if isinstance(value, Failure):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            return Failure(f"the expression gave {_kind(value)}, not a number")
        if not math.isfinite(value):
            return Failure("the expression gave a number without a finite value")
        return value


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return f"a {type(value).__name__}"


def _sentence(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"the event has no property {error.args[0]}"
    text = " ".join(str(error).split())
    return text[:300] or type(error).__name__
