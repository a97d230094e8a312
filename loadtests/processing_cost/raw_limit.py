"""The limit: what plain SQLite needs for the minimum of rows of a fact, with nothing computed.

A fact writes its own row, its participant's state, three standings and one ledger entry. Names are integers, ids are
16 bytes, and there is an index only where the server couldn't do without.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from bq_server.events import Event
from bq_server.ids import pack
from bq_server.store import sqlite
from bq_server.store.sqlite_file import CACHE_KIBIBYTES, CHECKPOINT_PAGES
from loadtests.processing_cost.bench import checkpoint
from loadtests.processing_cost.rounds import Sample

SCHEMA = """
CREATE TABLE facts (
    seq INTEGER PRIMARY KEY,
    event_id BLOB NOT NULL UNIQUE,
    type INTEGER NOT NULL,
    participant INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    processed_at INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    idempotency_key TEXT,
    properties TEXT NOT NULL,
    effects TEXT NOT NULL
);
CREATE UNIQUE INDEX facts_by_key ON facts (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX facts_of_participant ON facts (participant, occurred_at, seq);
CREATE TABLE states (participant INTEGER PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE standings (
    ranking INTEGER NOT NULL,
    participant INTEGER NOT NULL,
    score REAL NOT NULL,
    reached_at INTEGER NOT NULL,
    PRIMARY KEY (ranking, participant)
) WITHOUT ROWID;
CREATE INDEX standings_by_place ON standings (ranking, score DESC, reached_at);
CREATE TABLE ledger (
    participant INTEGER NOT NULL,
    number INTEGER NOT NULL,
    transaction_id BLOB NOT NULL,
    fact INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    balance INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    PRIMARY KEY (participant, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX ledger_by_fact ON ledger (participant, fact);
"""

PUT_FACT = "INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
PUT_STATE = "INSERT INTO states VALUES (?, ?) ON CONFLICT (participant) DO UPDATE SET state = excluded.state"
PUT_PLACE = (
    "INSERT INTO standings VALUES (?, ?, ?, ?) ON CONFLICT (ranking, participant) "
    "DO UPDATE SET score = excluded.score, reached_at = excluded.reached_at"
)
ADD_ENTRY = "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)"

STATE_BYTES = 1500
"""Of a participant's state."""

EFFECTS = "e" * 260
"""What a fact caused. With these two, and ten facts a participant, a fact takes 0.8 KB in all."""

RANKINGS = 3

Rows = list[tuple[Any, ...]]


class RawLimit:
    """A database of such rows."""

    def __init__(self, connection: Any, path: Path, transaction: int) -> None:
        """`transaction`: facts in one."""
        self.path = path
        self._connection = connection
        self._transaction = transaction
        self._participants: dict[str, int] = {}
        self._numbers: dict[int, int] = {}
        self._seq = 0

    @classmethod
    @contextmanager
    def open(cls, path: Path, transaction: int) -> Iterator[Self]:
        """A new database at a path, by the store's own binding and with its settings."""
        connection = sqlite.connect(str(path))
        try:
            for pragma in (f"cache_size = -{CACHE_KIBIBYTES}", f"wal_autocheckpoint = {CHECKPOINT_PAGES}"):
                connection.execute(f"PRAGMA {pragma}")
            connection.executescript(SCHEMA)
            yield cls(connection, path, transaction)
        finally:
            connection.close()

    async def turn(self, batches: Sequence[Sequence[Event]]) -> Sample:
        """Write what the events need, in transactions of its own size, down to the database's own file."""
        events = [event for batch in batches for event in batch]
        rows = [
            self._rows(events[start : start + self._transaction]) for start in range(0, len(events), self._transaction)
        ]
        wall, cpu = time.perf_counter(), time.process_time()
        for facts, states, places, entries in rows:
            self._write(facts, states, places, entries)
        checkpoint(self.path)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return Sample(wall * 1e6 / len(events), cpu * 1e6 / len(events))

    def _write(self, facts: Rows, states: Rows, places: Rows, entries: Rows) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(PUT_FACT, facts)
        connection.executemany(PUT_STATE, states)
        connection.executemany(PUT_PLACE, places)
        connection.executemany(ADD_ENTRY, entries)
        connection.execute("COMMIT")

    def _rows(self, events: Sequence[Event]) -> tuple[Rows, Rows, Rows, Rows]:
        """The rows of one transaction, each kind in the order of its key, which is the cheapest to write."""
        facts: Rows = []
        states: dict[int, str] = {}
        places: dict[tuple[int, int], tuple[float, int]] = {}
        entries: Rows = []
        for event in events:
            self._seq += 1
            who = self._participants.setdefault(event.participant_id, len(self._participants) + 1)
            number = self._numbers[who] = self._numbers.get(who, 0) + 1
            at, event_id = event.occurred_at, pack("evt", event.event_id)
            key, properties = event.idempotency_key, event.properties
            facts.append((self._seq, event_id, 1, who, at, at, at, event.message_id, key, properties, EFFECTS))
            states[who] = f"{number:0{STATE_BYTES}}"
            places |= {(ranking, who): (100.0 * number + ranking, at) for ranking in range(RANKINGS)}
            entries.append((who, number, event_id, self._seq, 100, 100 * number, at))
        return (
            facts,
            sorted(states.items()),
            [(*key, *place) for key, place in sorted(places.items())],
            sorted(entries),
        )
