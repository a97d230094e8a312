"""A game that was applied is compiled once, and is then what would be compiled from the store."""

from typing import Any

import pytest

from bq_server.game import compiled_game
from bq_server.game.document.definitions import Game
from bq_server.processing import compiled_games
from bq_server.processing.compiled_games import Games
from tests.support.played_world import SCOPE, START, World

pytestmark = pytest.mark.anyio
BOUGHT: dict[str, Any] = {"points": [{"code": "p", "on": "buy", "award": "1"}]}
BADGE = {"code": "b", "name": "B", "criteria": {"on": "buy", "target": 2}}
RECIPIENT = {"code": "to", "on": "buy", "award": "1", "award_to": "properties.friend"}


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Game]:
    """The games that were compiled from the store."""
    found: list[Game] = []
    compile_game = compiled_game.compile_game

    def noted(game: Game, *given: Any, **named: Any) -> Any:
        found.append(game)
        return compile_game(game, *given, **named)

    monkeypatch.setattr(compiled_games, "compile_game", noted)
    return found


async def test_its_first_event_finds_it_compiled(world: World, compiled: list[Game]) -> None:
    await world.apply(BOUGHT)
    compiled.clear()  # what was in force before
    await world.send(world.event("buy", "ada", START))
    assert compiled == []
    known = await in_force(world.games, world)
    fresh = await in_force(Games(), world)
    assert (known.game, known.places, known.pending) == (fresh.game, fresh.places, fresh.pending)
    assert {key: rule.applied_seq for key, rule in known.rules.items()} == {
        key: rule.applied_seq for key, rule in fresh.rules.items()
    }


@pytest.mark.parametrize("why", ["a refold", "a dry run", "another version", "somebody has received"])
async def test_what_the_store_makes_another_of_is_compiled_from_there(
    world: World, compiled: list[Game], why: str
) -> None:
    received = why == "somebody has received"
    await world.apply({"points": [*BOUGHT["points"], RECIPIENT]} if received else BOUGHT)
    await world.send(world.event("buy", "ada", START, friend="bob"))
    compiled.clear()
    game = Game.model_validate({**BOUGHT, "badges": [BADGE]})
    await world.game_changes.apply(SCOPE, game, backfill=why == "a refold", dry_run=why == "a dry run")
    if why == "another version":
        await world.game_changes.apply(SCOPE, Game.model_validate(BOUGHT))
    found = await in_force(world.games, world)
    fresh = await in_force(Games(), world)
    assert (found.game, found.pending, found.has_received) == (fresh.game, fresh.pending, fresh.has_received)
    assert (found.game == game) == (why in ("a refold", "somebody has received"))
    assert found.pending == (frozenset(["badge/b", "points/p"]) if why == "a refold" else frozenset())
    assert found.has_received == received


async def in_force(games: Games, world: World) -> Any:
    async with world.database.read() as connection:
        return await games.of(connection, SCOPE)
