"""The second opinion about leaderboards and contests."""

from typing import Any
from zoneinfo import ZoneInfo

from bq_server.game.facts import Fact
from tests.game.oracle_calendar import day, micros
from tests.game.oracle_facts import amount, matching, total
from tests.game.oracle_outcome import Outcome
from tests.game.oracle_participants import attribute


def run_contest(contest: dict[str, Any], story: list[Fact], applied_seq: int, out: Outcome) -> None:
    code, begin, end = contest["code"], micros(contest["starts_at"]), micros(contest["ends_at"])
    told = [fact for fact in story if fact.fact_type.startswith("system.contest_") and fact.seq > applied_seq]
    told = [fact for fact in told if fact.properties["contest_code"] == code]
    places = [fact.properties["rank"] for fact in told if fact.fact_type == "system.contest_placed"]
    if places:
        out.placed[code] = places[-1]
    if not any(fact.fact_type == "system.contest_entered" and fact.occurred_at < end for fact in told):
        return
    scoring = contest["scoring"]
    counted = [fact for fact in matching(scoring, story, applied_seq) if begin <= fact.occurred_at < end]
    score = total(scoring["aggregate"], [amount(scoring, fact) for fact in counted])
    moved = [fact.occurred_at for fact in counted if amount(scoring, fact) != 0]
    out.contests[code] = (score, max(moved, default=None))


def run_board(board: dict[str, Any], window: Any, story: list[Fact], applied_seq: int, out: Outcome) -> None:
    metric = board["metric"]
    by_period: dict[tuple[str, str], list[Fact]] = {}
    for fact in matching(metric, story, applied_seq):
        local = day(fact.occurred_at, ZoneInfo(board.get("timezone", "UTC")))
        if isinstance(window, dict):
            if not micros(window["starts_at"]) <= fact.occurred_at < micros(window["ends_at"]):
                continue
            kind, name = "season", window["starts_at"].replace("+00:00", "Z")
        else:
            kind = window
            name = {
                "daily": local.isoformat(),
                "weekly": local.strftime("%G-W%V"),
                "monthly": local.strftime("%Y-%m"),
                "all_time": "all_time",
            }[window]
        if "group_by" in board:
            team = attribute(fact, "team")
            if not isinstance(team, str):
                continue
            name = f"{name}/{team}"
        by_period.setdefault((kind, name), []).append(fact)
    for (kind, name), facts in by_period.items():
        amounts: list[Any] = []
        score: Any = None
        reached = None
        for fact in facts:
            amounts.append(amount(metric, fact))
            new = total(metric["aggregate"], amounts)
            moved = amounts[-1] != 0 if metric["aggregate"] == "sum" else new != score
            if moved:
                reached = fact.occurred_at
            score = new
        ranked = -score if board.get("order") == "ascending" else score
        out.scores[board["code"], kind, name] = (ranked, reached)
