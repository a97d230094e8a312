"""Claims of rewards: which facts they are, so that stock can be counted. A void one was cancelled."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from bq_server.events import Scope
from bq_server.store.database import Connection
from bq_server.store.queries import load

_queries = load("reward_claims")
_writing = load("reward_claims", "sqlite3")


class NewRewardClaim(NamedTuple):
    """A claim to store."""

    seq: int
    """Of its fact."""
    reward_code: str
    code_value: str | None


def add(connection: Any, scope: Scope, claims: Iterable[NewRewardClaim]) -> None:
    """Store claims, in the transaction of their facts. On the connection's own thread (`Connection.run`)."""
    _writing.add(
        connection,
        [
            scope._asdict() | {"fact": each.seq, "reward_code": each.reward_code, "code_value": each.code_value}
            for each in claims
        ],
    )


async def are_any(connection: Connection, scope: Scope) -> bool:
    """Whether there is any claim in the environment, cancelled ones included."""
    return bool(await _queries.are_any(connection, **scope._asdict()))


async def codes(connection: Connection, scope: Scope, reward_code: str) -> list[str | None]:
    """The codes given out with claims of a reward that were not cancelled; None for a claim without one."""
    return [row[0] async for row in _queries.codes(connection, **scope._asdict(), reward_code=reward_code)]


async def count_of_reward(connection: Connection, scope: Scope, participant_id: str, reward_code: str) -> int:
    """How many claims of a reward by a participant were not cancelled."""
    parameters = {**scope._asdict(), "participant_id": participant_id, "reward_code": reward_code}
    found: int = await _queries.count_of_reward(connection, **parameters)
    return found


async def of_participant(connection: Connection, participant: int) -> dict[int, tuple[str, str | None]]:
    """What is remembered of a participant's facts as claims: the reward and its code, by the seq of the fact."""
    rows = _queries.of_participant(connection, participant=participant)
    return {row[0]: (row[1], row[2]) async for row in rows}


def put(connection: Any, scope: Scope, claims: Iterable[NewRewardClaim], removed: Iterable[int]) -> None:
    """Remember these claims, whatever was remembered of their facts, and forget those of other facts, by seq.

    On the connection's own thread.
    """
    renewed = list(claims)
    _writing.remove(connection, [{"fact": fact} for fact in (*removed, *(each.seq for each in renewed))])
    add(connection, scope, renewed)


async def counts(connection: Connection, scope: Scope) -> dict[str, int]:
    """How many claims of each reward were not cancelled, by code."""
    return {row[0]: row[1] async for row in _queries.counts(connection, **scope._asdict())}


async def count_of(connection: Connection, scope: Scope, participant_id: str) -> int:
    """How many claims of a participant were not cancelled."""
    found: int = await _queries.count_of(connection, **scope._asdict(), participant_id=participant_id)
    return found
