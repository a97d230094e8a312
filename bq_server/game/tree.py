"""The nodes of a CEL expression, as `bq_server.game.syntax` reads them."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant. `kind` is one of int, uint, double, string, bytes, bool, null."""

    kind: str
    value: int | float | str | bytes | bool | None


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, or the name of a type."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`operand.field`, or with `test` the macro `has(operand.field)`."""

    operand: "Node"
    field: str
    test: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """`operand[key]`."""

    operand: "Node"
    key: "Node"


@dataclass(frozen=True, slots=True)
class Call:
    """`name(args)` or `target.name(args)`; `at` is the offset of the name in the source."""

    name: str
    target: "Node | None"
    args: tuple["Node", ...]
    at: int


@dataclass(frozen=True, slots=True)
class Unary:
    """`!operand` or `-operand`."""

    operator: str
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic, a comparison or `in`."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Logic:
    """`&&` or `||` between two parts or more."""

    operator: str
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """`condition ? positive : negative`."""

    condition: "Node"
    positive: "Node"
    negative: "Node"


@dataclass(frozen=True, slots=True)
class ListOf:
    """`[items]`."""

    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class MapOf:
    """`{key: value}`."""

    entries: tuple[tuple["Node", "Node"], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """`Type{field: value}`, which the engine reads and never evaluates."""

    name: str


@dataclass(frozen=True, slots=True)
class Macro:
    """`source.kind(variable, body)`; of `map` with three arguments, the second is `condition`."""

    kind: str
    source: "Node"
    variable: str
    body: "Node"
    condition: "Node | None" = None


Node = Literal | Name | Member | Index | Call | Unary | Binary | Logic | Choice | ListOf | MapOf | Message | Macro


def children(node: Node) -> Iterator[Node]:
    """The nodes directly within one."""
    match node:
        case Member(operand=operand) | Unary(operand=operand):
            yield operand
        case Index(operand=operand, key=key):
            yield from (operand, key)
        case Call(target=target, args=args):
            if target is not None:
                yield target
            yield from args
        case Binary(left=left, right=right):
            yield from (left, right)
        case Logic(parts=parts) | ListOf(items=parts):
            yield from parts
        case Choice(condition=condition, positive=positive, negative=negative):
            yield from (condition, positive, negative)
        case MapOf(entries=entries):
            for key, value in entries:
                yield from (key, value)
        case Macro(source=source, body=body, condition=wanted):
            yield from (source, body) if wanted is None else (source, wanted, body)
        case _:
            return


def walk(node: Node) -> Iterator[Node]:
    """A node and all within it."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        yield here
        waiting.extend(children(here))
