"""The nodes of a CEL expression, as `bq_server.game.expressions.parser` reads them."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiteralNode:
    """A constant. `kind` is one of int, uint, double, string, bytes, bool, null."""

    kind: str
    value: int | float | str | bytes | bool | None


@dataclass(frozen=True, slots=True)
class NameNode:
    """A variable, or the name of a type."""

    name: str


@dataclass(frozen=True, slots=True)
class MemberNode:
    """`operand.field`, or with `test` the macro `has(operand.field)`."""

    operand: "Node"
    field: str
    test: bool = False


@dataclass(frozen=True, slots=True)
class IndexNode:
    """`operand[key]`."""

    operand: "Node"
    key: "Node"


@dataclass(frozen=True, slots=True)
class CallNode:
    """`name(args)` or `target.name(args)`; `at` is the offset of the name in the source."""

    name: str
    target: "Node | None"
    args: tuple["Node", ...]
    at: int


@dataclass(frozen=True, slots=True)
class UnaryNode:
    """`!operand` or `-operand`."""

    operator: str
    operand: "Node"


@dataclass(frozen=True, slots=True)
class BinaryNode:
    """Arithmetic, a comparison or `in`."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class LogicNode:
    """`&&` or `||` between two parts or more."""

    operator: str
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class ChoiceNode:
    """`condition ? positive : negative`."""

    condition: "Node"
    positive: "Node"
    negative: "Node"


@dataclass(frozen=True, slots=True)
class ListNode:
    """`[items]`."""

    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class MapNode:
    """`{key: value}`."""

    entries: tuple[tuple["Node", "Node"], ...]


@dataclass(frozen=True, slots=True)
class MessageNode:
    """`Type{field: value}`, which the engine reads and never evaluates."""

    name: str


@dataclass(frozen=True, slots=True)
class MacroNode:
    """`source.kind(variable, body)`; of `map` with three arguments, the second is `condition`."""

    kind: str
    source: "Node"
    variable: str
    body: "Node"
    condition: "Node | None" = None


Node = (
    LiteralNode
    | NameNode
    | MemberNode
    | IndexNode
    | CallNode
    | UnaryNode
    | BinaryNode
    | LogicNode
    | ChoiceNode
    | ListNode
    | MapNode
    | MessageNode
    | MacroNode
)


def children(node: Node) -> Iterator[Node]:
    """The nodes directly within one."""
    match node:
        case MemberNode(operand=operand) | UnaryNode(operand=operand):
            yield operand
        case IndexNode(operand=operand, key=key):
            yield from (operand, key)
        case CallNode(target=target, args=args):
            if target is not None:
                yield target
            yield from args
        case BinaryNode(left=left, right=right):
            yield from (left, right)
        case LogicNode(parts=parts) | ListNode(items=parts):
            yield from parts
        case ChoiceNode(condition=condition, positive=positive, negative=negative):
            yield from (condition, positive, negative)
        case MapNode(entries=entries):
            for key, value in entries:
                yield from (key, value)
        case MacroNode(source=source, body=body, condition=wanted):
            yield from (source, body) if wanted is None else (source, wanted, body)
        case _:
            return


def walk(node: Node) -> Iterator[Node]:
    """A node and everything within it."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        yield here
        waiting.extend(children(here))
