"""The tails of courses, left as text: they are most of a participant's state, and a fact on time only appends to them.

A tail is `[[at, seq, [[part, amount], ...]], ...]`, see `ordered_quest.Course`; it is in a cell under `t`.
"""

from typing import Any

import orjson

from bq_server.exact_json import dumps, is_by_the_book, loads_own
from bq_server.game.mechanics import ordered_quest

State = dict[str, Any]

_NAME = '"t":['
_END = "]]]]"
"""The end of a tail that isn't empty; nothing within it ends this way."""
_EMPTY = "[]"
_BETWEEN = "]]],["
"""Between two entries."""
_SHORTEST = len("[0,0,[[0,1]]],")
"""The start of an entry."""


class Tail:
    """A tail as text."""

    __slots__ = ("text",)

    def __init__(self, text: str = _EMPTY) -> None:
        self.text = text

    def append(self, at: int, seq: int, kept: list[list[Any]]) -> None:
        """Add an entry."""
        entry = f"[{at},{seq},{dumps(kept)}]"
        self.text = f"{self.text[:-1]},{entry}]" if self.text != _EMPTY else f"[{entry}]"

    def newest(self) -> list[int] | None:
        """The moment of the newest entry, as `[at, seq]`."""
        text = self.text
        if text == _EMPTY:
            return None
        before = text.rfind(_BETWEEN)
        start = 2 if before < 0 else before + len(_BETWEEN)
        comma = text.index(",", start)
        return [int(text[start:comma]), int(text[comma + 1 : text.index(",", comma + 1)])]

    def is_long(self, now: int) -> bool:
        """Whether it has grown so long that as much as it should contain can be compacted at once."""
        text, most = self.text, ordered_quest.TAIL
        if len(text) < 2 * most * _SHORTEST:
            return False
        count = text.count(_BETWEEN) + 1
        if count >= ordered_quest.MAX_TAIL:
            return True
        return count >= 2 * most and bool(self.entries()[most - 1][0] < now - ordered_quest.LATENESS)

    def entries(self) -> list[list[Any]]:
        """What it says."""
        found: list[list[Any]] = loads_own(self.text)
        return found


def load(text: str) -> State:
    """A participant's state from its JSON. Tails are left as text, except those that only the slow reader can read."""
    start = text.find(_NAME)
    if start < 0 or is_by_the_book(text):
        return loads_own(text)  # type: ignore[no-any-return]
    rest: list[str] = []
    tails: list[str] = []
    done = 0
    while start >= 0:
        start += len(_NAME) - 1
        end = start + len(_EMPTY) if text.startswith(_EMPTY, start) else text.find(_END, start) + len(_END)
        if end < start:
            break
        if "{" in text[start:end]:  # it goes on into another cell, so it isn't one
            return loads_own(text)  # type: ignore[no-any-return]
        # The tail's index stands in for it.
        rest += (text[done:start], str(len(tails)))
        tails.append(text[start:end])
        done = end
        start = text.find(_NAME, end)
    rest.append(text[done:])
    try:
        state: State = orjson.loads("".join(rest))
        cells = [cell for cell in state["cells"].values() if type(cell) is dict and type(cell.get("t")) is int]
        if [cell["t"] for cell in cells] == [*range(len(tails))]:
            for cell, tail in zip(cells, tails, strict=True):
                cell["t"] = Tail(tail)
            return state
    except (ValueError, TypeError, LookupError, AttributeError):
        pass
    # Something else looked like a tail.
    return loads_own(text)  # type: ignore[no-any-return]


def dump(state: State) -> str:
    """A state as JSON, with tails written as they are."""
    try:
        return orjson.dumps(state, _written).decode()
    except TypeError:
        # What only the slow writer can write: see `exact_json`.
        for cell in state["cells"].values():
            if type(cell) is dict and type(tail := cell.get("t")) is Tail:
                cell["t"] = tail.entries()
        return dumps(state)


def _written(value: Any) -> Any:
    if type(value) is not Tail:
        raise TypeError(f"a {type(value).__name__} isn't JSON")
    return orjson.Fragment(value.text)
