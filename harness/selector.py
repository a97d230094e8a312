"""Selecting scenarios by an expression such as `streak and not (dst or tokyo)`."""

import re
from collections.abc import Callable

Test = Callable[[str], bool]

_PART = re.compile(r"\s*([()]|[^\s()]+)")


def selector(expression: str) -> Test:
    """A test of whether a text matches an expression: words, in any case, with and, or, not and parentheses.

    Raises `ValueError` with a sentence if it isn't an expression.
    """
    parts = _PART.findall(expression)
    test, rest = _either(parts)
    if rest:
        raise ValueError(f"didn't expect {rest[0]}")
    return lambda text: test(text.casefold())


def _either(parts: list[str]) -> tuple[Test, list[str]]:
    left, rest = _both(parts)
    while rest and rest[0].casefold() == "or":
        right, rest = _both(rest[1:])
        left = _joined(left, right, any)
    return left, rest


def _both(parts: list[str]) -> tuple[Test, list[str]]:
    left, rest = _one(parts)
    while rest and rest[0].casefold() == "and":
        right, rest = _one(rest[1:])
        left = _joined(left, right, all)
    return left, rest


def _joined(left: Test, right: Test, how: Callable[[list[bool]], bool]) -> Test:
    return lambda text: how([left(text), right(text)])


def _one(parts: list[str]) -> tuple[Test, list[str]]:
    if not parts:
        raise ValueError("ends too early")
    word, rest = parts[0].casefold(), parts[1:]
    if word == "not":
        inner, rest = _one(rest)
        return lambda text: not inner(text), rest
    if word == "(":
        inner, rest = _either(rest)
        if not rest or rest[0] != ")":
            raise ValueError("a parenthesis is not closed")
        return inner, rest[1:]
    if word in (")", "and", "or"):
        raise ValueError(f"didn't expect {word}")
    return lambda text: word in text, rest
