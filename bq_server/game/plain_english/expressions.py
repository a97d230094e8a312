"""Conditions and formulas as they are said aloud. What has no plain words is quoted as it is written."""

import json

from bq_server.game.expressions.nodes import (
    BinaryNode,
    CallNode,
    IndexNode,
    ListNode,
    LiteralNode,
    LogicNode,
    MemberNode,
    NameNode,
    Node,
    UnaryNode,
)
from bq_server.game.expressions.parser import UnreadableError, read
from bq_server.game.expressions.participant import award_read, is_attributes, member_named
from bq_server.game.plain_english.phrases import listed, weekday

_RELATIONS = {
    "==": "is", "!=": "is not", ">=": "is at least", ">": "is above", "<=": "is at most", "<": "is below",
}  # fmt: skip
_OPPOSITE = {"==": "!=", "!=": "=="}
"""Not those of sizes: neither `<` nor `>=` holds of a number that is not one."""
_SUMS = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}
_TEXTS = {
    "contains": ("contains", "does not contain"),
    "startsWith": ("starts with", "does not start with"),
    "endsWith": ("ends with", "does not end with"),
    "matches": ("matches the pattern", "does not match the pattern"),
}
_PARTS = {"getFullYear": "year", "getDate": "day of the month", "getHours": "hour", "getMinutes": "minute"}
_NAMES = {
    "properties": "properties",
    "event_name": "the event's name",
    "participant_id": "the participant's id",
    "occurred_at": "the event's time",
}


class _NoWords(Exception):
    """An expression that is clearer as it is written."""


def condition(source: str) -> str:
    """`amount is at least 20 and currency is "EUR"`."""
    try:
        return _holds(read(source))
    except (UnreadableError, _NoWords):
        return f"`{_on_one_line(source)}` holds"


def value(source: str) -> str:
    """`amount times 2`."""
    try:
        return _value(read(source))
    except (UnreadableError, _NoWords):
        return f"`{_on_one_line(source)}`"


def _on_one_line(source: str) -> str:
    return " ".join(source.split())


def _holds(node: Node) -> str:
    match node:
        case LogicNode(operator=operator, parts=parts):
            word = "and" if operator == "&&" else "or"
            said = [f"({_holds(part)})" if isinstance(part, LogicNode) else _holds(part) for part in parts]
            return f" {word} ".join(said)
        case BinaryNode(operator=operator) if operator in _RELATIONS or operator == "in":
            return _compared(node, operator)
        case UnaryNode(operator="!", operand=operand):
            return _fails(operand)
        case MemberNode(test=True, operand=operand, field=field) if is_attributes(operand):
            return f"the participant has {_attribute(field)}"
        case MemberNode(test=True):
            return f"{_path(node)} is given"
        case MemberNode() | IndexNode():
            return f"{_value(node)} is true"
        case CallNode(name=name) if name in _TEXTS:
            return _text(node, _TEXTS[name][0])
        case _:
            raise _NoWords


def _fails(node: Node) -> str:
    """The opposite. Of a whole `&&` or `||` it would be a riddle."""
    match node:
        case BinaryNode(operator="in", left=left, right=ListNode() as right):
            return f"{_value(left)} is none of {_choices(right)}"
        case BinaryNode(operator="in", left=left, right=right) if award_read(right) == "badges":
            return f"the participant does not have {_badge(left)}"
        case BinaryNode(operator="in", left=left, right=right):
            return f"{_value(right)} does not contain {_value(left)}"
        case BinaryNode(operator=operator) if operator in _OPPOSITE:
            return _compared(node, _OPPOSITE[operator])
        case MemberNode(test=True, operand=operand, field=field) if is_attributes(operand):
            return f"the participant does not have {_attribute(field)}"
        case MemberNode(test=True):
            return f"{_path(node)} is not given"
        case MemberNode() | IndexNode():
            return f"{_value(node)} is false"
        case CallNode(name=name) if name in _TEXTS:
            return _text(node, _TEXTS[name][1])
        case _:
            raise _NoWords


def _compared(node: BinaryNode, operator: str) -> str:
    match node.left, node.right:
        case left, ListNode() as right if operator == "in":
            return f"{_value(left)} is one of {_choices(right)}"
        case left, right if operator == "in" and award_read(right) == "badges":
            return f"the participant has {_badge(left)}"
        case left, right if operator == "in":
            return f"{_value(right)} contains {_value(left)}"
        case left, LiteralNode(kind="null") if operator in _OPPOSITE and award_read(left) == "tier":
            return f"the participant has {'no' if operator == '==' else 'a'} tier"
        case CallNode(name="getDayOfWeek", target=NameNode() as target, args=args), LiteralNode(value=int(number)) if (
            operator in _OPPOSITE and number in range(7)
        ):
            return f"{_value(target)} {_RELATIONS[operator]} on a {weekday((number - 1) % 7)}{_in_zone(args)}"
        case left, right:
            return f"{_value(left)} {_RELATIONS[operator]} {_value(right)}"


def _choices(node: ListNode) -> str:
    if not node.items:
        raise _NoWords
    return listed(map(_value, node.items), "or")


def _text(node: CallNode, verb: str) -> str:
    if node.target is None or len(node.args) != 1:
        raise _NoWords
    return f"{_value(node.target)} {verb} {_value(node.args[0])}"


def _value(node: Node) -> str:
    match node:
        case LiteralNode(kind="string", value=str(text)):
            return json.dumps(text, ensure_ascii=False)
        case LiteralNode(kind="bool" | "null", value=constant):
            return json.dumps(constant)
        case LiteralNode(kind="int" | "uint" | "double", value=int() | float() as number):
            return f"{number:.15g}"
        case NameNode(name=name) if name in _NAMES:
            return _NAMES[name]
        case MemberNode(test=False):
            return _path(node)
        case IndexNode() if (said := _of_participant(node)) is not None:
            return said
        case BinaryNode(operator=operator, left=left, right=right) if operator in _SUMS:
            return f"{_part(left, operator, first=True)} {_SUMS[operator]} {_part(right, operator, first=False)}"
        case UnaryNode(operator="-", operand=MemberNode() as operand):
            return f"minus {_value(operand)}"
        case CallNode(name="size", target=None, args=(measured,)) | CallNode(name="size", target=measured, args=()) if (
            measured is not None
        ):
            return f"the length of {_value(measured)}"
        case CallNode(name=name, target=NameNode() | MemberNode() as target, args=args) if name in _PARTS:
            return f"the {_PARTS[name]} of {_value(target)}{_in_zone(args)}"
        case _:
            raise _NoWords


def _of_participant(node: Node) -> str | None:
    """The tier, the badges or an attribute of the participant; none for anything else."""
    award, named = award_read(node), member_named(node)
    if award is not None:
        return f"the participant's {award}"
    return f"the participant's {named[1]}" if named is not None and is_attributes(named[0]) else None


def _attribute(name: str) -> str:
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _badge(code: Node) -> str:
    match code:
        case LiteralNode(kind="string", value=str(text)):
            return f"the badge {text}"
        case _:
            raise _NoWords


def _part(node: Node, operator: str, *, first: bool) -> str:
    """A part of a sum, in brackets where it is one itself that isn't simply said first."""
    inner = isinstance(node, BinaryNode)
    plain = not inner or (first and isinstance(node, BinaryNode) and node.operator == operator)
    return _value(node) if plain else f"({_value(node)})"


def _in_zone(args: tuple[Node, ...]) -> str:
    match args:
        case ():
            return " (UTC)"
        case (LiteralNode(kind="string", value=str(name)),):
            return f" ({name})"
        case _:
            raise _NoWords


def _path(node: Node) -> str:
    """A property by its name; `properties.` goes without saying."""
    match node:
        case MemberNode() | IndexNode() if (said := _of_participant(node)) is not None:
            return said
        case MemberNode(operand=NameNode(name="properties"), field=field):
            return field
        case MemberNode(operand=NameNode(name=name), field=field) if name not in _NAMES:
            return f"{name}.{field}"
        case MemberNode(operand=MemberNode() as operand, field=field):
            return f"{_path(operand)}.{field}"
        case _:
            raise _NoWords
