"""The currency that a request names, as facts name it."""

from bq_server.api.call import Call
from bq_server.game.document.currencies import named
from bq_server.processing.compiled_games import Games
from bq_server.refusals import FieldError, Refusal
from bq_server.store.database import Database


async def known_currency(call: Call, database: Database, games: Games, code: str | None) -> str | None:
    """The game's currency of that code; None is the default, named or not. Raises `Refusal` for an unknown one."""
    if code is None:
        return None
    async with database.read() as connection:
        game = (await games.of(connection, call.scope)).game
    try:
        return named(game, code)
    except KeyError:
        known = ", ".join(each.code for each in game.currencies) or "no currencies"
        detail = f"is not a currency of the game, which has {known}"
        raise Refusal.of_fields([FieldError("currency", "unknown_currency", detail)]) from None
