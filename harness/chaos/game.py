"""The game of a chaos run: every mechanic, but nothing whose outcome depends on the order of arrival.

Awards are never taken back, so a rule under which a late fact can undo an earlier award keeps that award, which a pure
fold lacks. Here every fact can only add: no amount is negative, nothing runs from enrolment for a number of days, and
enrolments and time zones are sent before the first event.
"""

from typing import Any

from bq_server.moments import HOUR, SECOND, format_timestamp

DAY = 24 * HOUR

EXPLICIT = "marathon"
"""The challenge that some participants enrol in before the run."""

POINTS_BOARD = "points"


def document(start: int, seconds: float) -> dict[str, Any]:
    """The game, for events sent from the moment `start` (in microseconds) for so many seconds.

    Windows end and begin in the middle of what is sent, so that event times decide what counts.
    """
    middle = format_timestamp(start + int(seconds * SECOND / 2))
    return {
        "currencies": [{"code": "coins"}, {"code": "gems"}],
        "points": [
            # A point for every event, so that the newest fact is also the newest that changed anyone's points.
            {"code": "presence", "on": list(EVENTS), "award": "1"},
            {
                "code": "spend",
                "on": "purchase_completed",
                "when": 'properties.currency == "EUR"',
                "award": "properties.amount",
            },
            {
                "code": "rush",
                "on": "purchase_completed",
                "award": 3,
                "starts_at": format_timestamp(start - 2 * DAY),
                "ends_at": middle,
            },
            {"code": "sparkle", "on": "level_completed", "award": 1, "currency": "gems"},
            # For whom the sender visited with, so that one fact moves two.
            {"code": "company", "on": "store_visited", "award": 2, "award_to": "properties.with"},
        ],
        "badges": _badges(),
        "challenges": _challenges(start),
        "streaks": [
            {
                "code": "daily",
                "on": "login",
                "when": 'properties.device == "phone"',
                "period": "daily",
                "grace_period_hours": 6,
                "timezone": "participant",
                "milestones": [{"at": 2, "rewards": [{"points": 20}]}, {"at": 4, "rewards": [{"badge": "faithful"}]}],
            },
            {"code": "weekly", "on": "review_written", "period": "weekly", "timezone": "Europe/Lisbon"},
            {
                "code": "monthly",
                "on": "store_visited",
                "period": "monthly",
                "grace_period_hours": 0,
                "timezone": "UTC",
                "milestones": [{"at": 2, "rewards": [{"points": 25}]}],
            },
        ],
        "tiers": [
            {"code": "bronze", "name": "Bronze", "level": 1, "min_points": 0},
            {"code": "silver", "name": "Silver", "level": 2, "min_points": 400},
            {"code": "gold", "name": "Gold", "level": 3, "min_points": 1200},
            {"code": "platinum", "name": "Platinum", "level": 4, "min_points": 100_000},
        ],
        "leaderboards": _leaderboards(),
    }


EVENTS = ("purchase_completed", "store_visited", "login", "review_written", "level_completed", "page_viewed")


def _badges() -> list[dict[str, Any]]:
    purchase, visited = {"on": "purchase_completed"}, {"on": "store_visited"}
    spent = {"aggregate": "sum", "of": "properties.amount"}
    shops = {"aggregate": "distinct", "of": "properties.shop"}
    score = {"on": "level_completed", "aggregate": "max", "of": "properties.score"}
    days = {"on": "login", "aggregate": "days"}
    criteria = {
        "regular": purchase | {"target": 10},
        "tireless": purchase | {"target": 100_000},
        "spender": purchase | spent | {"target": 400},
        "whale": purchase | spent | {"target": 10_000_000},
        "explorer": purchase | shops | {"target": 6},
        "nomad": purchase | shops | {"target": 100},
        "expert": score | {"target": 900},
        "master": score | {"target": 1001},
        "familiar": days | {"target": 3},
        "old_hand": days | {"target": 1000},
    }
    return [
        *({"code": code, "name": code.title(), "criteria": each} for code, each in criteria.items()),
        {"code": "champion", "name": "Champion", "rarity": "legendary"},
        {"code": "faithful", "name": "Faithful", "rarity": "epic"},
        {"code": "popular", "name": "Popular", "criteria": visited | {"target": 5}, "award_to": "properties.with"},
    ]


def _challenges(start: int) -> list[dict[str, Any]]:
    """Prerequisites: a fold in order of arrival counts other purchases than one in order of event time."""
    purchase = {"on": "purchase_completed"}
    return [
        {
            "code": "opening",
            "name": "Opening",
            "duration": {
                "type": "fixed",
                "starts_at": format_timestamp(start - 10 * DAY),
                "ends_at": format_timestamp(start + DAY),
            },
            "objectives": [
                {"code": "visit", "on": "store_visited", "target": 3},
                {"code": "buy", **purchase, "target": 5, "prerequisites": ["visit"]},
                {
                    "code": "stars",
                    "on": "review_written",
                    "aggregate": "distinct",
                    "of": "properties.stars",
                    "target": 3,
                    "prerequisites": ["buy"],
                },
            ],
            "milestones": [{"at": 0.5, "rewards": [{"points": 50}]}],
            "rewards": [{"points": 500}, {"badge": "champion"}],
        },
        {
            "code": "ladder",
            "name": "Ladder",
            "objectives": [
                {"code": "visit", "on": "store_visited", "target": 4},
                {"code": "after_visit", **purchase, "target": 100_000, "prerequisites": ["visit"]},
                {
                    "code": "skill",
                    "on": "level_completed",
                    "aggregate": "max",
                    "of": "properties.score",
                    "target": 700,
                },
                {
                    "code": "spent_after_both",
                    **purchase,
                    "aggregate": "sum",
                    "of": "properties.amount",
                    "target": 10_000_000,
                    "prerequisites": ["visit", "skill"],
                },
                {
                    "code": "days_after_skill",
                    "on": "login",
                    "aggregate": "days",
                    "target": 1000,
                    "prerequisites": ["skill"],
                },
            ],
            "milestones": [{"at": 0.3, "rewards": [{"points": 30}]}],
        },
        {
            "code": EXPLICIT,
            "name": "Marathon",
            "enrolment": "explicit",
            "objectives": [{"code": "purchases", **purchase, "target": 100_000}],
            "milestones": [{"at": 0.0002, "rewards": [{"points": 5}]}],
        },
    ]


def _leaderboards() -> list[dict[str, Any]]:
    purchase = {"on": "purchase_completed"}
    boards: dict[str, tuple[Any, list[str]]] = {
        "spenders": (purchase | {"aggregate": "sum", "of": "properties.amount"}, ["weekly", "all_time"]),
        "buyers": (purchase, ["daily", "monthly"]),
        "explorers": (purchase | {"aggregate": "distinct", "of": "properties.shop"}, ["yearly", "weekly"]),
        "scores": ({"on": "level_completed", "aggregate": "max", "of": "properties.score"}, ["monthly", "all_time"]),
        "faithful": ({"on": "login", "aggregate": "days"}, ["all_time", "monthly"]),
        # For all time only: a reward stands in the window of the fact that brought it, and which fact that is depends
        # on the order of arrival.
        POINTS_BOARD: ("points", ["all_time"]),
    }
    return [
        {"code": code, "name": code.title(), "metric": metric, "window": windows}
        for code, (metric, windows) in boards.items()
    ]
