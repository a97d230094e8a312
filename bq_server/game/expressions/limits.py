"""What the check refuses although the engine compiles it: what could never be evaluated, or never within the budget."""

from collections.abc import Iterator

from msgspec import Struct

from bq_server.game.expressions.costs import MAX_NESTING, MAX_STEPS, Cost, nesting
from bq_server.game.expressions.moment_parts import ACCESSORS, zone
from bq_server.game.expressions.nodes import (
    CallNode,
    IndexNode,
    LiteralNode,
    MemberNode,
    MessageNode,
    NameNode,
    Node,
    walk,
)
from bq_server.game.expressions.parser import UnreadableError, read

_GLOBAL = frozenset({"size", "int", "uint", "double", "string", "bytes", "timestamp", "duration", "type", "dyn"})
_METHODS = {
    "size": "takes no further argument: size(x) or x.size()",
    "contains": "is called on a text with a text: x.contains(y)",
    "startsWith": "is called on a text with a text: x.startsWith(y)",
    "endsWith": "is called on a text with a text: x.endsWith(y)",
    "matches": "is called on a text with a pattern: x.matches(y)",
}


class ExpressionRefusal(Struct, frozen=True):
    """What is wrong, and the offset in the expression where it is."""

    message: str
    at: int = 0


def refusals(source: str) -> Iterator[ExpressionRefusal]:
    """Every reason to refuse an expression that compiles."""
    try:
        tree = read(source)
    except UnreadableError as error:
        yield ExpressionRefusal(f"CEL: the expression {error}")
        return
    found = [
        ExpressionRefusal(f"CEL: {message}", node.at if isinstance(node, CallNode) else 0)
        for node in walk(tree)
        if (message := _wrong(node)) is not None
    ]
    yield from found
    deep = nesting(tree)
    if deep > MAX_NESTING:
        yield ExpressionRefusal(f"CEL: all, exists, map, … may be nested at most {MAX_NESTING} deep; here it is {deep}")
    elif not found and Cost(tree).least() > MAX_STEPS:
        yield ExpressionRefusal(
            f"CEL: whatever the event contains, the expression takes more than the {MAX_STEPS:,} steps allowed"
        )


def _wrong(node: Node) -> str | None:
    match node:
        case MessageNode(name=name):
            return f"there are no message types such as {name}"
        case CallNode(name=name, args=args) if name in ACCESSORS:
            if node.target is None or len(args) > 1:
                return f"{name} is called on a timestamp, with a time zone or nothing: occurred_at.{name}()"
            return _wrong_zone(name, args)
        case CallNode(name="matches", target=target, args=(pattern,)) if target is not None:
            if not _told_beforehand(pattern):
                return "the pattern of matches must be a literal or a property: a computed one has no bounds"
        case CallNode(name=name, target=None, args=args):
            if name in _GLOBAL and len(args) != 1:
                return f"{name} takes one value: {name}(x)"
            if name not in _GLOBAL and name in _METHODS:
                return f"{name} {_METHODS[name]}"
        case CallNode(name=name, args=args):
            if name in _METHODS and len(args) != (0 if name == "size" else 1):
                return f"{name} {_METHODS[name]}"
            if name not in _METHODS and name in _GLOBAL:
                return f"{name} takes one value: {name}(x)"
    return None


def _wrong_zone(name: str, args: tuple[Node, ...]) -> str | None:
    match args:
        case (LiteralNode(kind="string", value=str(written)),):
            try:
                zone(written)
            except ValueError as error:
                return f"the time zone of {name} {error}"
    return None


def _told_beforehand(pattern: Node) -> bool:
    """Whether it is a literal text, or a member of the properties or the attributes."""
    while isinstance(pattern, MemberNode | IndexNode):
        pattern = pattern.operand
    return (isinstance(pattern, NameNode) and pattern.name in ("properties", "participant")) or isinstance(
        pattern, LiteralNode
    )
