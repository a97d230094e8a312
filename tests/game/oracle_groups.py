"""The second opinion about challenges that groups share: what a participant adds, and what facts tell of the group."""

import math
from fractions import Fraction
from typing import Any

from bq_server.game.facts import Fact
from tests.game.oracle_calendar import micros
from tests.game.oracle_facts import amount, matching
from tests.game.oracle_outcome import Outcome, reward
from tests.game.oracle_participants import attribute


def run_shared(challenge: dict[str, Any], story: list[Fact], applied_seq: int, out: Outcome) -> None:
    code, duration, objective = challenge["code"], challenge["duration"], challenge["objectives"][0]
    counted = matching(objective, story, applied_seq)
    if duration["type"] == "fixed":
        begin, end = micros(duration["starts_at"]), micros(duration["ends_at"])
        counted = [fact for fact in counted if begin <= fact.occurred_at < end]
    added: dict[str, list[Fact]] = {}
    for fact in counted:
        group = attribute(fact, "team")
        if isinstance(group, str) and amount(objective, fact) > 0:
            added.setdefault(group, []).append(fact)
    for group, facts in added.items():
        total = sum((Fraction(amount(objective, fact)) for fact in facts), Fraction(0))
        newest = max(fact.occurred_at for fact in facts)
        out.scores[f"challenge/{code}", "all_time", f"all_time/{group}"] = (total, newest)
    told = [
        Fraction(str(fact.properties["at"]))
        for fact in story
        if fact.fact_type == "system.shared_challenge_reached"
        and fact.properties["challenge_code"] == code
        and fact.seq > applied_seq
    ]
    unit = 10**6 if objective["aggregate"] == "sum" else 1
    value = Fraction(math.ceil(max(told, default=Fraction(0)) * objective["target"] * unit), unit)
    is_met = value >= objective["target"]
    out.objectives[code, objective["code"]] = "met" if is_met else value
    passed = {
        each["at"] for each in challenge["milestones"] if value / objective["target"] >= Fraction(str(each["at"]))
    }
    out.milestones |= {(code, at) for at in passed}
    for each in challenge["milestones"]:
        reward(out, each["rewards"] if each["at"] in passed else [])
    if is_met:
        out.completed.add(code)
        out.badges.add("given")
        reward(out, challenge["rewards"])
