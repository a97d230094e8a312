"""Definitions for the property tests: small alphabets, so that definitions and facts meet often."""

from datetime import UTC, datetime
from typing import Any, get_args

from bq_server.game.document.streaks import StreakPeriod
from tests.game import kept_strategies as st

EVENTS = ["a", "b", "c"]
ZONES = ["UTC", "Asia/Tokyo", "Europe/Paris", "America/New_York", "Pacific/Kiritimati"]
HOUR = 3_600_000_000
# Two days before Europe's clocks go forward; New York's went three weeks earlier.
START = int(datetime(2026, 3, 27, tzinfo=UTC).timestamp()) * 1_000_000

on = st.lists(st.sampled_from(EVENTS), min_size=1, max_size=2, unique=True)
ABOUT_THE_PARTICIPANT = [
    'participant.attributes.team == "red"',
    "has(participant.attributes.team.city) && properties.x >= 1.0",
]
when = st.sampled_from(
    [None] * 4 + ["properties.x >= 2.0", 'properties.s == "u"', "has(properties.y)", *ABOUT_THE_PARTICIPANT]
)


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
    period = draw(st.sampled_from(["daily", "daily", *get_args(StreakPeriod)]))
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
            {"when": 'properties.s == "u"', "by": 2},
            {"when": "has(properties.y)", "during": {"starts_at": moment(20)}, "by": 1.5},
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
