"""A database of the schema of the first release, of any size: what it holds is what its facts lead to."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from bq_server.game.compiled_game import compile_game
from bq_server.game.document.definitions import Game
from bq_server.game.mechanics.periods import DAY, utc_day, window_period
from bq_server.game.state.keys import digest
from bq_server.moments import format_timestamp, parse_timestamp
from bq_server.store import sqlite
from bq_server.store.migrations import available

SCHEMA = 3
"""The last migration of the first release."""

WHO = ("default", "live")
BEGIN = parse_timestamp("2026-01-05T00:00:00Z")
EACH = 10
"""Points for a fact."""

GAME: dict[str, Any] = {
    "points": [{"code": "pay", "on": "act", "award": EACH}],
    "leaderboards": [
        {
            "code": "sums",
            "name": "Sums",
            "metric": {"on": "act", "aggregate": "sum", "of": "properties.x"},
            "window": ["daily", "all_time"],
        },
        {"code": "shops", "name": "Shops", "metric": {"on": "act", "aggregate": "distinct", "of": "properties.shop"}},
    ],
}


def empty(path: Path) -> None:
    """The schema alone."""
    with closing(sqlite.connect(str(path))) as connection:
        connection.execute("CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT, applied_at TEXT)")
        for version, name, sql in available():
            if version <= SCHEMA:
                connection.executescript(sql)
                connection.execute("INSERT INTO schema_migrations VALUES (?, ?, '')", (version, name))


def make(path: Path, participants: int, facts: int) -> None:
    """So many participants, with so many facts each. Every other fact has an id that is not its event's."""
    empty(path)
    game = Game.model_validate(GAME)
    rules = compile_game(game, {}).rules
    revisions = {code: getattr(rules[f"leaderboard/{code}"], "revision") for code in ("sums", "shops")}  # noqa: B009
    with closing(sqlite.connect(str(path))) as connection:
        connection.execute("BEGIN")
        document = game.model_dump_json(exclude_defaults=True)
        connection.execute("INSERT INTO games VALUES (?, ?, 1, ?, ?)", (*WHO, document, BEGIN))
        keys = ("points/pay", "leaderboard/sums", "leaderboard/shops")
        connection.executemany("INSERT INTO definitions VALUES (?, ?, ?, 0)", [(*WHO, key) for key in keys])
        for number in range(participants):
            _participant(connection, f"user {number:06}", number * facts + 1, facts, revisions)
        connection.execute("COMMIT")


def _participant(connection: Any, who: str, first: int, facts: int, revisions: dict[str, str]) -> None:
    sums: dict[tuple[str, str], list[int]] = {}
    shops: dict[str, list[int]] = {}
    balance = 0
    fact_rows, entries, effects = [], [], []
    for seq in range(first, first + facts):
        at = BEGIN + (seq - first) * DAY // 2
        event_id, fact_id = f"evt_{seq:026}", f"fact_{seq + seq % 2 * 10**9:026}"
        x, shop = seq % 7 + 0.1, f"shop {seq % 11}"
        properties = json.dumps({"x": x, "shop": shop})
        fact_rows.append((seq, fact_id, event_id, f"{seq}-0", *WHO, who, properties, at, at, at, f"key {seq}"))
        balance += EACH
        cause = f"points:pay:{fact_id}"
        entries.append((f"txn_{seq:026}", *WHO, who, cause, EACH, balance, fact_id, seq, at, at))
        effect = {"participant_id": who, "fact_id": fact_id, "occurred_at": format_timestamp(at), "cause": cause}
        told = [{**effect, "amount": EACH, "balance": balance, "type": "points"}]
        effects.append((fact_id, json.dumps(told, separators=(",", ":"))))
        for window in ("daily", "all_time"):
            score = sums.setdefault((window, window_period(utc_day(at), window)), [0, at])
            score[:] = score[0] + round(x * 1_000_000), at
        shops.setdefault(shop, [at, seq])
    connection.executemany(
        "INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?, 'custom.act', 'act', ?, ?, ?, ?, ?, ?, NULL, '[]')", fact_rows
    )
    connection.executemany("INSERT INTO ledger VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", entries)
    connection.executemany("INSERT INTO fact_effects VALUES (?, ?)", effects)
    connection.execute("INSERT INTO participants VALUES (?, ?, ?, NULL, NULL, '{}', ?, ?)", (*WHO, who, facts, BEGIN))
    seen = len(shops), max(at for at, _ in shops.values())
    cells: list[tuple[str, Any]] = [("points", {"balance": balance, "earned": balance, "spent": 0})]
    cells += [
        (f"score/{key}", {"rev": rev, "score": score, "at": at}) for key, rev, score, at in _scores(sums, revisions)
    ]
    cells += [("score/shops/all_time/all_time", {"rev": revisions["shops"], "score": seen[0], "at": seen[1]})]
    cells += [(f"seen/leaderboard/shops/all_time/all_time/{digest(shop)}", moment) for shop, moment in shops.items()]
    rows = [(*WHO, who, name, json.dumps(value, separators=(",", ":"))) for name, value in cells]
    connection.executemany("INSERT INTO cells VALUES (?, ?, ?, ?, ?)", rows)
    places = [
        ("leaderboard/sums", window, period, who, score / 1_000_000, at)
        for (window, period), (score, at) in sums.items()
    ]
    places.append(("leaderboard/shops", "all_time", "all_time", who, *seen))
    connection.executemany("INSERT INTO standings VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [(*WHO, *each) for each in places])


def _scores(sums: dict[tuple[str, str], list[int]], revisions: dict[str, str]) -> Iterator[tuple[str, str, int, int]]:
    for (window, period), (score, at) in sums.items():
        yield f"sums/{window}/{period}", revisions["sums"], score, at
