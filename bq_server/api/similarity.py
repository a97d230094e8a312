"""Names that are probably typos of one another."""

import re
from collections import defaultdict
from collections.abc import Mapping

SHORTEST = 4
"""Characters; below this nearly every name is close to another."""

_SEPARATORS = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")


def similar_names(counts: Mapping[str, int]) -> dict[str, list[str]]:
    """For each name the others that are close to it, the commonest first, given how often each was seen.

    Two names are close when, without case and separators, one becomes the other by leaving out at most two
    characters of each (so by one letter wrong, missing, doubled or swapped, or an ending like -ed), and when they
    don't differ in digits alone (`level_1` and `level_2` are two names). The work grows with the number of names,
    not with their pairs.
    """
    groups: defaultdict[str, set[str]] = defaultdict(set)
    plain = {name: _SEPARATORS.sub("", name.casefold()) for name in counts}
    for name, text in plain.items():
        for variant in _shortened(text):
            groups[variant].add(name)
    close: dict[str, list[str]] = {}
    for name, text in plain.items():
        found = {other for variant in _shortened(text) for other in groups[variant]} - {name}
        others = [other for other in found if not _differ_in_digits_alone(text, plain[other])]
        close[name] = sorted(others, key=lambda other: (-counts[other], other))
    return close


def _shortened(text: str) -> set[str]:
    """The text, and it without one character, and without two where it is long enough to stay itself."""
    once = {text[:i] + text[i + 1 :] for i in range(len(text))} if len(text) > SHORTEST else set()
    ended = {text[:-2]} if len(text) > 2 * SHORTEST else set()
    return {text} | once | ended


def _differ_in_digits_alone(one: str, other: str) -> bool:
    return one != other and _DIGITS.sub("#", one) == _DIGITS.sub("#", other)
