"""Simple expressions as Python functions over a fact. Most rules are simple, and the engine costs 50 times as much.

A function returns the value that the engine would, raises `KeyError` with the name of a missing property or attribute,
or raises `UnsureError` if the engine must be asked: for everything unusual, and for all other errors.
"""

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from bq_server.game.expressions.moment_parts import ACCESSORS, accessor
from bq_server.game.expressions.nodes import (
    BinaryNode,
    CallNode,
    ChoiceNode,
    IndexNode,
    ListNode,
    LiteralNode,
    LogicNode,
    MemberNode,
    NameNode,
    Node,
    UnaryNode,
)
from bq_server.game.expressions.participant import award_read, is_attributes
from bq_server.game.facts import Fact, FactInContext

Simple = Callable[[Fact], Any]
"""From a fact to a value. A list or an object is returned as it is in the properties, its numbers not yet doubles."""


class UnsureError(Exception):
    """The engine must be asked."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT = 2**53
"""Whole numbers up to this, of either sign, are exact doubles."""
_INT64 = 2**63
_ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_NONE: dict[str, Any] = {}
_SCALARS = frozenset({float, int, str, bool, type(None)})
_TEXTS: dict[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": operator.contains,
}


def simple(tree: Node) -> Simple | None:
    """The function of an expression, or none if it needs the engine."""
    match tree:
        case LiteralNode(kind="int" | "double" | "string" | "bool" | "null", value=value):
            return lambda fact: value  # noqa: ARG005
        case NameNode(name="event_name"):
            return lambda fact: fact.event_name
        case NameNode(name="participant_id"):
            return lambda fact: fact.author
        case MemberNode() | IndexNode() if (award := award_read(tree)) is not None:
            return _tier if award == "tier" else None
        case BinaryNode(operator="in", left=left, right=right) if award_read(right) == "badges":
            return _badge(simple(left))
        case MemberNode(operand=operand, field=field, test=test):
            return _has(operand, field) if test else _member(operand, field)
        case IndexNode(operand=operand, key=LiteralNode(kind="string", value=str(field))):
            return _member(operand, field)
        case UnaryNode(operator=sign, operand=operand):
            return _unary(sign, simple(operand))
        case LogicNode(operator=sign, parts=parts):
            return _logic(sign, [simple(part) for part in parts])
        case ChoiceNode(condition=condition, positive=positive, negative=negative):
            return _choice(simple(condition), simple(positive), simple(negative))
        case BinaryNode(operator=sign, left=left, right=right) if sign in _ORDERS:
            return _constant_comparison(sign, left, right) or _comparison(sign, simple(left), simple(right))
        case BinaryNode(operator=sign, left=left, right=right) if sign in _ARITHMETIC:
            return _arithmetic(sign, simple(left), simple(right))
        case BinaryNode(operator="in", left=left, right=ListNode(items=items)):
            return _one_of(simple(left), items)
        case CallNode(name="int" | "double" as kind, target=None, args=(value,)):
            return _converted(kind, simple(value))
        case CallNode(name=name, target=NameNode(name="occurred_at"), args=()) if name in ACCESSORS:
            return _accessor(name, None)
        case CallNode(
            name=name, target=NameNode(name="occurred_at"), args=(LiteralNode(kind="string", value=str(zone)),)
        ) if name in ACCESSORS:
            return _accessor(name, zone)
        case CallNode(name=name, target=target, args=(LiteralNode(kind="string", value=str(text)),)) if (
            name in _TEXTS and target
        ):
            return _text(_TEXTS[name], simple(target), text)
        case _:
            return None


class InexactError(ValueError):
    """A whole number that no double represents: two such numbers would become equal."""

    def __init__(self) -> None:
        super().__init__(
            "a whole number beyond 2^53 would be rounded, so that different ones become equal: send it as text"
        )


def double(value: int) -> float:
    """A whole number of JSON as CEL sees it. Raises `InexactError` for one that would be rounded."""
    if -_EXACT <= value <= _EXACT:
        return float(value)
    raise InexactError


def _own(operand: Node) -> bool:
    return isinstance(operand, NameNode) and operand.name == "properties"


def _member(operand: Node, field: str) -> Simple | None:
    if _own(operand):

        def own(fact: Fact) -> Any:
            value = fact.properties[field]
            return double(value) if type(value) is int else value

        return own
    if is_attributes(operand):

        def attribute(fact: Fact) -> Any:
            value = fact.attributes[field] if isinstance(fact, FactInContext) else _NONE[field]
            return double(value) if type(value) is int else value

        return attribute
    outer = simple(operand) if isinstance(operand, MemberNode | IndexNode) else None
    if outer is None:
        return None

    def inner(fact: Fact) -> Any:
        value = outer(fact)
        if type(value) is not dict:
            raise UnsureError
        value = value[field]
        return double(value) if type(value) is int else value

    return inner


def _has(operand: Node, field: str) -> Simple | None:
    if _own(operand):
        return lambda fact: field in fact.properties
    if is_attributes(operand):
        return lambda fact: isinstance(fact, FactInContext) and field in fact.attributes
    outer = simple(operand) if isinstance(operand, MemberNode | IndexNode) else None
    if outer is None:
        return None

    def has(fact: Fact) -> Any:
        value = outer(fact)
        if type(value) is not dict:
            raise UnsureError
        return field in value

    return has


def _tier(fact: Fact) -> Any:
    return fact.tier if isinstance(fact, FactInContext) else None


def _badge(left: Simple | None) -> Simple | None:
    if left is None:
        return None

    def badge(fact: Fact) -> bool:
        value = left(fact)
        if type(value) is not str:
            raise UnsureError
        return isinstance(fact, FactInContext) and value in fact.badges

    return badge


def _unary(sign: str, operand: Simple | None) -> Simple | None:
    if operand is None:
        return None

    def negated(fact: Fact) -> bool:
        value = operand(fact)
        if type(value) is not bool:
            raise UnsureError
        return not value

    def negative(fact: Fact) -> float:
        value = operand(fact)
        if type(value) is not float:
            raise UnsureError
        return -value

    return negated if sign == "!" else negative


def _logic(sign: str, parts: list[Simple | None]) -> Simple | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    decisive = sign == "||"

    def logic(fact: Fact) -> Any:
        missing: KeyError | None = None
        for part in known:
            # A deciding part absorbs what is missing elsewhere; of several missing ones, the engine reports the last.
            try:
                value = part(fact)
            except KeyError as error:
                missing = error
                continue
            if value is decisive:
                return decisive
            if type(value) is not bool:
                raise UnsureError
        if missing is not None:
            raise missing
        return not decisive

    return logic


def _choice(condition: Simple | None, positive: Simple | None, negative: Simple | None) -> Simple | None:
    if condition is None or positive is None or negative is None:
        return None

    def choice(fact: Fact) -> Any:
        chosen = condition(fact)
        if type(chosen) is not bool:
            raise UnsureError
        return positive(fact) if chosen else negative(fact)

    return choice


def _constant_comparison(sign: str, left: Node, right: Node) -> Simple | None:
    """The most common condition, optimized: a property and a constant."""
    if not isinstance(left, MemberNode) or left.test or not _own(left.operand) or not isinstance(right, LiteralNode):
        return None
    field, compared, limit = left.field, _ORDERS[sign], right.value
    unequal = {"==": False, "!=": True}.get(sign)
    if right.kind == "string":

        def text(fact: Fact) -> Any:
            value = fact.properties[field]
            if type(value) is str:
                return compared(value, limit)
            if unequal is None or type(value) not in _SCALARS:
                raise UnsureError
            return unequal

        return text
    if not isinstance(limit, int | float) or right.kind not in ("int", "double") or not -_EXACT <= limit <= _EXACT:
        return None
    number = float(limit)

    def numeric(fact: Fact) -> Any:
        value = fact.properties[field]
        kind = type(value)
        if kind is float:
            return compared(value, number)
        if kind is int:
            return compared(double(value), number)
        if unequal is None or kind not in _SCALARS:
            raise UnsureError
        return unequal

    return numeric


def _comparison(sign: str, left: Simple | None, right: Simple | None) -> Simple | None:
    if left is None or right is None:
        return None
    compared = _ORDERS[sign]
    unequal = {"==": False, "!=": True}.get(sign)

    def comparison(fact: Fact) -> bool:
        one, other = left(fact), right(fact)
        kinds = (type(one), type(other))
        if kinds in ((float, float), (str, str), (int, int)):
            return bool(compared(one, other))
        if kinds in ((int, float), (float, int)):
            whole = one if kinds[0] is int else other
            if not -_EXACT <= whole <= _EXACT:
                raise UnsureError
            return bool(compared(one, other))
        if unequal is None or not _SCALARS.issuperset(kinds):
            raise UnsureError
        return bool(compared(one, other)) if kinds[0] is kinds[1] else unequal

    return comparison


def _arithmetic(sign: str, left: Simple | None, right: Simple | None) -> Simple | None:
    if left is None or right is None:
        return None
    combined = _ARITHMETIC[sign]

    def arithmetic(fact: Fact) -> Any:
        one, other = left(fact), right(fact)
        if type(one) is float and type(other) is float:
            return combined(one, other)
        if type(one) is int and type(other) is int and -_INT64 <= (result := combined(one, other)) < _INT64:
            return result
        raise UnsureError

    return arithmetic


def _one_of(left: Simple | None, items: tuple[Node, ...]) -> Simple | None:
    texts = frozenset(item.value for item in items if isinstance(item, LiteralNode))
    if left is None or not all(isinstance(item, LiteralNode) and item.kind == "string" for item in items):
        return None

    def one_of(fact: Fact) -> bool:
        value = left(fact)
        if type(value) is str:
            return value in texts
        if type(value) not in _SCALARS:
            raise UnsureError
        return False

    return one_of


def _converted(kind: str, operand: Simple | None) -> Simple | None:
    if operand is None:
        return None

    def whole(fact: Fact) -> int:
        value = operand(fact)
        # The engine refuses values near the ends of its range.
        if type(value) is float and -_EXACT <= value <= _EXACT:
            return int(value)
        if type(value) is int:
            return value
        raise UnsureError

    def fractional(fact: Fact) -> float:
        value = operand(fact)
        if type(value) is float:
            return value
        if type(value) is int:
            return float(value)
        raise UnsureError

    return whole if kind == "int" else fractional


def _accessor(name: str, zone: str | None) -> Simple | None:
    try:
        part = accessor(name, zone)
    except ValueError:
        return None
    return lambda fact: part(_EPOCH + timedelta(microseconds=fact.occurred_at))


def _text(asked: Callable[[str, str], bool], target: Simple | None, text: str) -> Simple | None:
    if target is None:
        return None

    def answer(fact: Fact) -> bool:
        value = target(fact)
        if type(value) is not str:
            raise UnsureError
        return asked(value, text)

    return answer
