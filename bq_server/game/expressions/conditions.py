"""Conditions and formulas in CEL: compiled once per definition, evaluated once per fact, never an exception."""

import logging
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import cel
from msgspec import Struct

from bq_server.game.expressions.costs import MAX_STEPS, Cost, only, said
from bq_server.game.expressions.moment_parts import ACCESSORS, zoned
from bq_server.game.expressions.nodes import CallNode, Node, walk
from bq_server.game.expressions.parser import UnreadableError, read
from bq_server.game.expressions.participant import NOTHING, PARTICIPANT, MisreadError, Reads, reads
from bq_server.game.expressions.simple import Simple, UnsureError, double, simple
from bq_server.game.facts import Fact, FactInContext
from bq_server.game.mechanics.amounts import MILLIONTHS, to_millionths

VARIABLES = frozenset({"event_name", "participant_id", "properties", "occurred_at", PARTICIPANT})
FUNCTIONS = frozenset(
    {"size", "contains", "startsWith", "endsWith", "matches", "int", "uint", "double", "string", "bytes", "timestamp"}
    | {"duration", "type", "dyn"}
    | ACCESSORS.keys()
)
MAX_AWARD = 1_000_000_000
"""Most points that a formula may give for one fact."""

# The engine logs what fails in a function of ours, though it is already reported as a warning of the rule.
logging.getLogger("cel").setLevel(logging.ERROR)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OWN_FUNCTION = re.compile(r"Python function call failed: ValueError: (.*?)\. Check function arguments")
_SYNTAX_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?(.*)")
_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*(\w+)\s*,")
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_PATH = r"properties\s*(?:\.\s*\w+|\[[^\]]*\])+"
_INTEGER = r"(?<![\w.])\d+(?![\w.])"
_MIXED = re.compile(rf"{_PATH}\s*[-+*/%]\s*({_INTEGER})|({_INTEGER})\s*[-+*/%]\s*{_PATH}")

MAX_CHARACTERS = 1000
"""Of an expression."""


class ExpressionError(ValueError):
    """An expression that doesn't compile; says where in the expression, from line 1 and column 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def compile_expression(expression: str) -> cel.Program:
    """Compile a CEL expression. Raises `ExpressionError` for invalid syntax or a name that no event has."""
    if len(expression) > MAX_CHARACTERS:
        # The engine's parser recurses: far beyond this it would overflow the stack, and end the process.
        raise ExpressionError(f"CEL: an expression may have at most {MAX_CHARACTERS} characters")
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
                "event_name, participant_id, properties, occurred_at and participant",
                *_place(name, expression),
            )
    for name in names["functions"]:
        if name.isidentifier() and name not in FUNCTIONS:
            raise ExpressionError(f"CEL: there is no function {name}", *_place(name, expression))
    if PARTICIPANT in names["variables"]:
        read_of_participant(expression)
    return program


def read_of_participant(expression: str) -> Reads:
    """What an expression reads of a participant. Raises `ExpressionError` for what there isn't."""
    if PARTICIPANT not in expression:
        return NOTHING
    try:
        return reads(read(expression), expression)
    except UnreadableError:
        return NOTHING
    except MisreadError as error:
        raise ExpressionError(f"CEL: {error}", *line_and_column(expression, error.at)) from None


def integer_arithmetic(expression: str) -> list[tuple[int, int, str]]:
    """Where an integer literal meets a property in arithmetic, as (line, column, literal).

    A numeric property is a double, and CEL can't add a double to an integer: such a rule fails on every event.
    """
    plain = _STRINGS.sub(lambda match: '"' + " " * (len(match[0]) - 2) + '"', expression)
    found = []
    for match in _MIXED.finditer(plain):
        start = match.start(1) if match[1] else match.start(2)
        found.append((*line_and_column(expression, start), match[1] or match[2]))
    return found


def _plain(message: str) -> str:
    """The parser's message without the list of everything it expected."""
    said = message.partition(" expecting ")[0].strip()
    if "<EOF>" in said:
        return "the expression ends too early"
    return re.sub(r"^(?:mismatched|extraneous) input", "didn't expect", said)


def _place(name: str, expression: str) -> tuple[int, int]:
    match = re.search(rf"(?<![\w.]){re.escape(name)}\b", expression) or re.search(rf"\b{re.escape(name)}\b", expression)
    return line_and_column(expression, match.start()) if match else (1, 1)


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """The place of an offset, from line 1 and column 1."""
    line = text.count("\n", 0, offset) + 1
    return line, offset - text.rfind("\n", 0, offset)


def as_doubles(value: Any) -> Any:
    """JSON according to CEL's own mapping: every number a double, so that a rule works for all events or none."""
    match value:
        case bool() | str() | None:
            return value
        case int():
            return double(value)
        case Mapping():
            return {str(key): as_doubles(each) for key, each in value.items()}
        case list() | tuple():
            return [as_doubles(each) for each in value]
        case _:
            return value


class Variables:
    """What expressions see of one fact. Passing values to CEL costs more than evaluating, so it is done once."""

    __slots__ = ("_contexts", "fact")

    def __init__(self, fact: Fact) -> None:
        self.fact = fact
        self._contexts: dict[object, cel.Context] | None = None

    def context(
        self,
        names: tuple[str, ...] | None = None,
        accessors: tuple[str, ...] = (),
        of_participant: Reads = NOTHING,
    ) -> cel.Context:
        """The fact as a CEL context, with the named properties, or all of them, and the named zoned accessors.

        Raises `ValueError` if a property isn't JSON.
        """
        if self._contexts is None:
            self._contexts = {}
        known = self._contexts.get((names, accessors, of_participant))
        if known is None:
            fact = self.fact
            participant = self.participant(of_participant)
            about = {} if participant is None else {PARTICIPANT: as_doubles(participant)}
            known = self._contexts[names, accessors, of_participant] = cel.Context(
                variables={
                    "event_name": fact.event_name,
                    "participant_id": fact.author,
                    "properties": as_doubles(only(fact.properties, names)),
                    "occurred_at": _EPOCH + timedelta(microseconds=fact.occurred_at),
                    **about,
                },
                functions={_zoned_name(each): zoned(each) for each in accessors},
            )
        return known

    def participant(self, what: Reads) -> dict[str, Any] | None:
        """The fact's participant as an expression that reads that sees it; None if it reads nothing."""
        if what == NOTHING:
            return None
        fact = self.fact if isinstance(self.fact, FactInContext) else None
        found: dict[str, Any] = {"attributes": only({} if fact is None else fact.attributes, what.attributes)}
        if "tier" in what.awards:
            found["tier"] = None if fact is None else fact.tier
        if "badges" in what.awards:
            found["badges"] = [] if fact is None else list(fact.badges)
        return found


class ExpressionFailure(Struct, frozen=True):
    """An expression had no usable value for a fact; the message says why."""

    message: str


class Formula:
    """A compiled expression. A simple one is a Python function; for any other, the cost is bounded before it runs."""

    __slots__ = ("_accessors", "_cost", "_of_participant", "_program", "_simple", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self._program = compile_expression(source)
        self._simple: Simple = _never_simple
        self._cost: Cost | None = None
        self._accessors: tuple[str, ...] = ()
        self._of_participant = read_of_participant(source)
        try:
            tree = read(source)
        except UnreadableError:
            return
        self._cost = Cost(tree)
        self._simple = simple(tree) or _never_simple
        calls = _zoned_calls(tree)
        if calls:
            self._accessors = tuple(sorted({call.name for call in calls}))
            self._program = cel.compile(_renamed(source, calls))

    def value(self, variables: Variables) -> Any:
        """The value for a fact, or an `ExpressionFailure`; never an exception."""
        try:
            value = self._simple(variables.fact)
            kind = type(value)
            return as_doubles(value) if kind is list or kind is dict else value
        except Exception as error:  # noqa: BLE001 - told by kind there
            return self._otherwise(error, variables)

    def _otherwise(self, error: Exception, variables: Variables) -> Any:
        """The value for a fact for which the simple form has none."""
        return self._ask(variables) if isinstance(error, UnsureError) else self._failure(error, variables)

    def _failure(self, error: Exception, variables: Variables) -> ExpressionFailure:
        """Why there is no value; the engine doesn't tell an attribute that is missing from a property."""
        missing = error.args[0] if isinstance(error, KeyError) and error.args else None
        participant = variables.participant(self._of_participant)
        if participant is not None and isinstance(error, KeyError):
            if missing in self._of_participant.attributes and missing not in participant["attributes"]:
                return ExpressionFailure(f"the participant has no attribute {missing}")
            return ExpressionFailure(f"neither the event nor an attribute has {missing}")
        return ExpressionFailure(_sentence(error))

    def _ask(self, variables: Variables) -> Any:
        """The engine's value, or an `ExpressionFailure`."""
        if self._cost is None:
            return ExpressionFailure("the expression is nested too deeply to be evaluated")
        fact = variables.fact
        participant = variables.participant(self._of_participant)
        steps = self._cost.steps(fact.properties, participant, event_name=fact.event_name, participant_id=fact.author)
        if steps > MAX_STEPS:
            return ExpressionFailure(said(steps))
        try:
            return self._program.execute(variables.context(self._cost.names, self._accessors, self._of_participant))
        except Exception as error:  # noqa: BLE001 - told by kind there
            return self._failure(error, variables)

    def holds(self, variables: Variables) -> bool | ExpressionFailure:
        """Whether a condition is true for a fact; anything except a boolean is an `ExpressionFailure`."""
        try:
            value = self._simple(variables.fact)
        except Exception as error:  # noqa: BLE001 - told by kind there
            value = self._otherwise(error, variables)
        if value is True or value is False or isinstance(value, ExpressionFailure):
            return value
        return ExpressionFailure(f"the condition gave {_kind(value)}, not true or false")

    def points(self, variables: Variables) -> int | ExpressionFailure:
        """A whole, non-negative number of points; fractions round down, after rounding to a millionth."""
        number = self.number(variables)
        if isinstance(number, ExpressionFailure):
            return number
        if not 0 <= number <= MAX_AWARD:
            return ExpressionFailure(f"the formula gave {_counted(number)} points; it may give 0 to {MAX_AWARD:,}")
        whole = math.floor(number)
        # A product of doubles may just miss a whole number: 19.99 * 100.0 is 1998.9999999999998.
        return whole if number - whole < 0.9999 else to_millionths(number) // MILLIONTHS

    def number(self, variables: Variables) -> float | ExpressionFailure:
        """A finite number, or an `ExpressionFailure`."""
        value = self.value(variables)
        if type(value) is float and math.isfinite(value):
            return value
        if isinstance(value, ExpressionFailure):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            return ExpressionFailure(f"the expression gave {_kind(value)}, not a number")
        if not math.isfinite(value):
            return ExpressionFailure("the expression gave a number that isn't finite")
        return value


def _counted(number: float) -> str:
    """A number as people write it, if it isn't too long."""
    if abs(number) >= 10**15:
        return f"{number:g}"
    return f"{int(number):,}" if number == int(number) else f"{number:,}"


def _never_simple(fact: Fact) -> Any:  # noqa: ARG001
    raise UnsureError


def _zoned_calls(tree: Node) -> list[CallNode]:
    """The calls for a part of a timestamp in a zone, which the engine doesn't support."""
    return [
        node
        for node in walk(tree)
        if isinstance(node, CallNode) and node.name in ACCESSORS and node.target is not None and len(node.args) == 1
    ]


def _zoned_name(accessor: str) -> str:
    """A different name, so that the engine's own functions stay unchanged."""
    return f"{accessor}InZone"


def _renamed(source: str, calls: list[CallNode]) -> str:
    for call in sorted(calls, key=lambda call: call.at, reverse=True):
        end = call.at + len(call.name)
        source = source[: call.at] + _zoned_name(call.name) + source[end:]
    return source


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
    own = _OWN_FUNCTION.search(text)
    if own is not None:
        return own[1]
    return text[:300] or type(error).__name__
