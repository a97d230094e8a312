"""Claims of rewards as they stand, read from a participant's facts."""

from collections.abc import Sequence

from pydantic_core import from_json

from bq_server.api.schemas.rewards import ParticipantReward
from bq_server.events import Scope
from bq_server.game.document.definitions import Game
from bq_server.game.facts import REWARD_CLAIMED, REWARD_FULFILLED
from bq_server.moments import format_timestamp
from bq_server.store import participants, reward_claims
from bq_server.store.database import Connection
from bq_server.store.facts import StoredFact


async def claims_of(connection: Connection, scope: Scope, game: Game, participant_id: str) -> list[ParticipantReward]:
    """A participant's claims, the newest first."""
    if not await reward_claims.are_any(connection, scope):
        return []  # looking at all facts of a busy participant would take longer than the rest of an answer
    own = await participants.facts(connection, scope, participant_id, [REWARD_CLAIMED, REWARD_FULFILLED])
    return _among(game, own)


def _among(game: Game, own: Sequence[StoredFact]) -> list[ParticipantReward]:
    """Claims among a participant's facts, the newest first."""
    rewards = {each.code: each for each in game.rewards}
    fulfilled = {
        from_json(fact.properties)["claim_id"]
        for fact in own
        if fact.fact_type == REWARD_FULFILLED and fact.voided_by is None
    }
    found = []
    for fact in reversed(own):
        if fact.fact_type != REWARD_CLAIMED:
            continue
        told = from_json(fact.properties)
        reward = rewards.get(told["reward_code"])
        found.append(
            ParticipantReward(
                claim_id=fact.fact_id,
                reward_id=told["reward_code"],
                reward_name=told["reward_code"] if reward is None else reward.name,
                reward_type=None if reward is None else reward.type,
                code_value=told.get("code_value"),
                points_deducted=told["cost"],
                currency=told.get("currency"),
                status=(
                    "cancelled"
                    if fact.voided_by is not None
                    else "fulfilled"
                    if fact.fact_id in fulfilled
                    else "claimed"
                ),
                claimed_at=format_timestamp(fact.occurred_at),
            )
        )
    return found
