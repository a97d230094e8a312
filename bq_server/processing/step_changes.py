"""What a general step has changed, as the store is given it: states, entries of the ledger, places and effects."""

from collections.abc import Set

from msgspec import Struct, field

from bq_server.causes import pack_cause
from bq_server.exact_json import dumps
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.effects import Explanation, PackedEffect, PointsChanged, packed
from bq_server.game.state.keys import HIDDEN, Cells, is_hidden
from bq_server.game.state.packed import cells_of, change
from bq_server.game.step import StepResult, board_score
from bq_server.game.verification import owner
from bq_server.ids import IdSource
from bq_server.processing.step_run import StepRun
from bq_server.processing.team_changes import note_team_scores
from bq_server.store.batch import Changes, NewEntry


class Played(Struct):
    """What facts caused, by fact id, and why definitions did or didn't apply to them."""

    effects: dict[str, list[PackedEffect]] = field(default_factory=dict)
    received: dict[tuple[str, str], list[PackedEffect]] = field(default_factory=dict)
    """What they caused for others than their own participants, by recipient and fact id."""
    explanations: list[Explanation] = field(default_factory=list)


def take_step(
    game: CompiledGame, ids: IdSource, changes: Changes, run: StepRun, result: StepResult, played: Played
) -> None:
    """Add what a step has changed to the changes, and what it caused to what was played."""
    moments = run.moments
    paid: dict[str, list[PointsChanged]] = {}
    for effect in result.effects:
        if effect.fact_id in moments:
            own = packed(effect, moments[effect.fact_id].at)
            if (key := (effect.participant_id, effect.fact_id)) in run.received:
                played.received.setdefault(key, []).append(own)
            else:
                played.effects.setdefault(effect.fact_id, []).append(own)
            changes.caused.append((effect.participant_id, effect.fact_id, moments[effect.fact_id].at, [own]))
        if isinstance(effect, PointsChanged):
            paid.setdefault(effect.participant_id, []).append(effect)
    for participant_id in {**result.cells, **paid}:
        state = run.states[participant_id]
        changed = result.cells.get(participant_id, {})
        apart = change(state, changed, run.known[participant_id].items())
        if apart:
            changes.cells[participant_id] = apart
        own_paid = paid.get(participant_id, ())
        for transaction_id, effect in zip(ids.new_packed(len(own_paid)), own_paid, strict=True):
            state["entries"] = state.get("entries", 0) + 1
            changes.entries.append(
                NewEntry(
                    participant_id,
                    state["entries"],
                    transaction_id,
                    pack_cause(effect.cause, effect.fact_id),
                    effect.amount,
                    effect.balance,
                    moments[effect.fact_id].seq,
                    effect.occurred_at,
                )
            )
        changes.states[participant_id] = dumps(state)
        if is_hidden(state["cells"]):
            changes.hidden.add(participant_id)
        note_team_scores(changes, game, participant_id, changed, run.known[participant_id])
        if HIDDEN in changed:
            changes.moved.add(participant_id)
            _place_all(game, changes, participant_id, cells_of(state))
    for each in result.board_scores:
        place = (each.score, each.reached_at, each.exact)
        changes.place((each.board, each.window, each.period), each.participant_id, place)


def place_again(game: CompiledGame, changes: Changes, run: StepRun, result: StepResult, definitions: Set[str]) -> None:
    """Note places that are what they were: rankings of a definition that was gone meanwhile have none."""
    for participant_id, known in run.known.items():
        moved = result.cells.get(participant_id, {})
        same = {key: cell for key, cell in known.items() if key not in moved and owner(key) in definitions}
        if same:
            changes.counts.setdefault(participant_id, 0)
            if is_hidden(run.states[participant_id]["cells"]):
                changes.hidden.add(participant_id)
            _place_all(game, changes, participant_id, same)


def _place_all(game: CompiledGame, changes: Changes, participant_id: str, cells: Cells) -> None:
    """Note the newest places: whoever is told of ranks looks where any has changed."""
    for key, cell in cells.items():
        found = board_score(game, participant_id, key, cell)
        if found is not None and found.score is not None and found.board in game.rules:
            place = (found.score, found.reached_at, found.exact)
            changes.place((found.board, found.window, found.period), participant_id, place)
