"""The games that are played, and the events they listen to."""

import json
from collections.abc import Sequence
from random import Random
from typing import Any

from bq_server.events import Event, Scope
from bq_server.game.document.definitions import Game
from bq_server.ids import IdSource

SCOPE = Scope("cost", "test")
EVENT_NAME = "purchase"
LISTENING = 10
"""Definitions that listen to the event, in every game of `game_of`."""

SECOND = 1_000_000
START = 1_775_667_600 * SECOND
"""Wednesday 2026-04-08T17:00:00Z: the day and the week that measured events fall into have long begun."""

PRODUCTS = 50
KEYED_SHARE = 0.5
"""Events with an idempotency key."""

_NEVER = 1_000_000_000
"""A target nobody reaches: what is complete costs nothing any more."""


def game_of(definitions: int) -> Game:
    """A game of so many definitions, every mechanic among them, of which 10 listen to `EVENT_NAME`.

    Raises `ValueError` unless the number is a multiple of 10.
    """
    groups, rest = divmod(definitions, LISTENING)
    if rest or not groups:
        raise ValueError(f"{definitions} is not a multiple of {LISTENING}")
    sections: dict[str, list[dict[str, Any]]] = {}
    for group in range(groups):
        on = f"elsewhere_{group}" if group else EVENT_NAME
        for section, own in _ten(on, f"{on}_").items():
            sections.setdefault(section, []).extend(own)
    return Game.model_validate(sections)


def ordered_game() -> Game:
    """Mechanics whose outcome depends on the order of facts, and those the issue counts among them."""
    buys, spends = _count(EVENT_NAME, "buys"), _sum(EVENT_NAME, "spends")
    return Game.model_validate(
        {
            "challenges": [
                {"code": "steps", "name": "Steps", "objectives": [{**buys, "target": 3}, _after(spends, "buys")]},
                {
                    "code": "window",
                    "name": "Window",
                    "duration": {"type": "rolling", "days": 3650},
                    "objectives": [buys, spends],
                },
            ],
            "streaks": [{"code": "days", "on": EVENT_NAME}],
            "leaderboards": [_board("spenders", _metric(spends), "weekly")],
        }
    )


def chain_game(target: int) -> Game:
    """A challenge whose second part counts once so many events met the first: an older one may change since when."""
    first, then = {**_count(EVENT_NAME, "buys"), "target": target}, _after(_sum(EVENT_NAME, "spends"), "buys")
    return Game.model_validate({"challenges": [{"code": "chain", "name": "Chain", "objectives": [first, then]}]})


def free_game() -> Game:
    """As many definitions, of mechanics that simply add."""
    buys, spends = _count(EVENT_NAME, "buys"), _sum(EVENT_NAME, "spends")
    return Game.model_validate(
        {
            "badges": [{"code": "buyer", "name": "Buyer", "criteria": _metric(buys) | {"target": _NEVER}}],
            "challenges": [
                {"code": "steps", "name": "Steps", "objectives": [{**buys, "target": 3}, spends]},
                {"code": "long", "name": "Long", "objectives": [buys, spends]},
            ],
            "leaderboards": [_board("spenders", _metric(spends), "weekly")],
        }
    )


def event(ids: IdSource, random: Random, participant_id: str, at: int) -> Event:
    """An event of the consumer's path at a moment in microseconds, received as it happened."""
    event_id = ids.new("evt")
    keyed = random.random() < KEYED_SHARE
    return Event(
        event_id,
        SCOPE,
        EVENT_NAME,
        participant_id,
        json.dumps(
            {
                "amount": random.randrange(100, 20_000) / 100,
                "currency": random.choice(["EUR", "USD"]),
                "product": f"p{random.randrange(PRODUCTS)}",
                "quantity": random.randrange(1, 5),
                "gift": random.random() < 0.1,
            },
            separators=(",", ":"),
        ),
        at,
        at,
        f"{random.getrandbits(128):032x}" if keyed else None,
        f"{random.getrandbits(128):032x}" if keyed else None,
        message_id=f"{at // 1000}-{event_id[-8:]}",
    )


def delayed(events: Sequence[Event], random: Random, share: float, most: int) -> list[Event]:
    """The events in order of arrival, of which a share arrives up to `most` microseconds after it happened."""
    arrivals = [
        each._replace(received_at=each.occurred_at + random.randint(1, most)) if random.random() < share else each
        for each in events
    ]
    return sorted(arrivals, key=lambda each: each.received_at)


def _ten(on: str, prefix: str) -> dict[str, list[dict[str, Any]]]:
    listens = on == EVENT_NAME
    buys, spends, paying = _count(on, "buys"), _sum(on, "spends"), 'properties.currency == "EUR"'
    by_points: Any = "points" if listens else _metric(buys)
    return {
        "points": [
            {"code": f"{prefix}spend", "on": on, "when": paying, "award": "int(properties.amount)"},
            {"code": f"{prefix}visit", "on": on, "award": 1},
        ],
        "badges": [
            {
                "code": f"{prefix}gifts",
                "name": "Gifts",
                "criteria": _metric(buys) | {"when": "properties.gift", "target": _NEVER},
            },
            {
                "code": f"{prefix}variety",
                "name": "Variety",
                "criteria": {"on": on, "aggregate": "distinct", "of": "properties.product", "target": 100_000},
            },
        ],
        "challenges": [
            {
                "code": f"{prefix}sale",
                "name": "Sale",
                "objectives": [buys, spends],
                "milestones": [{"at": 0.5, "rewards": [{"points": 50}]}],
                "rewards": [{"points": 500}],
            },
            {
                "code": f"{prefix}steps",
                "name": "Steps",
                "objectives": [{**buys, "target": 3}, _after(spends, "buys")],
            },
        ],
        "streaks": [{"code": f"{prefix}days", "on": on, "milestones": [{"at": 7, "rewards": [{"points": 7}]}]}],
        "leaderboards": [
            _board(f"{prefix}spenders", _metric(spends), "weekly"),
            _board(f"{prefix}largest", _metric(spends) | {"aggregate": "max"}, "all_time"),
            _board(f"{prefix}points", by_points, "all_time"),
        ],
    }


def _count(on: str, code: str) -> dict[str, Any]:
    return {"code": code, "on": on, "when": "properties.amount >= 20.0", "aggregate": "count", "target": _NEVER}


def _sum(on: str, code: str) -> dict[str, Any]:
    return {"code": code, "on": on, "aggregate": "sum", "of": "properties.amount", "target": _NEVER}


def _after(objective: dict[str, Any], prerequisite: str) -> dict[str, Any]:
    return {**objective, "prerequisites": [prerequisite]}


def _metric(objective: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in objective.items() if key not in ("code", "target")}


def _board(code: str, metric: Any, window: str) -> dict[str, Any]:
    return {"code": code, "name": code, "metric": metric, "window": window}
