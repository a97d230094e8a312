"""What a regular expression costs the engine, which compiles it on every evaluation.

Matching is linear in the text. Compiling isn't cheap: a class of Unicode letters takes half a millisecond, and a
counted repetition multiplies that. The figures are in the steps of `costs`, measured with the engine.
"""

import re

from msgspec import Struct

_BASE = 2_500
"""Compiling anything at all, with the first class of its kind."""
_EACH = 2
"""Comparing one character with one character of the pattern, at worst."""
_CHARACTER = 40
_CLASS = 250
_DIGITS = 2_000
"""A class such as `\\d`, `\\s`, or of characters beyond ASCII, or a character compared ignoring case."""
_OTHERS = 6_000
"""`\\D` and `\\S`."""
_LETTERS = 14_000
"""A class with a large table: `\\w`, `\\W`, `\\p{…}`, `\\P{…}`."""

_PART = re.compile(
    r"""(?P<letters>\\[wWbB]|\\[pP](?:\{[^}]*\}|.)?)
    |(?P<others>\\[DS])
    |(?P<digits>\\[ds])
    |(?P<escape>\\x\{[^}]*\}|\\.)
    |(?P<open>\((?:\?(?P<flags>[A-Za-z-]+)?(?:P?<[^>]*>|:)?)?)
    |(?P<close>\))
    |(?P<class>\[\^?\]?)
    |(?P<times>\{\s*(?P<least>\d+)\s*(?:,\s*(?P<most>\d*)\s*)?\})
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_IN_CLASS = re.compile(
    r"(?P<letters>\\[wWpPbBDS])|(?P<digits>\\[dsxuU]|[^\x00-\x7f])|\\.|(?P<open>\[)|(?P<close>\])|.", re.DOTALL
)


class PatternCost(Struct, frozen=True):
    """Steps to compile a pattern, and to match one character of a text with it."""

    compiling: int
    each_character: int


def pattern_cost(pattern: str) -> PatternCost:
    """An upper bound, for any text; a pattern that is not valid costs no more than a valid one."""
    without_case = re.search(r"\(\?[A-Za-z]*i", pattern) is not None
    single = _DIGITS if without_case else _CHARACTER
    groups: list[tuple[int, int]] = []
    steps, size = 0, 0
    # The part that a following repetition repeats.
    last, last_size = 0, 0
    at = 0
    while found := _PART.match(pattern, at):
        at = found.end()
        if found["open"]:
            groups.append((steps, size))
            steps, size, last, last_size = 0, 0, 0, 0
        elif found["close"] and groups:
            last, last_size = steps, size
            outer, outer_size = groups.pop()
            steps, size = outer + last, outer_size + last_size
        elif found["times"]:
            more = max(int(found["least"]), int(found["most"] or 0), 1) - 1
            steps, size = steps + last * more, size + last_size * more
            last, last_size = last * (more + 1), last_size * (more + 1)
        else:
            last, last_size = single, 1
            if found["letters"]:
                last = _LETTERS
            elif found["others"]:
                last = _OTHERS
            elif found["digits"]:
                last = _DIGITS
            elif found["class"]:
                last, at = _class_cost(pattern, at, without_case=without_case)
            elif found[0] == "." or not found[0].isascii():
                last = max(_CLASS, single)
            steps, size = steps + last, size + last_size
    for outer, outer_size in groups:
        steps, size = steps + outer, size + outer_size
    return PatternCost(_BASE + steps, _EACH * (1 + size))


def _class_cost(pattern: str, at: int, *, without_case: bool) -> tuple[int, int]:
    """The steps of a class in brackets, and where it ends."""
    steps, depth = _DIGITS if without_case else _CLASS, 1
    while depth and (found := _IN_CLASS.match(pattern, at)):
        at = found.end()
        if found["letters"]:
            steps += _LETTERS
        elif found["digits"]:
            steps += _DIGITS
        elif found["open"]:
            depth += 1
        elif found["close"]:
            depth -= 1
    return steps, at
