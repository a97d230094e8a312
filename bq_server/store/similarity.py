"""Names that are likely one name with a slip of the pen, found by an index and not by comparing pairs."""

import re

SHORTEST = 4
"""Characters; below this nearly every name is close to another."""

_SEPARATORS = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")


def plain(name: str) -> str:
    """A name without case and separators."""
    return _SEPARATORS.sub("", name.casefold())


def form(text: str) -> str:
    """A plain name without what its digits are: names made of data, by the thousand, mostly have one form."""
    return _DIGITS.sub("#", text)


def variants(of: str) -> set[str]:
    """What a form shares with every form that is close to it: itself, and it without one character, and without two."""
    return {of, of[:-2]} | {of[:i] + of[i + 1 :] for i in range(len(of))}


def are_close(one: str, other: str) -> bool:
    """Whether two plain names are close.

    So they are when one becomes the other by leaving out at most two characters of each (one letter wrong, missing,
    doubled or swapped, or an ending like -ed), and when they don't differ in digits alone (`level_1` and `level_2` are
    two names).
    """
    if one == other:
        return True
    return form(one) != form(other) and not _shortened(one).isdisjoint(_shortened(other))


def _shortened(text: str) -> set[str]:
    """The text, and it without one character, and without two where it is long enough to stay itself."""
    once = {text[:i] + text[i + 1 :] for i in range(len(text))} if len(text) > SHORTEST else set()
    ended = {text[:-2]} if len(text) > 2 * SHORTEST else set()
    return {text} | once | ended
