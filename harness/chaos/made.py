"""The facts that the server makes by itself: points that expire unspent, places in contests, what groups have reached.

When it makes them depends on what has arrived by then. What they come to is checked where it doesn't: nothing spends
the currency that expires, the result of one contest is frozen when everything has arrived, and what groups share only
grows.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bq_server.game.facts import CONTEST_PLACED, POINTS_EXPIRED, SHARED_CHALLENGE_REACHED
from harness.chaos import game, groups
from harness.chaos.ledger import ChaosLedger, Kind
from harness.chaos.oracle import Oracle

Json = Mapping[str, Any]

Entered = Mapping[str, Sequence[str]]
"""By contest, who entered it."""


def is_made(fact: Json) -> bool:
    """Whether the server makes such facts by itself."""
    return fact["fact_type"] in (POINTS_EXPIRED, CONTEST_PLACED, SHARED_CHALLENGE_REACHED)


def judge(facts: Sequence[Json], expected: Oracle, entered: Entered, now: int, ledger: ChaosLedger) -> None:
    """Enter what is wrong with these facts, when nothing more is on its way. `now` is what the clock shows."""
    ledger.made = Counter(fact["fact_type"] for fact in facts if is_made(fact))
    for participant_id, difference in expiry_differences(facts, expected, now):
        ledger.find(Kind.DIFFERENCE, f"{game.EXPIRING} of {participant_id}", [difference])
    for code, people in entered.items():
        for difference in result_differences(code, facts, people):
            ledger.find(Kind.DIFFERENCE, f"result of contest {code}", [difference])
    groups.judge(facts, expected.groups, ledger)
    wanted = [(place.participant_id, place.score) for place in expected.contest(game.FINAL)]
    found = [(place["participant_id"], place["properties"]["score"]) for place in _places(game.FINAL, facts)]
    if found != wanted:
        ledger.find(Kind.DIFFERENCE, f"result of contest {game.FINAL}", [f"expected {wanted}", f"found    {found}"])


def expiry_differences(facts: Sequence[Json], expected: Oracle, now: int) -> Iterator[tuple[str, str]]:
    """Participants whose points expired otherwise than their age says."""
    expired: Counter[str] = Counter()
    for fact in facts:
        if fact["fact_type"] == POINTS_EXPIRED:
            expired[fact["participant_id"]] += fact["properties"]["amount"]
    for participant_id in expected.participants:
        earned = expected.earned(participant_id, game.EXPIRING)
        due = sum(amount for at, amount in earned if at + game.EXPIRES_AFTER <= now)
        if due != expired[participant_id]:
            yield participant_id, f"{due} are old enough, and {expired[participant_id]} have expired"


def result_differences(code: str, facts: Sequence[Json], entered: Sequence[str]) -> Iterator[str]:
    """What is wrong with the frozen result of a contest, whatever had arrived when it was frozen."""
    places = _places(code, facts)
    who = Counter(place["participant_id"] for place in places)
    if who != Counter(entered):
        yield f"entered {sorted(entered)}, and have a place {sorted(who.elements())}"
    ranks = [place["properties"]["rank"] for place in places]
    if ranks != list(range(1, len(places) + 1)):
        yield f"the ranks are {ranks}"
    scores = [place["properties"]["score"] for place in places]
    if scores != sorted(scores, reverse=True):
        yield f"the scores in order of rank are {scores}"
    for place in places:
        told = place["properties"]
        prize = (told.get("points") or 0, told.get("badge"))
        if prize != game.prize_of(told["rank"]):
            yield f"rank {told['rank']} won {prize}, not {game.prize_of(told['rank'])}"


def _places(code: str, facts: Sequence[Json]) -> list[Json]:
    by_contest: dict[str, list[Json]] = defaultdict(list)
    for fact in facts:
        if fact["fact_type"] == CONTEST_PLACED:
            by_contest[fact["properties"]["contest_code"]].append(fact)
    return sorted(by_contest[code], key=lambda fact: int(fact["properties"]["rank"]))
