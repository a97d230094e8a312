"""A test environment as lines of JSON: a header, the game, the participants, the facts in order, and how many lines.

The last line tells an export that was cut short, wherever it was cut.
"""

from collections.abc import AsyncIterator
from typing import Any

from pydantic_core import from_json, to_json

from bq_server.clock import Clocks
from bq_server.concurrency.time_slices import TimeSlices
from bq_server.events import Scope
from bq_server.game.facts import FACT_VOIDED
from bq_server.moments import format_timestamp
from bq_server.store import environments, games, participants
from bq_server.store.database import Database
from bq_server.store.facts import StoredFact

FORMAT = 2
"""Incremented when older programs can't read the lines any more. Since 2 there is a closing line."""

PAGE = 500


class Exporter:
    """Writes environments out. Every method raises `StoreUnavailable`."""

    def __init__(self, database: Database, clocks: Clocks, version: str) -> None:
        self._database = database
        self._clocks = clocks
        self._version = version

    async def lines(self, scope: Scope) -> AsyncIterator[bytes]:
        """The lines, each with its line feed. Facts made while they are written may be missing."""
        lines = 0
        async for line in self._content(scope):
            lines += 1
            yield line
        yield _line({"end_of_export": {"lines": lines}})

    async def _content(self, scope: Scope) -> AsyncIterator[bytes]:
        """The lines but for the closing one."""
        slices = TimeSlices()
        yield _line({"bq_export": FORMAT, "bq_server": self._version, "exported_at": self._now(scope)})
        async for line in self._game(scope):
            yield line
        after = ""
        while True:
            async with self._database.read() as connection:
                page = [
                    await participants.find(connection, scope, participant_id)
                    for participant_id in await participants.after(connection, scope, after, PAGE)
                ]
            for participant in page:
                if participant is None:
                    continue
                await slices.give_way()
                after = participant.participant_id
                yield _line(
                    {
                        "participant": {
                            "participant_id": participant.participant_id,
                            "display_name": participant.display_name,
                            "avatar_url": participant.avatar_url,
                            "attributes": from_json(participant.attributes),
                            "created_at": format_timestamp(participant.created_at),
                        }
                    }
                )
            if len(page) < PAGE:
                break
        seq = 0
        while True:
            async with self._database.read() as connection:
                facts = await environments.facts_after(connection, scope, seq, PAGE)
            for fact in facts:
                await slices.give_way()
                yield _line({"fact": _shown(fact)})
            if len(facts) < PAGE:
                break
            seq = facts[-1].seq

    async def _game(self, scope: Scope) -> AsyncIterator[bytes]:
        async with self._database.read() as connection:
            stored = await games.current(connection, scope)
            if stored is None:
                return
            applied = {key: seq for key, seq in (await games.applied(connection, scope)).items() if seq >= 0}
            before = {seq: await environments.count_facts_until(connection, scope, seq) for seq in {*applied.values()}}
        counts_after = {key: before[seq] for key, seq in applied.items()}
        yield _line({"game": from_json(stored.document), "counts_after": counts_after})

    def _now(self, scope: Scope) -> str:
        return format_timestamp(self._clocks.now(scope))


def _shown(fact: StoredFact) -> dict[str, Any]:
    return {
        "fact_id": fact.fact_id,
        "event_id": fact.event_id,
        "fact_type": fact.fact_type,
        "participant_id": fact.sender,
        "properties": from_json(fact.properties),
        "occurred_at": format_timestamp(fact.occurred_at),
        "received_at": format_timestamp(fact.received_at),
        "processed_at": format_timestamp(fact.processed_at),
        "idempotency_key": fact.idempotency_key,
        "fingerprint": fact.fingerprint,
        "warnings": from_json(fact.warnings),
        **({} if fact.voids is None or fact.fact_type == FACT_VOIDED else {"voids": fact.voids}),
    }


def _line(document: dict[str, Any]) -> bytes:
    return to_json(document) + b"\n"
