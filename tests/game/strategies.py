"""Games and facts for the property tests: small alphabets, so that definitions and facts meet often."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from bq_server.game.compiled_game import CompiledGame, compile_game
from bq_server.game.document.definitions import Game
from bq_server.game.facts import Fact
from tests.game import kept_strategies as st
from tests.game.currency_strategies import by_hand, in_currencies

EVENTS = ["a", "b", "c"]
ZONES = ["UTC", "Asia/Tokyo", "Europe/Paris", "America/New_York", "Pacific/Kiritimati"]
HOUR = 3_600_000_000
# Two days before Europe's clocks go forward; New York's went three weeks earlier.
START = int(datetime(2026, 3, 27, tzinfo=UTC).timestamp()) * 1_000_000

on = st.lists(st.sampled_from(EVENTS), min_size=1, max_size=2, unique=True)
when = st.sampled_from([None, None, None, "properties.x >= 2.0", 'properties.s == "u"', "has(properties.y)"])


few = st.sampled_from([1, 1, 2, 0])


@st.composite
def limits(draw: st.DrawFn, always: bool = False) -> dict[str, Any]:
    """A limit, a cooldown, both, or as often as not none."""
    wanted = draw(
        st.sampled_from([{"limit"}, {"limit"}, {"cooldown"}, {"limit", "cooldown"}, *([] if always else [set()] * 4)])
    )
    found: dict[str, Any] = {}
    if "limit" in wanted:
        found["limit"] = {
            "times": draw(st.integers(1, 3)),
            "per": draw(st.sampled_from(["day", "day", "week", "month", "ever"])),
            "timezone": draw(st.sampled_from(["participant", "participant", "Asia/Tokyo", "UTC"])),
            **draw(st.sampled_from([{}, {}, {"by": "properties.s"}])),
        }
    if "cooldown" in wanted:
        found["cooldown"] = draw(st.sampled_from(["PT5H", "P1D"]))
    return found


@st.composite
def metrics(draw: st.DrawFn) -> dict[str, Any]:
    aggregate = draw(st.sampled_from(["count", "sum", "sum", "max", "distinct", "days"]))
    metric: dict[str, Any] = {"on": draw(on), "when": draw(when), "aggregate": aggregate}
    if aggregate in ("sum", "max"):
        metric["of"] = "properties.x"
    elif aggregate == "distinct":
        metric["of"] = draw(st.sampled_from(["properties.s", "properties.x"]))
    return metric


@st.composite
def criteria(draw: st.DrawFn) -> dict[str, Any]:
    metric = draw(metrics())
    highest = {"sum": 8, "max": 4}.get(metric["aggregate"], 3)
    return {**metric, "target": draw(st.integers(1, highest)), **draw(limits())}


def without_limits(metric: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metric.items() if name not in ("limit", "cooldown")}


@st.composite
def badges(draw: st.DrawFn, code: str) -> dict[str, Any]:
    """Earned once, again and again, or level by level."""
    own = draw(criteria())
    kind = draw(st.sampled_from(["once", "once", "again", "levels"]))
    if kind == "again" and own["aggregate"] != "max":
        return {"code": code, "name": "B", "criteria": without_limits(own), "repeatable": True}
    if kind == "levels":
        levels = sorted(draw(st.sets(st.integers(1, 9), min_size=1, max_size=3)))
        own = {name: value for name, value in without_limits(own).items() if name != "target"} | {"levels": levels}
    return {"code": code, "name": "B", "criteria": own}


def moment(hours: int) -> str:
    return datetime.fromtimestamp((START + hours * HOUR) / 1_000_000, UTC).isoformat()


SEASONS = [
    {"type": "season", "starts_at": moment(10), "ends_at": moment(90)},
    "weekly",
    {"type": "season", "starts_at": moment(100), "ends_at": moment(200)},
]
"""Which facts of most histories fall into, or between."""


@st.composite
def board_metrics(draw: st.DrawFn) -> dict[str, Any]:
    metric: dict[str, Any] = draw(metrics())
    return {**metric, "aggregate": draw(st.sampled_from(["max", "min"]))} if metric["aggregate"] == "max" else metric


@st.composite
def challenges(draw: st.DrawFn, code: str) -> dict[str, Any]:
    objectives: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 3))):
        before = [each["code"] for each in objectives]
        needs = draw(st.lists(st.sampled_from(before), max_size=1)) if before else []
        objectives.append({"code": f"o{number}", **draw(criteria()), "prerequisites": needs})
    first, last = draw(st.tuples(st.integers(0, 60), st.integers(61, 200)))
    duration: dict[str, Any] = draw(
        st.sampled_from(
            [
                {"type": "perpetual"},
                {"type": "rolling", "days": 1},
                {"type": "rolling", "days": 3},
                {"type": "fixed", "starts_at": moment(first), "ends_at": moment(last)},
                {"type": "recurring", "every": "day", "timezone": draw(st.sampled_from(ZONES))},
                {"type": "recurring", "every": draw(st.sampled_from(["week", "month"])), "timezone": "Europe/Paris"},
            ]
        )
    )
    if "every" in duration:
        objectives = [without_limits(each) for each in objectives]
    opens = {"starts_at": moment(first)} if "days" in duration and draw(st.booleans()) else {}
    return {
        "code": code,
        "name": code,
        **opens,
        "enrolment": "automatic" if "every" in duration else draw(st.sampled_from(["automatic", "explicit"])),
        "duration": duration,
        "objectives": objectives,
        "milestones": [
            {"at": at, "rewards": [{"points": 5}]} for at in draw(st.sets(st.sampled_from([0.3, 0.5, 0.9])))
        ],
        "rewards": [{"points": 7}, {"badge": "given"}],
    }


@st.composite
def streaks(draw: st.DrawFn, code: str) -> dict[str, Any]:
    period = draw(st.sampled_from(["daily", "daily", "daily", "weekly", "monthly", "hourly"]))
    more: dict[str, Any] = {"required": draw(st.sampled_from([1, 1, 1, 2, 3]))}
    if period != "hourly":
        more["day_starts_at"] = draw(st.sampled_from(["00:00", "00:00", "04:00", "13:30"]))
    if draw(st.sampled_from([True, False, False])):
        more["freezes"] = {
            "monthly": draw(st.sampled_from([0, 1, 2])),
            "max": draw(st.sampled_from([1, 2, 3])),
            "automatic": draw(st.sampled_from([True, True, False])),
        }
    if period == "daily":
        more["on_days"] = draw(st.sampled_from([None, None, ["mon", "tue", "wed", "thu", "fri"], ["sun", "wed"]]))
    return {
        "code": code,
        "on": draw(on),
        "when": draw(when),
        "period": period,
        "grace_period_hours": draw(st.sampled_from([0, 6, 23] if period == "hourly" else [0, 6, 24, 60])),
        "timezone": draw(st.sampled_from(["participant", "participant", "Europe/Paris", "UTC"])),
        **more,
        "milestones": [{"at": at, "rewards": [{"points": 11}]} for at in draw(st.sets(st.integers(1, 4)))],
    }


multipliers = st.lists(
    st.sampled_from(
        [
            {"during": {"on_days": ["sat", "sun"], "timezone": "Asia/Tokyo"}, "by": 2},
            {"during": {"starts_at": moment(20), "ends_at": moment(90)}, "by": 1.5},
            {"during": {"ends_at": moment(40), "on_days": ["fri"]}, "by": 0.3},
        ]
    ),
    max_size=2,
)


@st.composite
def contests(draw: st.DrawFn, code: str) -> dict[str, Any]:
    metric = draw(metrics())
    aggregate = draw(st.sampled_from(["count", "sum"]))
    of = {"of": "properties.x"} if aggregate == "sum" else {}
    first, last = draw(st.tuples(st.integers(0, 60), st.integers(61, 240)))
    return {
        "code": code,
        "name": "K",
        "starts_at": moment(first),
        "ends_at": moment(last),
        "scoring": {"on": metric["on"], "when": metric["when"], "aggregate": aggregate, **of},
        "prizes": [{"rank_from": 1, "rank_to": 2, "points": 3}],
    }


@dataclass(frozen=True)
class Rules:
    """A game as drawn: prints shorter than a compiled one."""

    document: dict[str, Any]
    applied_seq: int

    def compile(self) -> CompiledGame:
        game = Game.model_validate(self.document)
        return compile_game(game, dict.fromkeys(compile_game(game).rules, self.applied_seq))


@st.composite
def games(draw: st.DrawFn) -> Rules:
    document = {
        "points": [
            {
                "code": "p",
                "on": draw(on),
                "when": draw(when),
                "award": draw(st.sampled_from([3, "properties.x"])),
                "multiplier": draw(multipliers),
                **draw(limits()),
            }
        ],
        "badges": [
            {"code": "given", "name": "Given"},
            *(draw(badges(f"b{n}")) for n in range(draw(few))),
        ],
        "challenges": [draw(challenges(f"c{number}")) for number in range(draw(few))],
        "streaks": [draw(streaks(f"s{number}")) for number in range(draw(few))],
        "tiers": [
            {"code": "low", "name": "Low", "level": 1, "min_points": 0},
            {"code": "high", "name": "High", "level": 2, "min_points": 20},
        ],
        "leaderboards": [
            {"code": "pts", "name": "P", "metric": "points", "window": ["daily", "all_time"]},
            *(
                {
                    "code": f"l{number}",
                    "name": "L",
                    "metric": draw(board_metrics()),
                    "window": draw(st.sampled_from(["daily", "weekly", ["monthly", "all_time"], SEASONS])),
                    "timezone": draw(st.sampled_from(["UTC", "UTC", *ZONES])),
                    "order": draw(st.sampled_from(["descending", "descending", "ascending"])),
                }
                for number in range(draw(few))
            ),
        ],
        "contests": [draw(contests(f"k{number}")) for number in range(draw(few))],
    }
    return Rules(draw(in_currencies(document)), draw(st.sampled_from([0, 0, 0, 0, 1, 3, 6])))


@st.composite
def ordered_games(draw: st.DrawFn) -> Rules:
    """One challenge whose outcome depends on order, and nothing else."""
    objectives: list[dict[str, Any]] = []
    for number in range(3):
        aggregate = draw(st.sampled_from(["count", "sum", "sum", "distinct", "days", "max"]))
        before = [each["code"] for each in objectives]
        metric = {"on": [draw(st.sampled_from(EVENTS))], "when": None, "aggregate": aggregate}
        if aggregate not in ("count", "days"):
            metric["of"] = "properties.x"
        needs = draw(st.lists(st.sampled_from(before), max_size=2, unique=True)) if before else []
        target = draw(st.integers(1, 6 if aggregate == "sum" else 3))
        objectives.append({"code": f"o{number}", **metric, "target": target, "prerequisites": needs})
    document = {
        "points": [],
        "badges": [{"code": "given", "name": "Given"}],
        "challenges": [
            {
                "code": "c0",
                "name": "C",
                "enrolment": draw(st.sampled_from(["automatic", "automatic", "explicit"])),
                "duration": draw(st.sampled_from([{"type": "perpetual"}, {"type": "rolling", "days": 4}])),
                "objectives": objectives,
                "milestones": [{"at": at, "rewards": [{"points": 5}]} for at in (0.3, 0.7)],
                "rewards": [{"points": 7}, {"badge": "given"}],
            }
        ],
        "streaks": [],
        "tiers": [],
        "leaderboards": [],
    }
    return Rules(document, 0)


@st.composite
def chained_games(draw: st.DrawFn) -> Rules:
    """One challenge of one to four objectives, with targets from near to out of reach."""
    objectives: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 4))):
        aggregate = draw(st.sampled_from(["count", "sum", "sum", "distinct", "days", "max"]))
        metric: dict[str, Any] = {"on": [draw(st.sampled_from(["a", *EVENTS]))], "aggregate": aggregate}
        if aggregate not in ("count", "days"):
            metric["of"] = "properties.x"
        before = [each["code"] for each in objectives]
        needs = draw(st.lists(st.sampled_from(before), max_size=2, unique=True)) if before else []
        target = draw(st.integers(1, 4) if aggregate == "max" else st.sampled_from([1, 2, 3, 5, 8, 15, 40, 1000]))
        objectives.append({"code": f"o{number}", "when": None, **metric, "target": target, "prerequisites": needs})
    milestones = draw(st.sets(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]), max_size=3))
    challenge = {
        "code": "c0",
        "name": "C",
        "enrolment": draw(st.sampled_from(["automatic", "automatic", "automatic", "explicit"])),
        "duration": draw(
            st.sampled_from([{"type": "perpetual"}, {"type": "perpetual"}, {"type": "rolling", "days": 4}])
        ),
        "objectives": objectives,
        "milestones": [{"at": at, "rewards": [{"points": 5}]} for at in milestones],
        "rewards": [{"points": 7}, {"badge": "given"}],
    }
    document = {"badges": [{"code": "given", "name": "Given"}], "challenges": [challenge]}
    rest: dict[str, Any] = {kind: [] for kind in ("points", "streaks", "tiers", "leaderboards")}
    return Rules({**document, **rest}, 0)


@st.composite
def limited_games(draw: st.DrawFn) -> Rules:
    """A points rule, a badge and a challenge, each with a limit, and no other rules."""

    def metric() -> dict[str, Any]:
        aggregate = draw(st.sampled_from(["count", "count", "sum", "max", "distinct", "days"]))
        of = {} if aggregate in ("count", "days") else {"of": "properties.x"}
        target = draw(st.integers(1, 6))
        return {"on": draw(on), "when": None, "aggregate": aggregate, **of, "target": target, **draw(limits(True))}

    needs = draw(st.sampled_from([[], ["o0"]]))
    challenge = {
        "code": "c0",
        "name": "C",
        "enrolment": draw(st.sampled_from(["automatic", "automatic", "explicit"])),
        "duration": draw(st.sampled_from([{"type": "perpetual"}, {"type": "rolling", "days": 4}])),
        "objectives": [
            {"code": "o0", **metric(), "prerequisites": []},
            {"code": "o1", **metric(), "prerequisites": needs},
        ],
        "milestones": [{"at": at, "rewards": [{"points": 5}]} for at in (0.3, 0.7)],
        "rewards": [{"points": 7}, {"badge": "given"}],
    }
    document = {
        "points": [{"code": "p", "on": draw(on), "when": None, "award": 3, **draw(limits(True))}],
        "badges": [{"code": "given", "name": "Given"}, {"code": "b0", "name": "B", "criteria": metric()}],
        "challenges": [challenge],
    }
    return Rules({**document, **{kind: [] for kind in ("streaks", "tiers", "leaderboards")}}, 0)


def long_history(chance: random.Random, length: int = 0) -> list[Fact]:
    """Dozens of facts of one participant within ten days, in order of event time: long enough for several checkpoints.

    They are not drawn one by one, which would take longer than playing them.
    """
    values = chance.choice([[1, 2, 3, 5], [1, 2, 3, -1, -2, 4]])
    hours = chance.choice([30, 240])
    facts = []
    for seq in range(1, (length or chance.choice([20, 40, 80])) + 1):
        moment = START + chance.randint(0, hours) * HOUR
        kind = chance.choice(["a", "a", "a", "b", "b", "c"])
        fact_type = f"custom.{kind}"
        given: dict[str, Any] = {"x": chance.choice(values)}
        if chance.random() < 0.05:
            fact_type, given = "system.challenge_enrolled", {"challenge_code": "c0"}
        facts.append(Fact(f"f{seq}", seq, fact_type, fact_type.partition(".")[2], "p0", given, moment, moment))
    return sorted(facts, key=lambda fact: fact.moment)


def _some_late(facts: list[Fact], chance: random.Random) -> list[Fact]:
    delays = {fact.fact_id: chance.randint(0, 40) if chance.random() < 0.3 else 0 for fact in facts}
    places = {fact.fact_id: place for place, fact in enumerate(facts)}
    return sorted(facts, key=lambda fact: places[fact.fact_id] + delays[fact.fact_id])


def _old_ones_last(facts: list[Fact], chance: random.Random) -> list[Fact]:
    first = chance.randint(0, len(facts))
    return facts[first:] + facts[:first]


ARRIVALS: dict[str, Callable[[list[Fact], random.Random], list[Fact]]] = {
    "shuffled": lambda facts, chance: chance.sample(facts, len(facts)),
    "some late": _some_late,
    "reversed": lambda facts, _: facts[::-1],
    "old ones last": _old_ones_last,
}
"""What comes of facts in order when they arrive in another."""


# A property may be missing, of the wrong type, or negative; a time repeats often.
properties = st.fixed_dictionaries(
    {},
    optional={
        "x": st.sampled_from([1, 2, 3, 5, 0.1, 0.2, 2.5, 0, -1, -3, -4, 2, 3, "many"]),
        "s": st.sampled_from(["u", "v", "w", "ü"]),
        "y": st.none(),
    },
)
positive = st.fixed_dictionaries(
    {"x": st.sampled_from([1, 2, 3, 0.1, 0.2])}, optional={"s": st.sampled_from(["u", "v", "w"])}
)
system = st.one_of(
    st.sampled_from(ZONES).map(lambda zone: ("system.timezone_changed", {"timezone": zone})),
    st.sampled_from(["c0", "c1"]).map(lambda code: ("system.challenge_enrolled", {"challenge_code": code})),
    by_hand({"amount": st.integers(1, 15)}).map(lambda given: ("system.points_awarded", given)),
    by_hand({"amount": st.integers(1, 15)}).map(lambda given: ("system.points_deducted", given)),
    by_hand({"amount": st.integers(1, 15)}).map(lambda given: ("system.points_expired", given)),
    by_hand({"reward_code": st.just("mug"), "cost": st.integers(0, 9)}).map(
        lambda given: ("system.reward_claimed", given)
    ),
    st.sampled_from(["given", "b0"]).map(lambda code: ("system.badge_awarded", {"badge_code": code})),
    st.just(("system.timezone_changed", {"timezone": "Nowhere/At_All"})),
    st.booleans().map(lambda hidden: ("system.visibility_changed", {"hidden": hidden})),
    st.sampled_from(["k0", "k0", "k1"]).map(lambda code: ("system.contest_entered", {"contest_code": code})),
    st.builds(
        lambda rank, prize: (
            "system.contest_placed",
            {"contest_code": "k0", "rank": rank, "score": 2, "reached_at": START, **prize},
        ),
        st.integers(1, 4),
        st.sampled_from([{}, {"points": 4}, {"points": 2, "badge": "given"}, {"badge": "b0"}]),
    ),
    st.integers(0, 3).map(lambda price: ("system.streak_freeze_bought", {"streak_code": "s0", "price": price})),
    st.integers(0, 240).map(
        lambda hours: ("system.streak_freeze_used", {"streak_code": "s0", "starts_at": START + hours * HOUR})
    ),
)
amounts = st.fixed_dictionaries(
    {"x": st.sampled_from([1, 2, 3, -1, -2, 1, 2])}, optional={"s": st.sampled_from(["u", "v"])}
)
times = st.one_of(
    st.integers(0, 30).map(lambda steps: START + steps * 7 * HOUR),
    st.integers(0, 240).map(lambda hours: START + hours * HOUR),
)


Kind = tuple[str, dict[str, Any]]
"""A fact's type and properties."""


def custom(values: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Kind]:
    return st.tuples(st.sampled_from([f"custom.{name}" for name in EVENTS]), values)


@cache
def rows_of(values: st.SearchStrategy[dict[str, Any]], participants: int) -> st.SearchStrategy[tuple[Kind, int, int]]:
    """A fact's kind, time and participant."""
    usual = custom(values)
    # Spelt out, for `one_of` would weigh each kind of system fact as much as all custom ones.
    kinds = st.sampled_from([True] * 8 + [False]).flatmap(lambda found: usual if found else system)
    return st.tuples(kinds, times, st.integers(0, participants - 1))


_usual = custom(amounts)
_enrolment: st.SearchStrategy[Kind] = st.just(("system.challenge_enrolled", {"challenge_code": "c0"}))
dense_row = st.tuples(
    st.sampled_from([True] * 9 + [False]).flatmap(lambda found: _usual if found else _enrolment), times
)


@st.composite
def revocable_games(draw: st.DrawFn) -> Rules:
    """Where every award may be taken back, and a late fact alone undoes none: it can only add."""
    rules = draw(games())
    document = rules.document
    for badge in document["badges"]:
        badge.pop("repeatable", None)
        levels = badge.get("criteria", {}).pop("levels", None)
        if levels is not None:
            badge["criteria"]["target"] = levels[0]
    for each in (*document["badges"], *document["challenges"]):
        each["revocable"] = True
    for challenge in document["challenges"]:
        if challenge["duration"]["type"] in ("rolling", "recurring"):
            challenge["duration"] = {"type": "perpetual"}
    for streak in document["streaks"]:
        streak["milestones"] = []
    # Where there is a limit, a late fact takes the place of another.
    criteria = [each["criteria"] for each in document["badges"] if "criteria" in each]
    objectives = [each for challenge in document["challenges"] for each in challenge["objectives"]]
    for each in (*document["points"], *criteria, *objectives):
        each.pop("limit", None)
        each.pop("cooldown", None)
    return Rules({**document, "overdraft": draw(st.sampled_from(["owed", "allowed"]))}, rules.applied_seq)


@st.composite
def histories_with_voids(
    draw: st.DrawFn, participants: int = 2, size: int = 18, values: st.SearchStrategy[dict[str, Any]] | None = None
) -> list[Fact]:
    """Facts of which some void others: by key or by id, earlier or later ones, or none that there is."""
    facts = draw(histories(participants, size, values))
    named = st.integers(1, len(facts) + 2)
    ways = st.sampled_from(["", "", "", "key", "key", "fact"])
    found: list[Fact] = []
    for fact in facts:
        way = draw(ways)
        if way == "key" and fact.fact_type.startswith("custom."):
            fact = replace(fact, voids=f"k{draw(named)}")
        elif way == "fact":
            given = {"fact_id": f"f{draw(named)}"}
            fact = replace(fact, fact_type="system.fact_voided", event_name="fact_voided", properties=given)
        found.append(fact)
    return found


@st.composite
def histories(
    draw: st.DrawFn, participants: int = 2, size: int = 18, values: st.SearchStrategy[dict[str, Any]] | None = None
) -> list[Fact]:
    """Facts in order of their `seq`."""
    drawn: Any = draw(st.sampled_from([properties, positive]))
    row = rows_of(drawn if values is None else values, participants)
    length = draw(st.integers(0, size))
    rows = draw(st.lists(row, min_size=length, max_size=length))
    return [
        Fact(f"f{seq}", seq, fact_type, fact_type.partition(".")[2], f"p{who}", values, at, at, f"k{seq}")
        for seq, ((fact_type, values), at, who) in enumerate(rows, 1)
    ]


@st.composite
def dense_histories(draw: st.DrawFn) -> list[Fact]:
    """Thirty facts of one participant within ten days; one in ten is an enrolment."""
    rows = draw(st.lists(dense_row, min_size=30, max_size=30))
    return [
        Fact(f"f{seq}", seq, fact_type, fact_type.partition(".")[2], "p0", values, at, at)
        for seq, ((fact_type, values), at) in enumerate(rows, 1)
    ]
