"""Referrals in a chaos run: each participant is referred once, by whoever was first, and nobody in a circle.

Who is first isn't foretold. But what was answered must agree with the facts: a referral, the other one that was first,
or the circle that it would have closed. What both are paid follows from the facts.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx

from bq_server.game.facts import PARTICIPANT_REFERRED, REFERRAL_CODE_MADE
from harness.chaos.ledger import ChaosLedger, Kind

Json = Mapping[str, Any]


async def refer(http: httpx.AsyncClient, body: Json) -> tuple[str, httpx.Response]:
    """Have the referrer's code made, or told again, and convert it. Raises `httpx.TransportError`.

    Returns the code, empty where none was told, and the last answer.
    """
    made = await http.post("/referrals/generate", json={"participant_id": body["referrer_id"]})
    code = _code(made)
    if not code:
        return "", made
    sent = {"code": code, "referred_session_id": body["participant_id"]}
    return code, await http.post("/referrals/convert", json=sent)


def _code(made: httpx.Response) -> str:
    try:
        return str(made.json()["code"]) if made.status_code == httpx.codes.OK else ""
    except (ValueError, LookupError, TypeError):
        return ""


def is_circle(problem: Json) -> bool:
    """Whether a refusal says that the referral would close a circle."""
    return [error["code"] for error in problem.get("errors") or ()] == ["circle"]


class Referrals:
    """The codes and the referrals among facts."""

    def __init__(self, facts: Sequence[Json]) -> None:
        self._codes: dict[str, list[str]] = defaultdict(list)
        self._of: dict[str, list[Json]] = defaultdict(list)
        for fact in facts:
            if fact["fact_type"] == REFERRAL_CODE_MADE:
                self._codes[fact["participant_id"]].append(fact["properties"]["code"])
            elif fact["fact_type"] == PARTICIPANT_REFERRED:
                self._of[fact["participant_id"]].append(fact)

    def judge(self, told: Mapping[str, set[str]], ledger: ChaosLedger) -> None:
        """Enter codes and referrals that are more than one, or wrong. `told` are the codes answered, by referrer."""
        for who in sorted(self._codes.keys() | told.keys()):
            subject, own = f"referral code of {who}", self._codes.get(who, [])
            if len(own) > 1:
                ledger.find(Kind.DOUBLED, subject, [f"there are {own}"])
            if missing := sorted(told.get(who, set()) - set(own)):
                ledger.find(Kind.LOST, subject, [f"told was {missing}, and there are {own}"])
            if who not in told:
                ledger.find(Kind.FOREIGN, subject, [f"nobody was told {own}"])
        for who, found in sorted(self._of.items()):
            subject, lines = f"referral of {who}", [str(fact) for fact in found]
            if len(found) > 1:
                ledger.find(Kind.DOUBLED, subject, lines)
            if who in self._above(who):
                ledger.find(Kind.ALTERED, subject, ["it is one of a circle", *lines])
            for fact in found:
                said = fact["properties"]
                if said["code"] not in self._codes.get(said["referrer_id"], ()):
                    ledger.find(Kind.ALTERED, subject, ["the code isn't the referrer's", str(fact)])

    def contradiction(self, body: Json, fact_id: str) -> str:
        """What contradicts a refusal; empty if nothing does.

        `fact_id` is that of the referral which was said to have been first, empty where a circle was the reason.
        """
        who, referrer = body["participant_id"], body["referrer_id"]
        if not fact_id:
            return "" if who in self._above(referrer) else "it would have closed no circle"
        first = [fact for fact in self._of.get(who, ()) if fact["fact_id"] == fact_id]
        by_another = first and first[0]["properties"]["referrer_id"] != referrer
        return "" if by_another else f"{fact_id} is no referral by another"

    def _above(self, participant_id: str) -> Iterator[str]:
        """Who referred a participant, who referred that one, and so on; in a circle, each of them once."""
        seen = set[str]()
        while (found := self._of.get(participant_id)) and (by := found[0]["properties"]["referrer_id"]) not in seen:
            yield by
            seen.add(by)
            participant_id = by
