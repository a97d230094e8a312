"""Bytes a fact, after a checkpoint; and of each table and index."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bq_server.events import Event
from bq_server.game.document.definitions import Game
from bq_server.store import sqlite
from loadtests.markdown import number, table
from loadtests.processing_cost.bench import checkpoint
from loadtests.processing_cost.games import START, event, game_of
from loadtests.processing_cost.raw_limit import RawLimit
from loadtests.processing_cost.report import ReportSection, ReportTarget
from loadtests.processing_cost.rounds import Spread
from loadtests.processing_cost.throughput import DEFINITIONS, FACTS_EACH, GAME, NO_GAME, TRANSACTIONS
from loadtests.processing_cost.workshop import GAP, MB, Workshop, batches_of, people, tell

RAW = "raw SQLite"

MOST_BYTES = 1300
"""A fact, indexes included."""


@dataclass(frozen=True, slots=True)
class Files:
    """Bytes of a database after a checkpoint, and of what is in it where that can be told."""

    database: int
    wal: int
    """Of the write-ahead log."""
    longest_wal: int
    """Before the checkpoint: as long as it gets while the server works, however many facts there are."""
    parts: Mapping[str, int] | None


async def measure(workshop: Workshop) -> ReportSection:
    """Process every event, so that the server alone decides how large its rows are."""
    count = workshop.plan.participants * FACTS_EACH
    found = {RAW: await _raw(workshop)}
    for name, game in ((GAME, game_of(DEFINITIONS)), (NO_GAME, Game())):
        found[name] = await _processed(workshop, name, game)
    rows: list[tuple[str, ...]] = [("", "WAL MB before", "WAL MB", "database MB", "bytes a fact")]
    rows += [
        (
            name,
            *(number(size / MB) for size in (each.longest_wal, each.wal, each.database)),
            number((each.database + each.wal) / count),
        )
        for name, each in found.items()
    ]
    blocks = [
        f"{count:,} facts of {workshop.plan.participants:,} participants, {FACTS_EACH} each, all processed; database "
        "and write-ahead log after a checkpoint that empties the log. Before, the log is as long as it gets while the "
        "server works, however many facts there are.",
        table(rows),
        *_parts(found, count),
    ]
    per_fact = (found[GAME].database + found[GAME].wal) / count
    return ReportSection(
        "Size", blocks, [ReportTarget(f"bytes a fact, {GAME}", Spread.of([per_fact]), most=MOST_BYTES)]
    )


async def _raw(workshop: Workshop) -> Files:
    with RawLimit.open(workshop.path(), TRANSACTIONS[0]) as raw:
        await raw.turn(list(batches_of(_events(workshop), workshop.plan.batch)))
        return _files(raw.path)


async def _processed(workshop: Workshop, name: str, game: Game) -> Files:
    async with workshop.bench() as bench:
        await bench.apply(game)
        for batch in batches_of(_events(workshop), workshop.plan.batch):
            await bench.turn([batch])
        tell(f"processed: {name}")
        return _files(bench.database.path)


def _events(workshop: Workshop) -> list[Event]:
    """As many events of each participant, in an order of their own each time."""
    random = workshop.random("size")
    everyone = people(workshop.plan.participants)
    chosen = [who for _ in range(FACTS_EACH) for who in random.sample(everyone, len(everyone))]
    return [event(workshop.ids, random, who, START + number * GAP) for number, who in enumerate(chosen)]


def _files(path: Path) -> Files:
    wal = path.with_name(path.name + "-wal")
    longest_wal = wal.stat().st_size
    checkpoint(path, "TRUNCATE")
    return Files(path.stat().st_size, wal.stat().st_size, longest_wal, _inside(path))


def _inside(path: Path) -> dict[str, int] | None:
    """Bytes of each table and index; None where no SQLite here was built with `dbstat`.

    The log has been copied into the file and nobody writes, so even an old SQLite may read it as it lies there.
    """
    modules: Sequence[Any] = (sqlite.sqlite, sqlite3)
    for module in modules:
        connection = module.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        try:
            rows = connection.execute("SELECT name, pgsize FROM dbstat WHERE aggregate = TRUE ORDER BY pgsize DESC")
            return dict(rows.fetchall())
        except module.OperationalError:
            continue
        finally:
            connection.close()
    return None


def _parts(found: Mapping[str, Files], count: int) -> list[str]:
    blocks = []
    for name, each in found.items():
        if each.parts is None:
            return ["No SQLite here was built with `dbstat`, so the size of each table is unknown."]
        rows = [(f"{name}: table or index", "bytes a fact", "share")]
        rows += [
            (part, number(size / count), f"{size / each.database:.0%}")
            for part, size in each.parts.items()
            if size / count >= 1
        ]
        blocks.append(table(rows))
    return blocks
