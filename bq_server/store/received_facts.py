"""Facts in the stories of others: who has received which, and what that caused for them.

Everything but what is `async` is called on the connection's own thread.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bq_server.exact_json import dumps
from bq_server.ids import pack
from bq_server.store.bulk import Insert
from bq_server.store.facts import EARLIEST, LATEST
from bq_server.store.queries import load

_queries = load("received_facts", "sqlite3")
_put = Insert(_queries.put.sql)

Row = tuple[Any, ...]
"""seq, the fact's own id and the event's as they are stored, type, event name, properties as JSON, event time, time of
arrival, idempotency key, the key of the fact that it voids, the sender, and the seq of the fact that voids it."""

KeptEffects = Mapping[str | None, str]
"""What a fact caused, as stored: for its own participant (None), and for each who has received it."""

PAGE = 5_000
"""Facts read at a time to find whom they name."""


def has_any(reading: Any) -> bool:
    """Whether anybody, of any environment, has received a fact; on the connection's own thread."""
    return bool(_queries.has_any(reading))


def put(connection: Any, rows: Iterable[tuple[int, int, str | None]]) -> None:
    """Have participants receive facts: each by its integer, with the fact's seq and what that caused, as stored."""
    _put(connection, sorted(rows, key=lambda row: row[:2]))


def whole_story(connection: Any, participant: int) -> list[Row]:
    """All that a participant has received, in the order of the fold."""
    return list(_queries.whole_story(connection, participant=participant))


def history(
    connection: Any, participant: int, fact_types: Iterable[str], since: int | None, until: int | None
) -> list[Row]:
    """What a participant has received of these types from one moment until before another, in the order of the fold."""
    return list(
        _queries.history(
            connection,
            participant=participant,
            fact_types=dumps(sorted(fact_types)),
            since=EARLIEST if since is None else since,
            until=LATEST if until is None else until,
        )
    )


def about_voids(connection: Any, participant: int) -> list[Row]:
    """What a participant has received that voids another, or is void."""
    return list(_queries.about_voids(connection, participant=participant))


def named(connection: Any, participant: int, scope: int, keys: Iterable[str], fact_ids: Iterable[str]) -> list[Row]:
    """What a participant has received of these idempotency keys or ids."""
    packed = json.dumps([pack("fact", each).hex() for each in fact_ids])
    own = {"participant": participant, "scope": scope}
    return list(_queries.named(connection, **own, keys=json.dumps(list(keys)), fact_ids=packed))


def recipients_of(connection: Any, seqs: Iterable[int]) -> dict[int, set[str]]:
    """Who has received these facts, by seq."""
    found: dict[int, set[str]] = {}
    for seq, participant_id in _queries.recipients_of(connection, seqs=json.dumps(list(seqs))):
        found.setdefault(seq, set()).add(participant_id)
    return found


def recipients_by_sender(connection: Any, participant: int) -> dict[int, set[str]]:
    """Who has received facts of a participant, by seq; the empty string stands for those who were erased."""
    found: dict[int, set[str]] = {}
    for seq, participant_id in _queries.recipients_by_sender(connection, participant=participant):
        found.setdefault(seq, set()).add(participant_id)
    return found


def facts_to_deliver(connection: Any, scope: int, fact_types: Iterable[str], after: int) -> list[Row]:
    """The next facts of these types that may name somebody, as rows without the last column; at most `PAGE`."""
    own = {"scope": scope, "fact_types": dumps(sorted(fact_types)), "after": after}
    return list(_queries.facts_to_deliver(connection, **own, limit=PAGE))


def senders_of_voids(connection: Any, scope: int) -> list[tuple[str, int]]:
    """Whose facts void others: ids and integers."""
    return [(row[0], row[1]) for row in _queries.senders_of_voids(connection, scope=scope)]


def effects_of(connection: Any, seqs: Sequence[int]) -> dict[int, dict[str | None, str]]:
    """What facts caused when they were processed, by seq; facts that caused nothing are left out."""
    found: dict[int, dict[str | None, str]] = {}
    for seq, participant_id, effects in _queries.effects_of(connection, seqs=json.dumps(list(seqs))):
        found.setdefault(seq, {})[participant_id] = effects
    return found


def effects_for(connection: Any, participant: int) -> list[Row]:
    """What facts caused for a participant who received them, in the order of the fold.

    A row has seq, the fact's own id and the event's as stored, type, event time, and the effects or null.
    """
    return list(_queries.effects_for(connection, participant=participant))


def give_to_nobody(connection: Any, participant: int, nobody: int, limit: int) -> int:
    """Take at most so many received facts from a participant, without what they caused; returns how many."""
    _queries.give_to_nobody(connection, participant=participant, nobody=nobody, limit=limit)
    removed: int = _queries.take_from(connection, participant=participant, limit=limit)
    return removed


def remove_of(connection: Any, participants: Sequence[Mapping[str, int]]) -> None:
    """Remove what these participants have received."""
    if participants:
        _queries.remove_of(connection, participants)
