"""The games the benchmarks play, as documents."""

from typing import Any

from loadtests.processing_cost.games import game_of

GAMES = {"none": 0, "ten": 10, "twenty": 20, "hundred": 100}
"""Definitions in the games that can be chosen by name; ten of them listen to the event."""


def document(definitions: int) -> dict[str, Any]:
    """A game with a number of definitions, including every mechanic, as the API accepts it."""
    found: dict[str, Any] = game_of(definitions).model_dump(mode="json", by_alias=True, exclude_unset=True)
    return found
