"""Games for the property tests: a few definitions of each kind, or those of one kind that are hard to get right."""

from dataclasses import dataclass
from typing import Any

from bq_server.game.compiled_game import CompiledGame, compile_game
from bq_server.game.document.definitions import Game
from tests.game import kept_strategies as st
from tests.game.currency_strategies import in_currencies
from tests.game.definition_strategies import (
    ABOUT_THE_PARTICIPANT,
    EVENTS,
    SEASONS,
    ZONES,
    badges,
    board_metrics,
    challenges,
    contests,
    limits,
    multipliers,
    on,
    streaks,
    when,
)

few = st.sampled_from([1, 1, 2, 0])


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
                "award": draw(st.sampled_from([3, 3, "properties.x", "participant.attributes.bonus"])),
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
    metrics = [each["metric"] for each in document["leaderboards"] if each["metric"] != "points"]
    # A change of attributes that comes late makes facts count that were not, and others not that were.
    for each in (*document["points"], *criteria, *objectives, *metrics, *document["streaks"]):
        if each["when"] in ABOUT_THE_PARTICIPANT:
            each["when"] = None
    for each in document["points"]:
        if each["award"] == "participant.attributes.bonus":
            each["award"] = 3
    for each in (*document["points"], *criteria, *objectives):
        each.pop("limit", None)
        each.pop("cooldown", None)
    return Rules({**document, "overdraft": draw(st.sampled_from(["owed", "allowed"]))}, rules.applied_seq)
