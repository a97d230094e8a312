"""What a database answers: asked through the reading routes and functions alone, with no stream and no passing time.

A database and its migrated copy answer alike. What is asked is JSON, so that answers can be kept in a file.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware

from bq_server.api.addresses import Proxies
from bq_server.api.admission import Admission
from bq_server.api.auth import Keyring
from bq_server.api.middleware.envelope import Envelope
from bq_server.api.operations import operations_of
from bq_server.api.rate_limits import RateLimits
from bq_server.api.resources.catalog import CatalogResource
from bq_server.api.resources.challenges import ChallengesResource
from bq_server.api.resources.facts import FactsResource
from bq_server.api.resources.game import GameResource
from bq_server.api.resources.gamify import GamifyResource
from bq_server.api.resources.leaderboards import LeaderboardsResource
from bq_server.api.resources.participant_state import ParticipantStateResource
from bq_server.api.resources.participants import ParticipantsResource
from bq_server.api.routing import routes
from bq_server.audit.verification import Verifier
from bq_server.clock import Clocks, system_clock
from bq_server.events import Scope, ScopedKey
from bq_server.ids import IdSource
from bq_server.metrics.counts import RequestCounts
from bq_server.processing.catalog_index_job import CatalogIndexJob
from bq_server.processing.compiled_games import Games
from bq_server.processing.recorded_effects import effects_of
from bq_server.runtime.sampled_log import SampledLog
from bq_server.sandbox.exporter import Exporter
from bq_server.store import environments, installation, keys
from bq_server.store import facts as stored_facts
from bq_server.store import games as stored_games
from bq_server.store import participants as stored_participants
from bq_server.store.database import Connection, Database
from bq_server.store.rankings import Ranked, views_of

Json = dict[str, Any]

NOBODY: Any = None
"""In place of what only the writing routes use."""


async def answers(path: Path, asked: Json) -> Json:
    """Everything the database at `path` answers.

    `asked` holds `moments` (what the real clock shows, in microseconds; the first for all but the states),
    `keys` (an API key by scope, as `<project>/<environment>`), and by scope what no listing names: `messages`,
    `idempotency_keys` and `rankings` ([board, window, period]).
    """
    async with Database.open(path) as database:
        found: Json = {"installation": await _installation(database)}
        for name in asked["keys"]:
            scope = Scope(*name.split("/"))
            found[name] = {
                "api": await _api(database, asked, name, scope),
                "states": {
                    str(now): await _states(database, asked["keys"][name], scope, now) for now in asked["moments"]
                },
                **await _store(database, scope, asked["of"][name]),
                "verify": await _verify(database, scope),
                "export": await _export(database, scope, asked["moments"][0]),
            }
        return found


class _Client:
    """GETs as the holder of a key would, at a moment."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self._http.get(f"/api/v1{path}", params={name: str(value) for name, value in query.items()})
        return {"status": answer.status_code} if answer.status_code != 200 else answer.json()

    async def all_facts(self, **query: Any) -> list[Json]:
        """Every page of the listing. Cursors are the server's own affair."""
        found: list[Json] = []
        cursor: Json = {}
        while True:
            page = await self.get("/facts", limit=50, **query, **cursor)
            found += page["facts"]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}


@asynccontextmanager
async def _client(database: Database, key: str, now: int) -> Any:
    async with database.read() as connection:
        own = {scope: each.clock for scope, each in (await environments.every(connection)).items() if each.clock}
    clocks = Clocks(lambda: now, own)
    keyring = Keyring(database, system_clock)
    await keyring.refresh()
    compiled = Games()
    app = Starlette(
        routes=routes(
            list(
                operations_of(
                    FactsResource(database),
                    CatalogResource(database, CatalogIndexJob(database)),
                    GamifyResource(NOBODY, database, NOBODY),
                    ParticipantStateResource(database, compiled, clocks),
                    ParticipantsResource(NOBODY, database, compiled, NOBODY, clocks),
                    ChallengesResource(NOBODY, database, compiled, NOBODY, clocks),
                    LeaderboardsResource(database, compiled, clocks),
                    GameResource(NOBODY, database, NOBODY),
                )
            ),
            Admission(keyring, RateLimits(system_clock), Proxies()),
            clocks,
        ),
        middleware=[
            Middleware(
                Envelope,
                ids=IdSource(),
                is_stopping=lambda: False,
                requests=RequestCounts(),
                log=SampledLog("bq_server.api"),
            )
        ],
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers={"X-API-Key": key}) as http:
        yield _Client(http)


async def _everyone(connection: Connection, scope: Scope) -> list[str]:
    return await stored_participants.after(connection, scope, "", 10_000)


async def _api(database: Database, asked: Json, name: str, scope: Scope) -> Json:
    async with database.read() as connection:
        everyone = await _everyone(connection, scope)
    async with _client(database, asked["keys"][name], asked["moments"][0]) as client:
        document = await client.get("/gamify/admin/game")
        every_fact = await client.all_facts()
        events = sorted({fact["event_name"] for fact in every_fact})
        middle = every_fact[len(every_fact) // 2]["occurred_at"] if every_fact else "2026-01-01T00:00:00Z"
        return {
            "game": document,
            "facts": every_fact,
            "one_fact": {fact["fact_id"]: await client.get(f"/facts/{fact['fact_id']}") for fact in every_fact[::25]},
            "facts_by": {
                "since": _ids(await client.all_facts(since=middle)),
                "until": _ids(await client.all_facts(until=middle)),
                "type": {each: _ids(await client.all_facts(fact_type=each)) for each in _types(every_fact)},
                "event_name": {each: _ids(await client.all_facts(event_name=each)) for each in events},
                "participant": {each: _ids(await client.all_facts(participant_id=each)) for each in everyone},
            },
            "catalog": {"events": (await client.get("/events/catalog", limit=1000))["events"]},
            "catalog_of": {each: await client.get(f"/events/catalog/{quote(each, safe='')}") for each in events},
            "participants": {each: await _participant(client, each) for each in everyone},
            "unknown_participant": await client.get("/gamify/participants/nobody"),
            "challenges": {
                each["code"]: await client.get(f"/gamify/challenges/{each['code']}/leaderboard", limit=100)
                for each in document["game"].get("challenges", [])
            },
            "leaderboards": {
                f"{each['code']}/{window}": await _board(client, each["code"], window, everyone)
                for each in document["game"].get("leaderboards", [])
                for window in each.get("window", ["all_time"])
            },
        }


def _ids(found: Iterable[Json]) -> list[str]:
    return [fact["fact_id"] for fact in found]


def _types(found: Iterable[Json]) -> list[str]:
    return sorted({fact["fact_type"] for fact in found})


async def _participant(client: _Client, participant_id: str) -> Json:
    own = f"/gamify/participants/{quote(participant_id, safe='')}"
    ledger = [await client.get(f"{own}/points/transactions", page=page, page_size=50) for page in (1, 2)]
    events = [await client.get(f"{own}/events", page=page, page_size=50) for page in (1, 2)]
    return {
        "profile": await client.get(own),
        "points": await client.get(f"{own}/points"),
        "ledger": ledger,
        "events": [{**page, "events": [each["id"] for each in page["events"]]} for page in events],
    }


async def _board(client: _Client, code: str, window: str, everyone: Sequence[str]) -> Json:
    board = f"/gamify/leaderboards/{code}"
    return {
        "best": await client.get(board, period=window, limit=100),
        "ranks": {
            each: await client.get(f"{board}/rank/{quote(each, safe='')}", period=window) for each in everyone[::3]
        },
    }


async def _states(database: Database, key: str, scope: Scope, now: int) -> Json:
    async with database.read() as connection:
        everyone = await _everyone(connection, scope)
    async with _client(database, key, now) as client:
        return {each: await client.get(f"/gamify/participants/{quote(each, safe='')}/state") for each in everyone}


async def _store(database: Database, scope: Scope, asked: Mapping[str, Any]) -> Json:
    async with database.read() as connection:
        every_fact = await environments.facts_after(connection, scope, 0, 10_000)
        everyone = await _everyone(connection, scope)
        by_message = {}
        for message_id in asked["messages"]:
            fact = await stored_facts.by_message(connection, scope, message_id)
            repeated = await stored_facts.repeated_by(connection, scope, message_id)
            by_message[message_id] = [each and each.fact_id for each in (fact, repeated)]
        held = await stored_facts.by_keys(connection, [ScopedKey(scope, key) for key in asked["idempotency_keys"]])
        applied = await stored_games.applied(connection, scope)
        return {
            "counts": list(await environments.count(connection, scope)),
            "order": [[fact.seq, fact.fact_id, fact.event_id, fact.fingerprint] for fact in every_fact],
            "messages": by_message,
            "idempotency_keys": {key: fact.fact_id for (_, key), fact in sorted(held.items())},
            "effects": {fact.fact_id: await _effects(connection, fact) for fact in every_fact},
            "rankings": {
                "|".join(ranking): await _ranking(connection, scope, ranking, everyone) for ranking in asked["rankings"]
            },
            "definitions": dict(sorted(applied.items())),
            "facts_of_participant": {
                each: [fact.fact_id for fact in await stored_participants.facts(connection, scope, each)]
                for each in everyone
            },
        }


async def _effects(connection: Connection, fact: stored_facts.StoredFact) -> list[Json]:
    """With what the fact itself says, which the first release kept in each effect."""
    own = {"participant_id": fact.participant_id, "fact_id": fact.fact_id}
    return [own | effect for effect in await effects_of(connection, fact)]


async def _ranking(
    connection: Connection, scope: Scope, ranking: Sequence[str], everyone: Sequence[str]
) -> list[list[Any]]:
    board, window, period = ranking

    def look(reading: Any) -> list[list[Any]]:
        (view,) = views_of(reading, scope, [(board, window, period)])
        best = view.best(10_000)
        assert view.total() == len(best)
        assert [each for each in map(view.rank, everyone) if each is not None] == sorted(best, key=_name)
        return [[each.rank, each.score.participant_id, each.score.score, each.score.reached_at] for each in best]

    return await connection.run(look)


def _name(each: Ranked) -> str:
    return each.score.participant_id


async def _verify(database: Database, scope: Scope) -> Json:
    verifier = Verifier(database)
    checked = [each async for each in verifier.participants(scope)]
    strays = [place async for place in verifier.strays(scope)]
    return {
        "participants": [each.participant_id for each in checked],
        "differences": {
            each.participant_id: [str(one) for one in each.differences] for each in checked if each.differences
        },
        "kept": {each.participant_id: sorted(one.key for one in each.kept) for each in checked if each.kept},
        "pending": sorted({one for each in checked for one in each.pending}),
        "strays": [str(place) for place in strays],
    }


async def _export(database: Database, scope: Scope, now: int) -> list[str]:
    """The lines but for the first, which names the program's version, and the last, which came later."""
    lines = [line async for line in Exporter(database, Clocks(lambda: now), "").lines(scope)]
    assert b"end_of_export" in lines[-1]
    return [line.decode().rstrip("\n") for line in lines[1:-1]]


async def _installation(database: Database) -> Json:
    async with database.read() as connection:
        every = await keys.every(connection)
        refolds = await stored_games.open_refolds(connection)
        own = await environments.every(connection)
        return {
            "installation_id": await installation_id(connection),
            "last_seq": await stored_facts.last_seq(connection),
            "keys": [
                [
                    each.key_id,
                    *each.scope,
                    each.sha256,
                    sorted(each.scopes),
                    each.name,
                    each.created_at,
                    each.revoked_at,
                ]
                for each in every
            ],
            "open_refolds": [
                [each.refold_id, *each.scope, list(each.definitions), each.until_seq, each.after_participant, each.done]
                for each in refolds
            ],
            "environments": {
                "/".join(scope): [each.resets, each.clock and [each.clock.frozen, each.clock.at]]
                for scope, each in sorted(own.items())
            },
            "scopes": sorted("/".join(scope) for scope in await stored_participants.every_scope(connection)),
        }


async def installation_id(connection: Connection) -> str:
    """The one that is there: identifying makes none where there is one."""
    return await installation.identify(connection, cast("Any", None), 0)
