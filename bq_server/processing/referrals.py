"""Referrals, read from facts: codes, who came by which, and how many by each.

They have no table of their own. The index of idempotency keys finds a code, and counts who came by it: the key of the
fact that makes a code begins those of the facts of who came by it. Codes and referrals that are void don't count.
"""

from collections.abc import Iterable

from pydantic_core import from_json

from bq_server.events import Scope, ScopedKey
from bq_server.game.facts import PARTICIPANT_REFERRED, REFERRAL_CODE_MADE
from bq_server.store import facts, participants
from bq_server.store.aliases import story_of
from bq_server.store.database import Connection
from bq_server.store.facts import StoredFact

MAX_ABOVE = 50
"""How far up circles are looked for: somebody's referrer, whose referrer, and so on."""


def key_of_code(code: str) -> str:
    """The idempotency key of the fact that makes a code, in any case of its letters."""
    return f"referral:{code.lower()}"


def key_of_referral(code: str, unique: str) -> str:
    """The idempotency key of the fact that somebody came by a code."""
    return f"{key_of_code(code)}:{unique}"


async def fact_of_code(connection: Connection, scope: Scope, code: str) -> StoredFact | None:
    """The fact that made a code, in any case of its letters; None if it refers nobody."""
    key = ScopedKey(scope, key_of_code(code))
    fact = (await facts.by_keys(connection, [key])).get(key)
    return fact if fact is not None and fact.fact_type == REFERRAL_CODE_MADE and fact.voided_by is None else None


async def code_for(
    connection: Connection, scope: Scope, participant_id: str, campaign_id: str | None
) -> StoredFact | None:
    """The fact that made the participant's code for a campaign."""
    made = await _facts(connection, scope, participant_id, REFERRAL_CODE_MADE)
    own = (fact for fact in made if from_json(fact.properties).get("campaign_id") == campaign_id)
    return _first(own)


async def referral_of(connection: Connection, scope: Scope, participant_id: str) -> StoredFact | None:
    """The fact that says who referred a participant: of several, which only an import or an alias brings, the first."""
    return _first(await _facts(connection, scope, participant_id, PARTICIPANT_REFERRED))


async def referrer_of(connection: Connection, scope: Scope, referral: StoredFact) -> str:
    """Who referred, whomever that name stands for by now."""
    return await story_of(connection, scope, str(from_json(referral.properties).get("referrer_id")))


async def referral_above(connection: Connection, scope: Scope, participant_id: str, referred: str) -> StoredFact | None:
    """The referral of another, or of who referred that one, and so on, that is the participant's own doing."""
    for _ in range(MAX_ABOVE):
        referral = await referral_of(connection, scope, referred)
        if referral is None:
            return None
        referred = await referrer_of(connection, scope, referral)
        if referred == participant_id:
            return referral
    return None


async def count(connection: Connection, scope: Scope, participant_id: str) -> int:
    """How many others came by the participant's codes, those that are void by now included.

    Who came under several names is one, and who turned out to be the participant is none.
    """
    who = await story_of(connection, scope, participant_id)
    return await facts.count_who_came(connection, scope, who, REFERRAL_CODE_MADE, PARTICIPANT_REFERRED)


async def _facts(connection: Connection, scope: Scope, participant_id: str, fact_type: str) -> list[StoredFact]:
    who = await story_of(connection, scope, participant_id)
    return await participants.facts(connection, scope, who, [fact_type])


def _first(found: Iterable[StoredFact]) -> StoredFact | None:
    """The first made of those that aren't void."""
    return min((fact for fact in found if fact.voided_by is None), key=lambda fact: fact.seq, default=None)
