"""The nodes of a CEL expression, as `bq_server.game.expressions.parser` reads them."""

from collections.abc import Iterator

from msgspec import Struct


class LiteralNode(Struct, frozen=True):
    """A constant. `kind` is one of int, uint, double, string, bytes, bool, null."""

    kind: str
    value: int | float | str | bytes | bool | None


class NameNode(Struct, frozen=True):
    """A variable, or the name of a type."""

    name: str


class MemberNode(Struct, frozen=True):
    """`operand.field`, or with `test` the macro `has(operand.field)`."""

    operand: "Node"
    field: str
    test: bool = False


class IndexNode(Struct, frozen=True):
    """`operand[key]`."""

    operand: "Node"
    key: "Node"


class CallNode(Struct, frozen=True):
    """`name(args)` or `target.name(args)`; `at` is the offset of the name in the source."""

    name: str
    target: "Node | None"
    args: tuple["Node", ...]
    at: int


class UnaryNode(Struct, frozen=True):
    """`!operand` or `-operand`."""

    operator: str
    operand: "Node"


class BinaryNode(Struct, frozen=True):
    """Arithmetic, a comparison or `in`."""

    operator: str
    left: "Node"
    right: "Node"


class LogicNode(Struct, frozen=True):
    """`&&` or `||` between two parts or more."""

    operator: str
    parts: tuple["Node", ...]


class ChoiceNode(Struct, frozen=True):
    """`condition ? positive : negative`."""

    condition: "Node"
    positive: "Node"
    negative: "Node"


class ListNode(Struct, frozen=True):
    """`[items]`."""

    items: tuple["Node", ...]


class MapNode(Struct, frozen=True):
    """`{key: value}`."""

    entries: tuple[tuple["Node", "Node"], ...]


class MessageNode(Struct, frozen=True):
    """`Type{field: value}`, which the engine reads and never evaluates."""

    name: str


class MacroNode(Struct, frozen=True):
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
