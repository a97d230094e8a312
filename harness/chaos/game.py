"""The game of a chaos run: every mechanic, but nothing whose outcome depends on the order of arrival.

A late fact takes no award back, so a rule under which it could undo an earlier one keeps that award, which a pure fold
lacks. Here every fact can only add: no amount is negative, nothing runs from enrolment for a number of days, what a
limit lets through is worth the same, and enrolments, entries and time zones are sent before the first event.

A void takes back what may be taken back. So what listens to purchases, which may be void, is revocable, and has neither
a limit nor what always stays: tiers go by a currency of their own, and milestones of streaks by other events.
"""

from typing import Any

from bq_server.game.facts import PARTICIPANT_REFERRED
from bq_server.moments import HOUR, SECOND, format_timestamp

DAY = 24 * HOUR

EXPLICIT = "marathon"
"""The challenge that some participants enrol in before the run."""

POINTS_BOARD = "points"

REFUND = "purchase_refunded"
"""The event that voids a purchase."""

EXPIRING = "gems"
"""A currency that expires unspent, so that what is left of it follows from the time of what brought it."""

EXPIRES_AFTER = 5 * DAY

STOCKED, CODED = "mug", "coupon"
"""The rewards: so many there are, fewer than are wanted."""
STOCK = 25
CODES = tuple(f"code-{number:02}" for number in range(15))

FINAL, SPRINT = "final", "sprint"
"""Contests that end in the middle of a run: one is frozen when all has arrived, the other while faults strike."""
FINAL_FREEZES_AFTER = 2 * DAY

RELAY, CLIMB = "relay", "climb"
"""The challenges that teams share: one without an end, and one that ends in the middle of a run."""
TEAM_SIZE = 4
TEAMS_KNOWN_FOR = 20 * DAY
"""How long before a run everybody is in a team: what is later than that counts for it."""


def team_of(number: int) -> str | None:
    """The team of a participant by number: so many in each, and then one without."""
    return None if number % (TEAM_SIZE + 1) == TEAM_SIZE else f"team-{number // (TEAM_SIZE + 1)}"


def document(start: int, seconds: float) -> dict[str, Any]:
    """The game, for events sent from the moment `start` (in microseconds) for so many seconds.

    Windows end and begin in the middle of what is sent, so that event times decide what counts.
    """
    middle = format_timestamp(start + int(seconds * SECOND / 2))
    return {
        "currencies": [
            {"code": "coins"},
            {"code": EXPIRING, "points_expire": {"after": "P5D"}},
            {"code": "stars"},
        ],
        "transfers": True,
        "points": [
            # A point for every event, so that the newest fact is also the newest that changed anyone's points.
            {"code": "presence", "on": [*EVENTS, REFUND], "award": "1"},
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
            {"code": "sparkle", "on": "level_completed", "award": 1, "currency": EXPIRING},
            {"code": "rise", "on": "level_completed", "award": "properties.score", "currency": "stars"},
            {
                "code": "weekend",
                "on": "review_written",
                "award": 4,
                "multiplier": {"during": {"on_days": ["sat", "sun"], "timezone": "Asia/Tokyo"}, "by": 2},
            },
            {"code": "thrice", "on": "login", "award": 2, "limit": {"times": 3, "per": "day"}},
            {
                "code": "first_stars",
                "on": "review_written",
                "award": 5,
                "limit": {"times": 1, "per": "month", "by": "properties.stars"},
            },
            {"code": "pause", "on": "store_visited", "award": 1, "cooldown": "PT2S"},
            # For whom the sender visited with, so that one fact moves two.
            {"code": "company", "on": "store_visited", "award": 2, "award_to": "properties.with"},
            {"code": "welcome", "on": PARTICIPANT_REFERRED, "award": 20},
            {"code": "referral", "on": PARTICIPANT_REFERRED, "award": 35, "award_to": "properties.referrer_id"},
        ],
        "badges": _badges(),
        "challenges": [*_challenges(start), *_shared_challenges(start, middle)],
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
                "code": "frozen",
                "on": "level_completed",
                "grace_period_hours": 0,
                "day_starts_at": "04:00",
                "freezes": {"monthly": 2, "max": 5, "automatic": True},
            },
            {
                "code": "workdays",
                "on": "login",
                "required": 2,
                "on_days": ["mon", "tue", "wed", "thu", "fri"],
                "grace_period_hours": 0,
            },
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
            {"code": code, "name": code.title(), "level": level, "min_points": points, "currency": "stars"}
            for level, (code, points) in enumerate(TIERS.items(), start=1)
        ],
        "leaderboards": _leaderboards(start, middle),
        "contests": _contests(start, middle),
        "rewards": [
            {"code": STOCKED, "name": "A mug", "cost": 20, "stock": STOCK, "limit": 3},
            {"code": CODED, "name": "A coupon", "cost": 5, "codes": list(CODES), "limit": 2},
        ],
    }


TIERS = {"bronze": 0, "silver": 1500, "gold": 4000, "platinum": 10_000_000}
EVENTS = ("purchase_completed", "store_visited", "login", "review_written", "level_completed", "page_viewed")
"""What is sent; purchases may be followed by a `REFUND`."""


REVOCABLE = {"revocable": True}


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
        *({"code": code, "name": code.title(), "criteria": each, **REVOCABLE} for code, each in criteria.items()),
        {"code": "champion", "name": "Champion", "rarity": "legendary", **REVOCABLE},
        {"code": "winner", "name": "Winner"},
        {"code": "together", "name": "Together"},
        {"code": "again", "name": "Again", "repeatable": True, "criteria": visited | {"target": 4}},
        {"code": "levels", "name": "Levels", "criteria": {"on": "login", "levels": [2, 4, 8]}},
        {"code": "steady", "name": "Steady", "criteria": visited | {"target": 3, "limit": {"times": 1, "per": "day"}}},
        {"code": "faithful", "name": "Faithful", "rarity": "epic"},
        {
            "code": "host",
            "name": "Host",
            "criteria": {"on": PARTICIPANT_REFERRED, "target": 2},
            "award_to": "properties.referrer_id",
        },
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
            **REVOCABLE,
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
            **REVOCABLE,
        },
        {
            "code": EXPLICIT,
            "name": "Marathon",
            "enrolment": "explicit",
            "objectives": [{"code": "purchases", **purchase, "target": 100_000}],
            "milestones": [{"at": 0.0002, "rewards": [{"points": 5}]}],
            **REVOCABLE,
        },
        {
            "code": "week",
            "name": "This week",
            "duration": {"type": "recurring", "every": "week", "timezone": "America/New_York"},
            "objectives": [
                {"code": "logins", "on": "login", "target": 3},
                {"code": "best", "on": "level_completed", "aggregate": "max", "of": "properties.score", "target": 800},
            ],
            "milestones": [{"at": 0.5, "rewards": [{"points": 6}]}],
            "rewards": [{"points": 15}, {"points": 2, "currency": "stars"}],
        },
    ]


def _shared_challenges(start: int, middle: str) -> list[dict[str, Any]]:
    """Of events that are never void: a total that fell would have been reached, or not, by the order of arrival."""
    score = {"on": "level_completed", "aggregate": "sum", "of": "properties.score"}
    return [
        {
            "code": RELAY,
            "name": "Relay",
            "shared_by": "attributes.team",
            "objectives": [{"code": "visits", "on": "store_visited", "target": 30}],
            "milestones": [{"at": at, "rewards": [{"points": 7}]} for at in (0.2, 0.6)],
            "rewards": [{"points": 70}, {"badge": "together"}],
        },
        {
            "code": CLIMB,
            "name": "Climb",
            "shared_by": "attributes.team",
            "duration": {"type": "fixed", "starts_at": format_timestamp(start - 10 * DAY), "ends_at": middle},
            "objectives": [{"code": "height", **score, "target": 8000}],
            "milestones": [{"at": 0.4, "rewards": [{"points": 9}]}],
            "rewards": [{"points": 90}],
        },
    ]


PRIZES: list[dict[str, Any]] = [
    {"rank_from": 1, "rank_to": 1, "points": 40, "badge": "winner"},
    {"rank_from": 2, "rank_to": 5, "points": 10},
]


def prize_of(rank: int) -> tuple[int, str | None]:
    """The points and the badge that a rank wins in any of the contests."""
    found = next((each for each in PRIZES if each["rank_from"] <= rank <= each["rank_to"]), {})
    return found.get("points", 0), found.get("badge")


def _contests(start: int, middle: str) -> list[dict[str, Any]]:
    common = {"starts_at": format_timestamp(start - DAY), "ends_at": middle, "prizes": PRIZES}
    spent = {"on": "purchase_completed", "aggregate": "sum", "of": "properties.amount"}
    return [
        {"code": FINAL, "name": "Final", "scoring": spent, "freeze_after": "P2D", **common},
        {"code": SPRINT, "name": "Sprint", "scoring": {"on": "store_visited"}, "freeze_after": "PT1S", **common},
    ]


def _leaderboards(start: int, middle: str) -> list[dict[str, Any]]:
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
    season = {"type": "season", "starts_at": format_timestamp(start - 20 * DAY), "ends_at": middle}
    lowest = {"on": "level_completed", "aggregate": "min", "of": "properties.score"}
    return [
        *(
            {"code": code, "name": code.title(), "metric": metric, "window": windows}
            for code, (metric, windows) in boards.items()
        ),
        {"code": "season", "name": "Season", "metric": purchase, "window": [season], "timezone": "Asia/Tokyo"},
        {"code": "lowest", "name": "Lowest", "metric": lowest, "window": ["weekly"], "order": "ascending"},
    ]
