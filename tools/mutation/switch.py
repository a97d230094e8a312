"""Inside a program that has every mutant: which of them are on, and what has been reached since the last switch.

The modules that `tools.mutation.switched` writes call `on`, `turned` and `chosen` at each site.
"""

import operator
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from tools.mutation.operators import MutationSite

SOCKET_VARIABLE = "MUTATION_SOCKET"
FIRST_VARIABLE = "MUTATION_FIRST"
"""The number of the mutant that is on from the start, for what is computed as modules are imported; empty for none."""
REACHED, DIFFERED = 1, 2
"""Of a site: its code ran; and with the mutant it would have come to something else, as far as can be told."""

_NUMBER = struct.Struct("!i")
_FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
    "is": operator.is_, "is not": operator.is_not, "+": operator.add, "-": operator.sub,
    "in": lambda one, many: one in many, "not in": lambda one, many: one not in many,
}  # fmt: skip
_SOMETIMES = frozenset({"<", "<=", ">", ">=", "+", "-"})
"""What a mutant doesn't always change. Only these are evaluated twice: `in` may use up what it looks through."""

_active = frozenset(map(int, os.environ.get(FIRST_VARIABLE, "").split()))
_state = bytearray()
_operators: list[tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any], bool]] = []


def prepare(sites: Sequence[MutationSite]) -> None:
    """Make room for these sites; each is called by its place in the list."""
    global _state
    _state = bytearray(len(sites))
    for site in sites:
        original, _, other = site.mistake.partition(" -> ")
        known = original in _FUNCTIONS
        pair = (_FUNCTIONS[original], _FUNCTIONS[other]) if known else (operator.is_, operator.is_)
        _operators.append((*pair, original in _SOMETIMES))


def on(number: int) -> bool:
    """Whether this mutant is on, where the code of both stands side by side."""
    _state[number] = DIFFERED
    return number in _active


def turned(number: int, condition: object) -> object:
    """A condition, or its opposite."""
    _state[number] = DIFFERED
    return not condition if number in _active else condition


def chosen(number: int, left: Any, right: Any) -> Any:
    """What the operator makes of two values, or the mistaken one."""
    original, other, sometimes = _operators[number]
    if number in _active:
        _state[number] = DIFFERED
        return other(left, right)
    found = original(left, right)
    if _state[number] != DIFFERED:
        _state[number] = REACHED if sometimes and _same(other, left, right, found) else DIFFERED
    return found


def _same(other: Callable[[Any, Any], Any], left: Any, right: Any, found: Any) -> bool:
    try:
        return bool(other(left, right) == found)
    except Exception:  # noqa: BLE001 - the mutant would have raised it
        return False


def obey() -> None:
    """Do as the tool says that listens at the socket: switch, and report what has been reached since the last time."""
    path = os.environ.get(SOCKET_VARIABLE)
    if path is not None:
        threading.Thread(target=_listen, args=(path,), daemon=True).start()


def switch(*numbers: int) -> bytes:
    """Have these mutants on, or none; returns a byte for each site, of what was reached since the last time."""
    global _active
    _active = frozenset(numbers)
    _forget()
    reached = bytes(_state)
    _state[:] = bytes(len(_state))
    return reached


def _listen(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as tool:
        tool.connect(path)
        while length := tool.recv(_NUMBER.size, socket.MSG_WAITALL):
            (count,) = _NUMBER.unpack(length)
            wanted = tool.recv(count * _NUMBER.size, socket.MSG_WAITALL) if count else b""
            tool.sendall(switch(*(number for (number,) in _NUMBER.iter_unpack(wanted))))


def _forget() -> None:
    """What was computed before may have come from another mutant."""
    for name, module in list(sys.modules.items()):
        if name.startswith("bq_server."):
            for each in list(vars(module).values()):
                if callable(clear := getattr(each, "cache_clear", None)):
                    clear()


def ask(program: socket.socket, numbers: Sequence[int], sites: int) -> bytes:
    """On the tool's side: switch a program over; returns a byte for each site, of what it reached before."""
    program.sendall(b"".join(map(_NUMBER.pack, (len(numbers), *numbers))))
    found = program.recv(sites, socket.MSG_WAITALL)
    if len(found) < sites:
        raise ConnectionError("the program has ended")
    return found
