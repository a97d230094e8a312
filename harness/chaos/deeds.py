"""Deeds: claims of rewards, transfers and referrals, done while the server is broken, each until it is answered.

Unlike an event, a deed may be refused: nobody spends what they haven't, there are fewer rewards than are wanted, and
whoever was referred before is not referred again.
What is refused or done depends on what has arrived by then, so it isn't foretold. But each deed is done once or not at
all, what was acknowledged is done, and no reward is given twice.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from random import Random
from typing import Any, assert_never

import httpx
from msgspec import Struct
from msgspec.structs import replace

from bq_server.game.facts import PARTICIPANT_REFERRED, POINTS_TRANSFERRED, REFERRAL_CODE_MADE, REWARD_CLAIMED
from harness.chaos import game
from harness.chaos.clients import LONGEST_WAIT, SHORTEST_WAIT, PostOutcome, Traffic, connection_to
from harness.chaos.history import participants
from harness.chaos.ledger import ChaosLedger, Kind
from harness.chaos.options import Options
from harness.chaos.referrals import Referrals, is_circle, refer

Json = Mapping[str, Any]

DEEDS_PER_SECOND = 6.0
REPEATED_SHARE = 0.25
"""Share of the deeds that are done again under their key when they have been answered."""

REFUSALS = frozenset({(400, "insufficient_points"), (409, "reward_unavailable"), (404, "not_found")})
"""Status and code of refusals that a claim or transfer may get; the last before anything of a participant arrived."""

LARGEST_TRANSFER = 30


class DeedKind(StrEnum):
    """The kinds; the value is the type of the fact that one becomes."""

    CLAIM = REWARD_CLAIMED
    TRANSFER = POINTS_TRANSFERRED
    REFERRAL = PARTICIPANT_REFERRED


ANSWERED = {DeedKind.CLAIM: "claim_id", DeedKind.TRANSFER: "transfer_id", DeedKind.REFERRAL: "conversion_id"}
"""Where an answer names the fact."""

SHARES = {DeedKind.CLAIM: 0.4, DeedKind.TRANSFER: 0.4, DeedKind.REFERRAL: 0.2}
"""Share of the deeds that are of each kind."""


class Deed(Struct, frozen=True):
    """A request that is made until it is done or refused."""

    due: float
    """Seconds from the start."""
    kind: DeedKind
    path: str
    body: Json
    key: str
    """The idempotency key; of a referral, who by whom."""
    repeats: bool
    """Whether it is done once more."""

    @property
    def participant_id(self) -> str:
        """Who does it."""
        return str(self.body["participant_id"])


class DeedTry(Struct, frozen=True):
    """One try of a deed."""

    deed: Deed
    outcome: PostOutcome | None
    """None where it was refused."""
    said: str = ""
    fact_id: str = ""
    """Of an acknowledged one; of a refused referral, that of the one that was first, if this was the reason."""
    code: str = ""
    """That of the referrer, if it was told."""


def plan(options: Options) -> list[Deed]:
    """The deeds of a run, in order: the same seed makes the same ones."""
    random = Random(f"{options.seed}:deeds")  # noqa: S311 - not for secrets
    people, found, planned = participants(options), list[Deed](), set[str]()
    due = random.expovariate(DEEDS_PER_SECOND)
    while due < options.seconds:
        who, other = random.sample(people, 2) if len(people) > 1 else (people[0], "somebody")
        key = f"deed-{options.seed}-{len(found)}"
        repeats = random.random() < REPEATED_SHARE
        body: dict[str, Any] = {"participant_id": who}
        kind = random.choices(list(SHARES), list(SHARES.values()))[0]
        match kind:
            case DeedKind.CLAIM:
                path = f"/gamify/rewards/{random.choice((game.STOCKED, game.CODED))}/claim"
            case DeedKind.TRANSFER:
                path = "/gamify/points/transfer"
                body |= {"recipient_id": other, "amount": random.randint(1, LARGEST_TRANSFER)}
            case DeedKind.REFERRAL:
                path, key = "/referrals/convert", _pair(who, other)
                body |= {"referrer_id": other}
            case _:
                assert_never(kind)
        if key not in planned:  # the same referral again couldn't be told from the first
            found.append(Deed(due, kind, path, body, key, repeats))
        planned.add(key)
        due += random.expovariate(DEEDS_PER_SECOND)
    return found


def _pair(who: str, referrer: str) -> str:
    return f"{who} by {referrer}"


async def do(
    deeds: Sequence[Deed], traffic: Traffic, url: str, key: str, *, seed: int, until: float, tries: list[DeedTry]
) -> None:
    """Do all of them, each at its time, and add each try; those not answered `until` that many seconds are given up."""
    async with connection_to(url, key) as http:

        async def one(number: int, deed: Deed) -> None:
            random = Random(f"{seed}:deed:{number}")  # noqa: S311 - not for secrets
            await asyncio.sleep(max(0.0, deed.due - traffic.now))
            wait, left = SHORTEST_WAIT, 1 + deed.repeats
            while left and traffic.now < until:
                made = await _try(http, deed)
                tries.append(made)
                if made.outcome in (None, PostOutcome.ACKNOWLEDGED):
                    left -= 1
                elif made.outcome is PostOutcome.UNEXPECTED:
                    return
                else:
                    await asyncio.sleep(wait * random.uniform(0.5, 1.0))
                    wait = min(2 * wait, LONGEST_WAIT)

        async with asyncio.TaskGroup() as all_of_them:
            for number, deed in enumerate(deeds):
                all_of_them.create_task(one(number, deed))


async def _try(http: httpx.AsyncClient, deed: Deed) -> DeedTry:
    code = ""
    try:
        if deed.kind is DeedKind.REFERRAL:
            code, response = await refer(http, deed.body)
        else:
            response = await http.post(deed.path, json=dict(deed.body), headers={"Idempotency-Key": deed.key})
    except httpx.TransportError as error:
        return DeedTry(deed, PostOutcome.NO_ANSWER, type(error).__name__)
    return replace(read_answer(deed, response.status_code, response.text), code=code)


def read_answer(deed: Deed, status: int, text: str) -> DeedTry:
    """What an answer says about a deed."""
    said = f"{status} {text[:500]}"
    try:
        body = json.loads(text)
        if status == 200:
            is_another = deed.kind is DeedKind.REFERRAL and not body["converted"]
            return DeedTry(deed, None if is_another else PostOutcome.ACKNOWLEDGED, said, body[ANSWERED[deed.kind]])
        may_be_refused = is_circle(body) if deed.kind is DeedKind.REFERRAL else (status, body["code"]) in REFUSALS
        if may_be_refused:
            return DeedTry(deed, None, said)
        if status == 503:
            return DeedTry(deed, PostOutcome.UNAVAILABLE, said)
    except (ValueError, LookupError, TypeError):
        pass
    return DeedTry(deed, PostOutcome.UNEXPECTED, said)


def is_of_a_deed(fact: Json) -> bool:
    """Whether a fact is what a deed becomes, or the code of a referrer."""
    return fact["fact_type"] in {*DeedKind, REFERRAL_CODE_MADE}


def _key(fact: Json) -> str:
    """The key of the deed whose fact this is."""
    if fact["fact_type"] == PARTICIPANT_REFERRED:
        return _pair(fact["participant_id"], fact["properties"]["referrer_id"])
    return str(fact["idempotency_key"])


def judge(deeds: Sequence[Deed], tries: Sequence[DeedTry], facts: Sequence[Json], ledger: ChaosLedger) -> None:
    """Enter what became of the deeds, and everything that is wrong with that."""
    by_key = {deed.key: deed for deed in deeds}
    found: dict[str, list[Json]] = defaultdict(list)
    for fact in facts:
        if fact["fact_type"] not in set(DeedKind):
            continue
        deed = by_key.get(_key(fact))
        if deed is None or deed.kind != fact["fact_type"]:
            ledger.find(Kind.FOREIGN, f"fact {fact['fact_id']}", [str(fact)])
        else:
            found[deed.key].append(fact)
    made: dict[str, list[DeedTry]] = defaultdict(list)
    for each in tries:
        made[each.deed.key].append(each)
    referrals = Referrals(facts)
    for key, of_one in made.items():
        _judge_deed(by_key[key], of_one, found[key], referrals, ledger)
    codes: dict[str, set[str]] = defaultdict(set)
    for each in tries:
        if each.deed.kind is DeedKind.REFERRAL:
            codes[each.deed.body["referrer_id"]] |= {each.code} - {""}
    referrals.judge(codes, ledger)
    for what in oversold(facts):
        ledger.find(Kind.DOUBLED, what)


def _judge_deed(
    deed: Deed, tries: Sequence[DeedTry], facts: Sequence[Json], referrals: Referrals, ledger: ChaosLedger
) -> None:
    acknowledged = [each for each in tries if each.outcome is PostOutcome.ACKNOWLEDGED]
    refused = [each for each in tries if each.outcome is None]
    unsure = any(each.outcome in (PostOutcome.NO_ANSWER, PostOutcome.UNAVAILABLE) for each in tries)
    ledger.deeds += 1
    ledger.deeds_done += bool(facts)
    ledger.deeds_refused += bool(refused and not facts)

    def find(kind: Kind, what: str) -> None:
        told = [what, str(dict(deed.body)), *(f"{each.outcome or 'refused'} {each.said}" for each in tries)]
        ledger.find(kind, f"{deed.kind} {deed.key} of {deed.participant_id}", [*told, *map(str, facts)])

    for each in tries:
        if each.outcome is PostOutcome.UNEXPECTED:
            find(Kind.UNEXPECTED, each.said)
    if acknowledged and not facts:
        find(Kind.LOST, "it was acknowledged, and there is no fact")
    if len(facts) > 1:
        find(Kind.DOUBLED, "it is more than one fact")
    if others := {each.fact_id for each in acknowledged} - {str(fact["fact_id"]) for fact in facts}:
        find(Kind.ALTERED, f"it was acknowledged as {', '.join(sorted(others))}")
    # A try without an answer may still be carried out, after another one was refused.
    if refused and facts and not acknowledged and not unsure:
        find(Kind.ALTERED, "it was refused, and is a fact")
    for each in refused if deed.kind is DeedKind.REFERRAL else ():
        if wrong := referrals.contradiction(deed.body, each.fact_id):
            find(Kind.ALTERED, f"it was refused, and {wrong}")
    for fact in facts:
        wanted = {name: value for name, value in deed.body.items() if name != "participant_id"}
        same = all(fact["properties"].get(name) == value for name, value in wanted.items())
        if fact["participant_id"] != deed.participant_id or not same:
            find(Kind.ALTERED, "the fact is of another deed")


def oversold(facts: Sequence[Json]) -> Iterator[str]:
    """Rewards that were given more often than there are, and codes that several have."""
    claims = [fact["properties"] for fact in facts if fact["fact_type"] == REWARD_CLAIMED]
    sold = Counter(claim["reward_code"] for claim in claims)
    for code, amount in ((game.STOCKED, game.STOCK), (game.CODED, len(game.CODES))):
        if sold[code] > amount:
            yield f"{sold[code]} of {amount} {code} were claimed"
    codes = Counter(claim["code_value"] for claim in claims if claim["reward_code"] == game.CODED)
    for code, times in sorted(codes.items()):
        if times > 1 or code not in game.CODES:
            yield f"{code} was given {times} times"
