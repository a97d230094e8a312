"""Names that are likely misspellings of each other, found by an index instead of comparing pairs."""

import re

SHORTEST = 4
"""Characters; below this, nearly every name is similar to another."""

_SEPARATORS = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")


def plain(name: str) -> str:
    """A name without case and separators."""
    return _SEPARATORS.sub("", name.casefold())


def form(text: str) -> str:
    """A plain name without the values of its digits: names made from data, by the thousand, mostly share one form."""
    return _DIGITS.sub("#", text)


def variants(of: str) -> set[str]:
    """What a form shares with every similar form: the form itself, without one character, and without two."""
    return {of, of[:-2]} | {of[:i] + of[i + 1 :] for i in range(len(of))}


def are_close(one: str, other: str) -> bool:
    """Whether two plain names are similar.

    They are if leaving out at most two characters of each makes them equal (one letter wrong, missing, doubled or
    swapped, or an ending like -ed), unless they only differ in digits (`level_1` and `level_2` are two names).
    """
    if one == other:
        return True
    return form(one) != form(other) and not _shortened(one).isdisjoint(_shortened(other))


def _shortened(text: str) -> set[str]:
    """The text, without one character, and without two if it is long enough to remain distinctive."""
    once = {text[:i] + text[i + 1 :] for i in range(len(text))} if len(text) > SHORTEST else set()
    ended = {text[:-2]} if len(text) > 2 * SHORTEST else set()
    return {text} | once | ended
