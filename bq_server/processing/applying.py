"""Applying a game: what a new document changes, since when its definitions count, and what is computed anew."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel

from bq_server.events import Scope
from bq_server.game.compiled import CompiledGame, compile_game
from bq_server.game.definitions import Game
from bq_server.ids import IdSource
from bq_server.processing.games import Games
from bq_server.store import facts, games, participants
from bq_server.store.database import Connection

KINDS = {
    "points": "points",
    "badges": "badge",
    "challenges": "challenge",
    "streaks": "streak",
    "tiers": "tier",
    "leaderboards": "leaderboard",
}
"""The sections of the document and the kinds of their definitions."""


@dataclass(frozen=True, slots=True)
class ApplyPlan:
    """What applying a game does, definition by definition (`<kind>/<code>`)."""

    added: list[str]
    changed: list[str]
    """Also those that are the same but will now count all stored facts."""
    removed: list[str]
    unchanged: int
    recomputed: list[str]
    """Definitions that are computed anew, in the background, for every participant."""
    participants_affected: int
    """How many participants have a fact that a changed, removed or backfilled definition listens to."""


def definitions_of(game: Game) -> dict[str, BaseModel]:
    """Every definition of a game by its key."""
    return {f"{kind}/{each.code}": each for section, kind in KINDS.items() for each in getattr(game, section)}


async def apply(
    connection: Connection, scope: Scope, new: Game, known: Games, *, backfill: bool, ids: IdSource, now: int
) -> ApplyPlan:
    """Put a game in force inside a transaction, and begin the refold it needs; answer what that changes.

    A definition counts the facts made since it was first applied; with `backfill`, all. What was awarded stays.
    """
    old = await known.of(connection, scope)
    applied = await games.applied(connection, scope)
    newest = await facts.last_seq(connection)
    before, after = definitions_of(old.game), definitions_of(new)
    added = [key for key in after if key not in before]
    removed = [key for key in before if key not in after]
    changed = [
        key for key in after if key in before and (after[key] != before[key] or (backfill and applied.get(key, 0) > 0))
    ]
    counts = {key: 0 if backfill else applied.get(key, newest) for key in after}
    compiled = compile_game(new, counts)
    anew = [key for key in (*changed, *(added if backfill else ())) if key in compiled.rules or key.startswith("tier/")]
    recomputed = anew if newest else []
    plan = ApplyPlan(
        added,
        changed,
        removed,
        len(after) - len(added) - len(changed),
        recomputed,
        await participants.count_listeners(
            connection, scope, [*_listening(compiled, anew, counts), *_listening(old, removed, applied)]
        ),
    )
    await games.put(connection, scope, new.model_dump_json(exclude_defaults=True), counts, removed, now)
    await games.forget_warnings(connection, scope, changed)
    if recomputed:
        total = await participants.count(connection, scope)
        await games.add_refold(connection, scope, ids.new("refold"), recomputed, total, now)
    return plan


def _listening(game: CompiledGame, keys: Iterable[str], counts: dict[str, int]) -> list[tuple[str, int]]:
    return [
        (fact_type, counts.get(key, 0)) for key in keys if key in game.rules for fact_type in game.rules[key].fact_types
    ]


def document_of(game: Game) -> dict[str, object]:
    """A game as plain JSON data, without what it leaves at its default."""
    found: dict[str, object] = json.loads(game.model_dump_json(exclude_defaults=True))
    return found
