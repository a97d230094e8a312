"""The most steps that an expression takes over one fact, determined without evaluating it.

The engine can't be interrupted, and holds the interpreter while it runs. So the cost is bounded beforehand, from the
expression and the sizes of the values it reads. Everything is rounded up; intermediate values are known only by their
sizes.
"""

from collections.abc import Callable, Mapping
from math import floor, log10
from typing import Any

from bq_server.game.expressions.nodes import (
    BinaryNode,
    CallNode,
    ChoiceNode,
    IndexNode,
    ListNode,
    LiteralNode,
    LogicNode,
    MacroNode,
    MapNode,
    MemberNode,
    MessageNode,
    NameNode,
    Node,
    UnaryNode,
    children,
)
from bq_server.game.expressions.patterns import pattern_cost

MAX_STEPS = 300_000
"""Most steps that one evaluation may take. A step was measured to take 55 ns at worst: 16 ms, of a slice of 20."""
MAX_NESTING = 4
"""Deepest nesting of macros over lists (`all`, `exists`, `map`, ...)."""

_UNBOUNDED = 10**15
"""The cost of what can't be bounded by sizes."""
_OVERHEAD = 1_500
"""Entering the engine, and leaving it with an error."""
_NODE = 3
_ROUND = 8
"""One iteration of a macro, beside its body."""
_HANDED = 75
"""Passing a text, a list, a map or a key to the engine, which tries one type after the other."""
_HANDED_NUMBER = 45
_TAKEN = 6
"""Returning a value."""
_BYTES = 32
"""Bytes of text copied in one step."""


class _Known:
    """A value of the fact itself. It is traversed once, however often the expression names it."""

    __slots__ = ("_item", "_members", "_weight", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self._weight: int | None = None
        self._item: int | None = None
        self._members: dict[str, _Known] = {}

    @property
    def weight(self) -> int:
        if self._weight is None:
            self._weight = weight(self.value)
        return self._weight

    @property
    def length(self) -> int:
        return len(self.value) if isinstance(self.value, list | Mapping) else 0

    @property
    def item(self) -> int:
        if self._item is None:
            match self.value:
                case list():
                    self._item = max(map(weight, self.value), default=0)
                case Mapping():
                    self._item = max(map(_text, self.value), default=0)
                case _:
                    self._item = 0
        return self._item

    def member(self, field: str) -> "_Known":
        known = self._members.get(field)
        if known is None:
            if not isinstance(self.value, Mapping) or field not in self.value:
                return _NOTHING
            known = self._members[field] = _Known(self.value[field])
        return known


class _Gathered:
    """A list that the expression creates: the steps of copying it, its number of items, the steps of the largest."""

    __slots__ = ("item", "length", "weight")

    def __init__(self, length: int, item: int) -> None:
        self.weight = min(2 + length * item, _UNBOUNDED)
        self.length = length
        self.item = item


_Size = int | _Known | _Gathered
"""What is known about a value: itself, or the most steps it takes to copy it. Nothing has more items than that."""
_NOTHING = _Known(None)
"""Stands for a value where the engine raises an error: what follows takes no longer with it."""


class _Meter:
    """Counts the steps of one expression over one fact."""

    __slots__ = ("names", "steps")

    def __init__(self, names: dict[str, _Size]) -> None:
        self.names = names
        self.steps = 0


_Estimate = Callable[[_Meter], _Size]


class Cost:
    """The cost of a compiled expression."""

    __slots__ = ("_estimate", "names")

    def __init__(self, tree: Node) -> None:
        self._estimate = _estimate(tree)
        self.names = properties_read(tree)
        """The properties that the expression reads, or none if it may read any."""

    def steps(self, properties: Mapping[str, Any], participant: Mapping[str, Any] | None = None, **texts: str) -> int:
        """The most steps over a fact with these properties, event name and so on.

        `participant` is what the expression reads of it, if anything. Or some number above `MAX_STEPS`, if
        passing what is read is already too much.
        """
        handed = _handing(only(properties, self.names))
        if participant is not None:
            handed += _handing(participant)
        if handed > MAX_STEPS:
            return handed
        meter = _Meter({"properties": _Known(properties), **{name: _text(text) for name, text in texts.items()}})
        if participant is not None:
            meter.names["participant"] = _Known(participant)
        size = _weight(self._estimate(meter))
        return min(_OVERHEAD + meter.steps + handed + _TAKEN * size, _UNBOUNDED)

    def least(self) -> int:
        """The steps it takes even for an event without properties."""
        return self.steps({})


def properties_read(tree: Node) -> tuple[str, ...] | None:
    """The names of the properties that an expression reads, sorted, or none if it may read any."""
    names: set[str] = set()
    waiting = [tree]
    while waiting:
        match waiting.pop():
            case (
                MemberNode(operand=NameNode(name="properties"), field=name)
                | IndexNode(operand=NameNode(name="properties"), key=LiteralNode(kind="string", value=str(name)))
            ):
                names.add(name)
            case NameNode(name="properties"):
                return None
            case node:
                waiting.extend(children(node))
    return tuple(sorted(names))


def only(properties: Mapping[str, Any], names: tuple[str, ...] | None) -> Mapping[str, Any]:
    """Those of these properties that exist."""
    return properties if names is None else {name: properties[name] for name in names if name in properties}


def weight(value: Any) -> int:
    """The steps of copying a JSON value. Stops counting once it is more than any expression may take."""
    total = 0
    waiting = [value]
    while waiting and total <= MAX_STEPS:
        here = waiting.pop()
        kind = type(here)
        if kind is str:
            total += _text(here)
        elif kind is list:
            total += 2
            waiting.extend(here)
        elif isinstance(here, Mapping):
            total += 4 + sum(3 + _text(key) for key in here)
            waiting.extend(here.values())
        else:
            total += 1
    return total


def _handing(value: Any) -> int:
    """The steps of passing a JSON value to the engine, which costs more than whatever it then does with most values."""
    total = 0
    waiting = [value]
    while waiting and total <= MAX_STEPS:
        here = waiting.pop()
        kind = type(here)
        if kind is str:
            total += _HANDED + 2 * _text(here)
        elif kind is bool or here is None:
            total += 5
        elif kind is list:
            total += _HANDED
            waiting.extend(here)
        elif isinstance(here, Mapping):
            total += _HANDED
            waiting.extend(here)
            waiting.extend(here.values())
        else:
            total += _HANDED_NUMBER
    return total


def said(steps: int) -> str:
    """A failure's message: rounded, because warnings with the same words are counted together."""
    if steps >= _UNBOUNDED:
        return f"the expression would take far too many steps; at most {MAX_STEPS:,} are allowed"
    unit = 10 ** floor(log10(steps))
    about = steps // unit * unit
    much = f"about {about:,}" if about > MAX_STEPS else f"more than {MAX_STEPS:,}"
    return f"the expression would take {much} steps over this event's values; at most {MAX_STEPS:,} are allowed"


def nesting(node: Node) -> int:
    """How deeply macros over lists are nested."""
    if isinstance(node, MacroNode):
        inner = max(nesting(each) for each in children(node) if each is not node.source)
        return max(1 + inner, nesting(node.source))
    return max((nesting(each) for each in children(node)), default=0)


def _text(text: str) -> int:
    return 2 + (len(text) if text.isascii() else 4 * len(text)) // _BYTES


def _weight(size: _Size) -> int:
    return size if isinstance(size, int) else size.weight


def _length(size: _Size) -> int:
    """Most iterations of a macro over a value."""
    return size if isinstance(size, int) else size.length


def _item(size: _Size) -> int:
    """The largest element that a macro visits: an item of a list, a key of a map."""
    return size if isinstance(size, int) else size.item


def _estimate(node: Node) -> _Estimate:
    """Compile the estimate of a node, which adds the steps to the meter and returns the size of the value."""
    match node:
        case LiteralNode(value=value):
            return _constant(value)
        case NameNode(name=name):
            return lambda meter: _spent(meter, _NODE, meter.names.get(name, _NOTHING))
        case MemberNode(operand=operand, field=field, test=test):
            return _member(_estimate(operand), field, test=test)
        case IndexNode(operand=operand, key=LiteralNode(kind="string", value=str(field))):
            return _member(_estimate(operand), field, test=False)
        case IndexNode():
            return _sum([_estimate(each) for each in children(node)], result=1)
        case BinaryNode(operator=operator):
            return _sum([_estimate(each) for each in children(node)], result=1 if operator == "+" else 0)
        case LogicNode() | UnaryNode():
            return _sum([_estimate(each) for each in children(node)], result=0)
        case ListNode(items=items):
            return _list([_estimate(each) for each in items])
        case MapNode():
            return _sum([_estimate(each) for each in children(node)], result=1, each=5)
        case ChoiceNode(condition=condition, positive=positive, negative=negative):
            return _choice(_estimate(condition), _estimate(positive), _estimate(negative))
        case CallNode(name="matches", target=target, args=args):
            return _match(_estimate(target) if target is not None else None, [_estimate(each) for each in args])
        case CallNode():
            # Bytes converted to text may become three times as long, a double converted to text 310 characters.
            return _sum([_estimate(each) for each in children(node)], result=3, each=12, copies=6)
        case MacroNode():
            return _macro(node)
        case MessageNode():
            return _constant(None)


def _spent(meter: _Meter, steps: int, size: _Size) -> _Size:
    meter.steps += steps
    return size


def _constant(value: Any) -> _Estimate:
    known = _Known(value) if isinstance(value, str) else 2 + len(value) // _BYTES if isinstance(value, bytes) else 1
    steps = _NODE + _weight(known) - 1
    return lambda meter: _spent(meter, steps, known)


def _member(operand: _Estimate, field: str, *, test: bool) -> _Estimate:
    def estimate(meter: _Meter) -> _Size:
        size = operand(meter)
        meter.steps += _NODE
        if test:
            return 1
        found = size.member(field) if isinstance(size, _Known) else _weight(size)
        # The engine copies what it selects.
        meter.steps += 2 * _weight(found)
        return found

    return estimate


def _sum(parts: list[_Estimate], *, result: int, each: int = 0, copies: int = 2) -> _Estimate:
    """A node that reads the whole of its parts `copies` times, and returns `result` times as much, or just a number.

    Reading a number or a boolean is included in the cost of the node.
    """

    def estimate(meter: _Meter) -> _Size:
        size = sum([_weight(part(meter)) - 1 + each for part in parts])
        meter.steps += _NODE + copies * size
        return 1 + result * size

    return estimate


def _list(parts: list[_Estimate]) -> _Estimate:
    def estimate(meter: _Meter) -> _Size:
        weights = [_weight(part(meter)) for part in parts]
        meter.steps += _NODE + 2 * sum(weights) + 2 * len(weights)
        return _Gathered(len(weights), max(weights, default=0))

    return estimate


def _choice(condition: _Estimate, positive: _Estimate, negative: _Estimate) -> _Estimate:
    def estimate(meter: _Meter) -> _Size:
        condition(meter)
        before = meter.steps
        size = _weight(positive(meter))
        first, meter.steps = meter.steps, before
        size = max(size, _weight(negative(meter)))
        meter.steps = max(first, meter.steps) + _NODE
        return size

    return estimate


def _match(target: _Estimate | None, args: list[_Estimate]) -> _Estimate:
    def estimate(meter: _Meter) -> _Size:
        text = target(meter) if target is not None else 0
        sizes = [each(meter) for each in args]
        pattern = sizes[-1] if sizes else 1
        if isinstance(pattern, int):
            # A computed one says nothing about itself, unless it isn't text at all.
            meter.steps += _UNBOUNDED if pattern > 1 else _NODE
        elif isinstance(pattern, _Known) and isinstance(pattern.value, str):
            cost = pattern_cost(pattern.value)
            meter.steps += cost.compiling + cost.each_character * _BYTES * _weight(text)
        return 1

    return estimate


def _macro(macro: MacroNode) -> _Estimate:
    source, body = _estimate(macro.source), _estimate(macro.body)
    condition = _estimate(macro.condition) if macro.condition is not None else None
    variable, kind = macro.variable, macro.kind

    def estimate(meter: _Meter) -> _Size:
        range_ = source(meter)
        rounds, item = _length(range_), _item(range_)
        outer = meter.names.get(variable)
        meter.names[variable] = item
        before, meter.steps = meter.steps, 0
        if condition is not None:
            condition(meter)
        size = _weight(body(meter))
        each = meter.steps + _ROUND + 2 * item
        if outer is None:
            del meter.names[variable]
        else:
            meter.names[variable] = outer
        meter.steps = min(before + rounds * each, _UNBOUNDED)
        if kind not in ("map", "filter"):
            return 1
        if kind == "filter":
            size = item
        # What was collected is copied in every iteration.
        meter.steps = min(meter.steps + rounds * (rounds + 1) * (size + 1), _UNBOUNDED)
        return _Gathered(rounds, size)

    return estimate
