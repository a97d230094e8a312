"""A database with a game and a history, and no server: every mechanic, played by five participants."""

import json
import random
from itertools import count
from pathlib import Path
from typing import Any

from bq_server.audit.rebuild import Rebuilder
from bq_server.audit.verification import Verifier
from bq_server.clock import Clocks
from bq_server.events import Event, Scope
from bq_server.game.document.definitions import Game
from bq_server.ids import IdSource
from bq_server.moments import HOUR, parse_timestamp
from bq_server.processing.compiled_games import Games
from bq_server.processing.game_changes import GameChanges
from bq_server.processing.processor import Processor
from bq_server.processing.refold_job import RefoldJob
from bq_server.store.database import Database
from tests.support import legible

SCOPE, OTHER = Scope("default", "test"), Scope("default", "live")
START = parse_timestamp("2026-03-02T00:00:00Z")
NOW = parse_timestamp("2026-05-01T00:00:00Z")
HANDS = "u0"
"""Everything that can be done by hand was done to this participant."""

GAME: dict[str, Any] = {
    "points": [{"code": "spend", "on": "bought", "when": "has(properties.amount)", "award": "properties.amount"}],
    "badges": [
        {"code": "first", "name": "First", "criteria": {"on": "bought", "aggregate": "count", "target": 1}},
        {
            "code": "shopper",
            "name": "Shopper",
            "criteria": {"on": "bought", "aggregate": "distinct", "of": "properties.shop", "target": 40},
        },
        {"code": "champion", "name": "Champion"},
        {"code": "loyal", "name": "Loyal"},
    ],
    "challenges": [
        {
            "code": "spring",
            "name": "Spring",
            "objectives": [
                {"code": "spend", "on": "bought", "aggregate": "sum", "of": "properties.amount", "target": 40},
                {"code": "often", "on": "bought", "aggregate": "count", "target": 3},
            ],
            "milestones": [{"at": 0.5, "rewards": [{"points": 50}]}],
            "rewards": [{"points": 500}, {"badge": "champion"}],
        },
        {
            "code": "steps",
            "name": "Steps",
            "objectives": [
                {"code": "visit", "on": "login", "aggregate": "count", "target": 2},
                {"code": "buy", "on": "bought", "aggregate": "count", "target": 900, "prerequisites": ["visit"]},
            ],
        },
        {
            "code": "sprint",
            "name": "Sprint",
            "enrolment": "explicit",
            "duration": {"type": "rolling", "days": 5},
            "objectives": [{"code": "buy", "on": "bought", "aggregate": "count", "target": 2}],
            "rewards": [{"points": 20}],
        },
    ],
    "streaks": [
        {
            "code": "daily",
            "on": "login",
            "milestones": [{"at": 2, "rewards": [{"points": 10}]}, {"at": 3, "rewards": [{"badge": "loyal"}]}],
        }
    ],
    "tiers": [
        {"code": "bronze", "name": "Bronze", "level": 1, "min_points": 0},
        {"code": "gold", "name": "Gold", "level": 3, "min_points": 400},
    ],
    "leaderboards": [
        {
            "code": "spenders",
            "name": "Spenders",
            "metric": {"on": "bought", "aggregate": "sum", "of": "properties.amount"},
            "window": ["weekly", "all_time"],
        },
        {
            "code": "shops",
            "name": "Shops",
            "metric": {"on": "bought", "aggregate": "distinct", "of": "properties.shop"},
        },
        {"code": "points", "name": "Points", "metric": "points", "window": ["daily", "all_time"]},
    ],
}


class World:
    """A database with a game and a history, and no server."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._moments = count(NOW)
        self._numbers = count()
        self.games = games = Games()
        self.ids = IdSource()
        self.processor = Processor(database, self.ids, Clocks(self.clock), games)
        self.refold_job = RefoldJob(database, games, self.ids, Clocks(self.clock))
        self.game_changes = GameChanges(database, games, self.ids, Clocks(self.clock))

    def clock(self) -> int:
        return next(self._moments)

    def event(self, name: str, who: str, at: int, scope: Scope = SCOPE, **properties: Any) -> Event:
        system = f"system.{name}" if name in SYSTEM else None
        event_id = f"evt_{next(self._numbers)}"
        return Event(event_id, scope, name, who, json.dumps(properties), at, at, system_type=system)

    async def send(self, *events: Event) -> None:
        await self.processor.process(events)

    async def apply(self, game: dict[str, Any], *, refold: bool = True, backfill: bool = False) -> None:
        await self.game_changes.apply(SCOPE, Game.model_validate(game), backfill=backfill)
        while refold and (open_one := await self.refold_job._next()):
            await self.refold_job._page(open_one)

    async def differences(self) -> dict[tuple[str, str], tuple[Any, Any]]:
        """What verify finds, by participant and key."""
        verifier, found = Verifier(self.database), {}
        for scope in await verifier.scopes():
            async for each in verifier.participants(scope):
                for one in each.differences:
                    found[each.participant_id, one.key] = (one.stored, one.expected)
            async for place in verifier.strays(scope):
                found[place.participant_id, f"standings/{place.board}"] = (place.score, None)
            for team in await verifier.teams(scope):
                found["", team.key] = (team.stored, team.expected)
        return found

    async def kept(self) -> list[tuple[str, str]]:
        verifier = Verifier(self.database)
        return [
            (each.participant_id, award.key)
            for scope in await verifier.scopes()
            async for each in verifier.participants(scope)
            for award in each.kept
        ]

    async def replay(self) -> int:
        """How many participants and rankings were changed."""
        rebuilder, changed = Rebuilder(self.database, self.ids, self.clock), 0
        for scope in await Verifier(self.database).scopes():
            async for each in rebuilder.participants(scope):
                changed += each
            changed += await rebuilder.strays(scope) + await rebuilder.teams(scope)
        return changed

    def edit(self, sql: str, *parameters: object) -> int:
        """What somebody does with a database shell; answers how many rows that changed."""
        return legible.edit(self.address, sql, *parameters)

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return legible.rows(self.address, sql, *parameters)

    @property
    def address(self) -> Path | str:
        """Where the database is."""
        backend: Any = self.database._backend
        return self.database.file or str(backend.url)


SYSTEM = {
    "points_awarded",
    "points_deducted",
    "points_expired",
    "points_transferred",
    "badge_awarded",
    "timezone_changed",
    "challenge_enrolled",
    "reward_claimed",
}


async def play(world: World) -> None:
    """Five participants, every mechanic, a third of the facts late, in batches of any size."""
    await world.apply(GAME)
    chance = random.Random(7)
    events = [
        world.event("bought", f"u{who}", START + hour * HOUR, amount=7 + hour % 3, shop=f"s{hour % 11}")
        for who in range(5)
        for hour in range(who, 240, 37)
    ]
    events += [
        world.event("login", f"u{who}", START + day * 24 * HOUR + who) for who in range(5) for day in (0, 1, 2, 5, 6)
    ]
    events.sort(key=lambda event: event.occurred_at + (chance.random() < 0.3) * chance.randrange(90) * HOUR)
    hand = START + 40 * HOUR
    events[10:10] = [world.event("challenge_enrolled", HANDS, START + HOUR, challenge_code="sprint")]
    events[20:20] = [world.event("timezone_changed", HANDS, hand, timezone="Asia/Tokyo")]
    events[30:30] = [
        world.event("points_awarded", HANDS, hand, amount=100),
        world.event("points_deducted", HANDS, hand + 1, amount=30),
        world.event("badge_awarded", HANDS, hand + 2, badge_code="champion"),
    ]
    events.append(world.event("bought", "u0", START, OTHER, amount=5))
    while events:
        size = chance.choice([1, 2, 7])
        await world.send(*events[:size])
        del events[:size]


CELL = "UPDATE cells SET value = ? WHERE environment = 'test' AND participant_id = 'u1' AND cell = ?"
NO_CELL = "DELETE FROM cells WHERE environment = 'test' AND participant_id = 'u1' AND cell = ?"
NEW_CELL = "INSERT INTO cells VALUES ('default', 'test', 'u1', ?, ?)"
