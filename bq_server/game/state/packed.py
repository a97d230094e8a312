"""A participant's state as stored, and as the cells that the step uses.

What is stored is one JSON object: `cells`, by key; `scores`, for each window of each leaderboard its newest period;
`entries`, how many the points ledger has. Cells of which there may be any number are stored apart, and so are scores of
older periods.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from bq_server.game.state import keys
from bq_server.game.state.keys import Cell

APART = ("seen/", "past/", "who/", keys.TEAMS, keys.GROUPS)
"""The prefixes of the cells that are stored apart."""

SCORE = "score/"

State = dict[str, Any]


def new_state() -> State:
    """The state of an unknown participant."""
    return {"cells": {}, "scores": {}, "entries": 0}


def cells_of(state: State) -> dict[str, Cell]:
    """The cells of a state, including the newest scores."""
    cells = dict(state.get("cells", {}))
    for slot, (period, revision, score, at) in state.get("scores", {}).items():
        cells[f"{SCORE}{slot}/{period}"] = score_cell(revision, score, at)
    return cells


def score_cell(revision: str, score: int, at: int | None) -> Cell:
    """The cell of a score."""
    return {"rev": revision, "score": score, "at": at}


def slot_of(key: str) -> tuple[str, str]:
    """The slot of a score's cell, `<code>/<window>`, and its period."""
    slot, _, period = key.removeprefix(SCORE).rpartition("/")
    return slot, period


def change(state: State, changed: Mapping[str, Cell | None], known: Iterable[tuple[str, Cell]]) -> dict[str, Any]:
    """Apply changed cells to a state; returns those that are stored apart. None stands for a removed cell.

    `known` has the cells before, at least all scores of leaderboards of which some are removed.
    """
    apart: dict[str, Any] = {}
    cells = state.setdefault("cells", {})
    slots: set[str] = set()
    for key, cell in changed.items():
        if key.startswith(APART):
            apart[key] = cell
        elif key.startswith(SCORE):
            slots.add(slot_of(key)[0])
        elif cell is None:
            cells.pop(key, None)
        else:
            cells[key] = cell
    if slots:
        _keep_newest(state.setdefault("scores", {}), slots, {**dict(known), **changed})
    return apart


def _keep_newest(scores: dict[str, list[Any]], slots: set[str], cells: Mapping[str, Cell | None]) -> None:
    newest: dict[str, tuple[str, Cell]] = {}
    for key, cell in cells.items():
        if key.startswith(SCORE) and cell is not None:
            slot, period = slot_of(key)
            if slot in slots and (slot not in newest or newest[slot][0] < period):
                newest[slot] = (period, cell)
    for slot in slots:
        if slot in newest:
            period, cell = newest[slot]
            scores[slot] = [period, cell["rev"], cell["score"], cell["at"]]
        else:
            scores.pop(slot, None)
