"""Points that have expired and that nobody has looked at since."""

from typing import Any

import pytest

from bq_server.clock import Clocks
from bq_server.game.facts import FREEZE_BOUGHT, POINTS_DEDUCTED
from bq_server.processing.compiled_games import Games
from bq_server.processing.guards import InsufficientPoints, enough_points, freeze_for_sale
from bq_server.processing.hooks import Guard
from bq_server.processing.points_expiry import PointsExpirer
from tests.support.played_world import GAME, SCOPE, START, World

SELLING: dict[str, Any] = {
    **GAME,
    "points_expire": {"after": "P30D"},
    "streaks": [{"code": "daily", "on": "login", "freezes": {"max": 1, "price": 30}}],
}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fact_type", "properties", "guard"),
    [
        (POINTS_DEDUCTED, {"amount": 30, "reason": None}, enough_points(30)),
        (FREEZE_BOUGHT, {"streak_code": "daily", "price": 30}, freeze_for_sale("daily", 30)),
    ],
)
async def test_they_buy_nothing(world: World, fact_type: str, properties: dict[str, Any], guard: Guard) -> None:
    await world.apply(SELLING)
    await world.send(world.event("login", "zed", START), world.event("bought", "zed", START, amount=50))
    expirer = PointsExpirer(world.database, Games(), Clocks(world.clock), world.processor, world.ids)
    spent = world.event(fact_type, "zed", world.clock(), **properties)._replace(system_type=fact_type)
    with pytest.raises(InsufficientPoints):
        await world.processor.process_guarded(spent, guard, look=expirer.before_spending(SCOPE, "zed"))
    await world.processor.process_guarded(spent, guard)  # as they would otherwise
