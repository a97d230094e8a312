"""What expressions read of a participant: tier, badges, and attributes by their names, so that no others are loaded."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from bq_server.game.expressions.nodes import (
    BinaryNode,
    IndexNode,
    ListNode,
    LiteralNode,
    MacroNode,
    MemberNode,
    NameNode,
    Node,
    children,
    walk,
)

PARTICIPANT = "participant"
ATTRIBUTES = "attributes"
AWARDS = ("badges", "tier")
_KNOWN = (ATTRIBUTES, *AWARDS)
_NAMED = r"\s*(?:\.\s*attributes\b|\[\s*(?:\"attributes\"|'attributes')\s*\])\s*(?:\.\s*[A-Za-z_]|\[\s*[\"'])"
_AWARD = r"\s*(?:\.\s*(?:tier|badges)\b|\[\s*(?:\"(?:tier|badges)\"|'(?:tier|badges)')\s*\])"
_MISREAD = re.compile(rf"(?<![\w.]){PARTICIPANT}\b(?!{_NAMED})(?!{_AWARD})")
_ASKED = re.compile(r"has\s*\(\s*participant\s*\.\s*(tier|badges)\s*\)")
_MEMBER = re.compile(r"\s*\.\s*(\w+)")


class Reads(NamedTuple):
    """What an expression reads of a participant."""

    attributes: tuple[str, ...] = ()
    """The names of the attributes, sorted."""
    awards: tuple[str, ...] = ()
    """Those of `AWARDS`."""


NOTHING = Reads()


class MisreadError(ValueError):
    """An expression that reads something else of a participant; `at` is the offset in it."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def member_named(node: Node) -> tuple[Node, str] | None:
    """The operand and the name of `operand.name` and `operand["name"]`."""
    match node:
        case MemberNode(operand=operand, field=field):
            return operand, field
        case IndexNode(operand=operand, key=LiteralNode(kind="string", value=str(field))):
            return operand, field
    return None


def is_attributes(node: Node) -> bool:
    """Whether a node is `participant.attributes`."""
    asked = isinstance(node, MemberNode) and node.test
    return member_named(node) == (NameNode(PARTICIPANT), ATTRIBUTES) and not asked


def award_read(node: Node) -> str | None:
    """Which of `AWARDS` a node is, if it is one."""
    named = member_named(node)
    if named is None or named[0] != NameNode(PARTICIPANT) or (isinstance(node, MemberNode) and node.test):
        return None
    return named[1] if named[1] in AWARDS else None


def reads(tree: Node, source: str) -> Reads:
    """What an expression reads of a participant. Raises `MisreadError` for what there isn't."""
    attributes: set[str] = set()
    awards: set[str] = set()
    waiting = [tree]
    while waiting:
        here = waiting.pop()
        named, award = member_named(here), award_read(here)
        if named is not None and is_attributes(named[0]):
            attributes.add(named[1])
        elif award is not None:
            awards.add(award)
        elif here == NameNode(PARTICIPANT):
            raise _misread(source)
        else:
            waiting.extend(_outside(here))
    return Reads(tuple(sorted(attributes)), tuple(sorted(awards)))


def codes_compared(tree: Node) -> Iterator[tuple[str, str]]:
    """The tiers and badges that an expression names, as `("tier", code)`."""
    for node in walk(tree):
        match node:
            case BinaryNode(operator="==" | "!=", left=left, right=right) if award_read(left) == "tier":
                yield from _texts("tier", right)
            case BinaryNode(operator="==" | "!=", left=left, right=right) if award_read(right) == "tier":
                yield from _texts("tier", left)
            case BinaryNode(operator="in", left=left, right=ListNode(items=items)) if award_read(left) == "tier":
                yield from _texts("tier", *items)
            case BinaryNode(operator="in", left=left, right=right) if award_read(right) == "badges":
                yield from _texts("badge", left)


def _texts(kind: str, *nodes: Node) -> Iterator[tuple[str, str]]:
    for node in nodes:
        match node:
            case LiteralNode(kind="string", value=str(text)):
                yield kind, text


def _misread(source: str) -> MisreadError:
    asked = _ASKED.search(source)
    if asked is not None:
        otherwise = "without a tier it is null" if asked[1] == "tier" else "without badges it is empty"
        return MisreadError(f"has(participant.{asked[1]}) is always true: {otherwise}", asked.start())
    place = _MISREAD.search(source)
    at = place.start() if place is not None else 0
    member = _MEMBER.match(source, place.end()) if place is not None else None
    name = member[1] if member is not None else ATTRIBUTES
    if name == ATTRIBUTES:
        return MisreadError("name the attribute: participant.attributes.team", at)
    close = get_close_matches(name, _KNOWN, 1)
    return MisreadError(
        f"there is no participant.{name}; "
        + (f"did you mean participant.{close[0]}?" if close else "there are attributes, such as")
        + ("" if close else " participant.attributes.team, tier and badges"),
        at,
    )


def _outside(node: Node) -> Iterator[Node]:
    """The nodes within one, without what sees a macro's variable called `participant`."""
    if isinstance(node, MacroNode) and node.variable == PARTICIPANT:
        yield node.source
    else:
        yield from children(node)
