"""Expected and actual values, side by side."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

TOLERANCE = 4e-7
"""The game counts in millionths: smaller differences are rounding, such as 0.333333 for a third."""
_WIDEST = 60


class ExpectationDifference(Struct, frozen=True):
    """A value that isn't as expected."""

    what: str
    """Its path: `challenges.spring.status`."""
    expected: Any
    actual: Any


def same(expected: Any, actual: Any) -> bool:
    """Whether two JSON values are equal, numbers except for rounding; true isn't 1."""
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, float | int) and isinstance(actual, float | int):
        return math.isclose(expected, actual, rel_tol=0.0, abs_tol=TOLERANCE)
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        return expected.keys() == actual.keys() and all(same(expected[key], actual[key]) for key in expected)
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(same, expected, actual))
    return bool(expected == actual)


def holds(part: Any, whole: Any) -> bool:
    """Whether everything in `part` is in `whole`: the named keys of mappings, and everything else completely."""
    if isinstance(part, Mapping) and isinstance(whole, Mapping):
        return all(key in whole and holds(value, whole[key]) for key, value in part.items())
    return same(part, whole)


def unmatched(parts: Sequence[Any], wholes: Sequence[Any]) -> list[Any]:
    """The parts without a matching whole, if each whole matches at most one part and as many as possible match."""
    served: dict[int, int] = {}

    def serve(part: int, tried: set[int]) -> bool:
        for whole, candidate in enumerate(wholes):
            if whole not in tried and holds(parts[part], candidate):
                tried.add(whole)
                if whole not in served or serve(served[whole], tried):
                    served[whole] = part
                    return True
        return False

    return [each for part, each in enumerate(parts) if not serve(part, set())]


def differ(what: str, expected: Any, actual: Any) -> Iterator[ExpectationDifference]:
    """The single difference of two values, if they aren't equal."""
    if not same(expected, actual):
        yield ExpectationDifference(what, expected, actual)


def compare(what: str, expected: Any, actual: Any) -> Iterator[ExpectationDifference]:
    """Where two JSON values differ, as deep inside as possible."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for key in dict.fromkeys((*expected, *actual)):
            yield from compare(f"{what}.{key}" if what else str(key), expected.get(key), actual.get(key))
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
            yield from compare(f"{what}[{index}]", one, other)
    else:
        yield from differ(what, expected, actual)


def written(value: Any) -> str:
    """A value in short form: JSON, but without quotes around unambiguous text."""
    if isinstance(value, str) and value.strip() == value and value and value not in ("null", "true", "false"):
        return value
    return json.dumps(value, ensure_ascii=False)


def table(differences: Iterable[ExpectationDifference], left: str = "expected", right: str = "actual") -> list[str]:
    """Lines of three columns, under a heading. Values too wide for that are placed below each other."""
    rows = [(each.what, written(each.expected), written(each.actual)) for each in differences]
    what_width = max((len(what) for what, _, _ in rows), default=0)
    narrow = [row for row in rows if len(row[1]) <= _WIDEST]
    width = max((len(left), *(len(expected) for _, expected, _ in narrow)))
    label = max(len(left), len(right))
    lines = [f"{'':{what_width}}  {left:{width}}  {right}"] if narrow else []
    for what, expected, actual in rows:
        if len(expected) <= _WIDEST:
            lines.append(f"{what:{what_width}}  {expected:{width}}  {actual}")
        else:
            lines += [what, f"  {left:{label}}  {expected}", f"  {right:{label}}  {actual}"]
    return lines
