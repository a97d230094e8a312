"""Hypothesis' strategies, each made once for the same arguments.

A composite that draws from `st.sampled_from([1, 2])` makes that strategy for every example, and Hypothesis checks and
labels every one that is made, which takes longer than drawing from it.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from hypothesis import strategies
from hypothesis.strategies import DrawFn, SearchStrategy, booleans, builds, fixed_dictionaries, just, none, one_of

__all__ = [
    "DrawFn",
    "SearchStrategy",
    "booleans",
    "builds",
    "composite",
    "fixed_dictionaries",
    "integers",
    "just",
    "lists",
    "none",
    "one_of",
    "sampled_from",
    "sets",
    "tuples",
]

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
T = TypeVar("T")


def _kept(make: F) -> F:
    made: dict[Any, Any] = {}

    @wraps(make)
    def of(*arguments: Any, **options: Any) -> Any:
        key = _key(arguments), _key([*options.items()])
        try:
            found = made.get(key)
        except TypeError:  # examples share what is kept, so nothing that one of them could change is
            return make(*arguments, **options)
        if found is None:
            found = made[key] = make(*arguments, **options)
        return found

    return cast("F", of)


def _key(value: Any) -> Any:
    """What is equal for equal arguments of the same types."""
    return tuple(map(_key, value)) if isinstance(value, (list, tuple)) else (type(value), value)


sampled_from = _kept(strategies.sampled_from)
integers = _kept(strategies.integers)
lists = _kept(strategies.lists)
sets = _kept(strategies.sets)
tuples = _kept(strategies.tuples)


def composite(make: Callable[Concatenate[DrawFn, P], T]) -> Callable[P, SearchStrategy[T]]:
    """As Hypothesis' own."""
    return _kept(strategies.composite(make))
