"""Applying a game: what a new document changes, since when its definitions count, and what is recomputed."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace
from pydantic import BaseModel

from bq_server.clock import Clocks
from bq_server.events import Scope
from bq_server.game.compiled_game import CompiledGame, compile_game
from bq_server.game.document.currencies import expiries, moved_default
from bq_server.game.document.definitions import Game
from bq_server.game.mechanics.rule import Rule
from bq_server.ids import IdSource
from bq_server.processing.compiled_games import Games
from bq_server.processing.contest_freezer import watch_contests
from bq_server.processing.forecast import Forecast, Forecaster
from bq_server.processing.received_facts import deliver_past, undelivered
from bq_server.store import expiring_points, facts, feed, games, participants, received_facts, state, team_scores
from bq_server.store.audit_log import Act
from bq_server.store.database import Connection, Database
from bq_server.store.feed import NewNotice
from bq_server.store.games import Refold

KINDS = {
    "points": "points",
    "badges": "badge",
    "challenges": "challenge",
    "streaks": "streak",
    "tiers": "tier",
    "leaderboards": "leaderboard",
    "rewards": "reward",
    "contests": "contest",
}
"""The sections of the document and the kinds of their definitions."""


NEVER = 2**62
"""Stands for the seq after which a definition counts: it counts no fact yet."""

REMOVED = -1
"""Stands for the seq after which a definition counts: it is no longer in the game."""


class ApplyPlan(Struct, frozen=True):
    """What applying a game does, definition by definition (`<kind>/<code>`)."""

    version: int
    added: list[str]
    changed: list[str]
    """Includes those that are unchanged but will now count all stored facts."""
    removed: list[str]
    unchanged: int
    recomputed: list[str]
    """Definitions that are recomputed in the background, for every participant."""
    participants_affected: int
    """How many participants have a fact that a changed, removed or backfilled definition listens to."""
    pays_again: list[str]
    """Definitions that differ from a removed one only in their code and count all facts, in a sentence each."""
    forecast: Forecast | None = None
    """What would be awarded for stored facts. Only for a dry run."""
    changes_something: bool = True
    """Whether the document differs, if only in the order of its definitions."""


def definitions_of(game: Game) -> dict[str, BaseModel]:
    """Every definition of a game by its key."""
    return {f"{kind}/{each.code}": each for section, kind in KINDS.items() for each in getattr(game, section)}


class DefaultMoved(Exception):
    """The document's default currency is another one of the game in force; the message says what to do."""


class GameChanges:
    """Puts games in force."""

    def __init__(self, database: Database, compiled: Games, ids: IdSource, clocks: Clocks) -> None:
        self._database = database
        self._games = compiled
        self._ids = ids
        self._clocks = clocks
        self._forecaster = Forecaster(database, ids, clocks)

    async def apply(
        self, scope: Scope, game: Game, *, backfill: bool = False, dry_run: bool = False, act: Act | None = None
    ) -> ApplyPlan:
        """Put a game in force and start the refold it needs; returns what that changes. A dry run changes nothing.

        A definition counts the facts made since it was first applied; with `backfill`, all. What was awarded stays. A
        dry run also returns what would be awarded for stored facts. Raises `DefaultMoved` and `StoreUnavailable`.
        """
        async with self._database.transaction(undo=dry_run) as connection:
            plan, compiled, owed = await self._apply(connection, scope, game, backfill=backfill)
            if act is not None and plan.changes_something:
                changes = {name: getattr(plan, name) for name in ("added", "changed", "removed")}
                await act.keep(connection, version=plan.version, backfill=backfill, **changes)
        if dry_run:
            return replace(plan, forecast=await self._forecaster.of(scope, compiled, plan.recomputed, owed))
        return plan

    async def begin(self, scope: Scope, game: Game, *, not_yet: Collection[str]) -> None:
        """Put a game in force, some of whose definitions don't count facts yet; call it again when they start to.

        For an environment whose facts are being imported, so that nothing needs a refold. Raises `StoreUnavailable`.
        """
        async with self._database.transaction() as connection:
            applied = await games.applied(connection, scope)
            newest = await facts.last_seq(connection)
            counts = {
                key: NEVER if key in not_yet else newest if applied.get(key, NEVER) == NEVER else applied[key]
                for key in definitions_of(game)
            }
            document, now = game.model_dump_json(exclude_defaults=True), self._clocks.now(scope)
            before = await games.current(connection, scope)
            version = await games.put(connection, scope, document, counts, now)
            if before is None or before.document != document:
                await _note(connection, scope, now, ApplyPlan(version, list(counts), [], [], 0, [], 0, []))

    async def watch_contests(self, scope: Scope) -> None:
        """After an import, when all facts are there: freeze results of the game's contests when it is time.

        Raises `StoreUnavailable`.
        """
        async with self._database.transaction() as connection:
            await watch_contests(connection, scope, (await self._games.of(connection, scope)).game)

    async def _apply(
        self, connection: Connection, scope: Scope, new: Game, *, backfill: bool
    ) -> tuple[ApplyPlan, CompiledGame, list[Rule]]:
        """The plan, the game that computes the past, and the rules by which stored facts reach others first."""
        now = self._clocks.now(scope)
        old = await self._games.of(connection, scope)
        if (moved := moved_default(old.game, new)) is not None:
            raise DefaultMoved(moved)
        stored = await connection.run(partial(_stored, scope=scope))
        applied, newest, total = stored.applied, stored.last_seq, stored.participants
        before, after = definitions_of(old.game), definitions_of(new)
        added = [key for key in after if key not in before]
        removed = [key for key in before if key not in after]
        changed = [
            key
            for key in after
            if key in before
            and (after[key] != before[key] or (backfill and applied.get(key, 0) > 0) or applied.get(key) == NEVER)
        ]
        if not changed and list(before.items()) == list(after.items()) and _settings(old.game) == _settings(new):
            version = await games.version(connection, scope)
            return ApplyPlan(version, [], [], [], len(after), [], 0, [], changes_something=False), old, []
        again = [key for key in added if applied.get(key) == REMOVED]
        since = {key: seq for key, seq in applied.items() if key not in added and seq != NEVER}
        counts = {key: 0 if backfill else since.get(key, newest) for key in after}
        compiled = await asyncio.to_thread(compile_game, new, counts)
        # One that existed before has left cells behind, which mean nothing any more.
        anew = [key for key in (*changed, *(added if backfill else again)) if key in compiled.rules]
        anew += [key for key in (*changed, *added) if key.startswith("tier/")]
        # What changes may award more or less than before to those whose awards conditions see.
        anew += sorted(compiled.award_readers.difference(anew))
        recomputed = anew if total else []
        owed = [rule for rule in undelivered(old, compiled) if rule.key in recomputed]
        if owed:
            await deliver_past(connection, scope, owed, now)
        listening = [*_listening(compiled, anew, counts), *_listening(old, removed, applied)]
        affected = await participants.count_listeners(connection, scope, listening) if listening else 0
        document = new.model_dump_json(exclude_defaults=True)
        version = await games.put(connection, scope, document, counts | dict.fromkeys(removed, REMOVED), now)
        if new.contests or old.game.contests:
            await watch_contests(connection, scope, new)
        if changed or removed:
            await games.forget_warnings(connection, scope, [*changed, *removed])
            await state.remove_boards(connection, scope, removed)
        of_teams = [
            each.code for each in old.game.leaderboards if each.group_by and f"leaderboard/{each.code}" in removed
        ]
        if of_teams:
            await connection.run(partial(team_scores.remove_boards, scope=scope, codes=of_teams))
        still = {each.code for each in new.challenges if each.shared_by is not None}
        shared = [each.code for each in old.game.challenges if each.shared_by is not None and each.code not in still]
        if shared:
            await connection.run(partial(team_scores.remove_challenges, scope=scope, codes=shared))
        expiring = expiries(new)
        if expiring and expiring != expiries(old.game):
            await connection.run(partial(expiring_points.watch_everyone, scope=scope))
            connection.wakes.add(expiring_points.NAME)
        if recomputed:
            refold = Refold(self._ids.new("refold"), scope, tuple(recomputed), newest, "", 0, total, now, None)
            await games.add_refold(connection, refold)
        unchanged = len(after) - len(added) - len(changed)
        again_paid = [*_renamed(before, removed, after, added)] if backfill and total else []
        plan = ApplyPlan(version, added, changed, removed, unchanged, recomputed, affected, again_paid)
        await _note(connection, scope, now, plan)
        if recomputed:
            compiled = await asyncio.to_thread(compile_game, new, counts, frozenset(recomputed))
        elif not stored.has_received:  # then it is what would be compiled from the store
            connection.after_commit(partial(self._games.keep, scope, version, compiled))
        return plan, compiled, owed


class _Stored(Struct, frozen=True):
    """What is stored of an environment that a change of its game depends on."""

    applied: Mapping[str, int]
    last_seq: int
    participants: int
    has_received: bool
    """Of any environment."""


def _stored(reading: Any, scope: Scope) -> _Stored:
    """Look, on the connection's own thread."""
    return _Stored(
        games.applied_seqs(reading, scope),
        facts.highest_seq(reading),
        participants.counted(reading, scope),
        received_facts.has_any(reading),
    )


def _settings(game: Game) -> dict[str, object]:
    """What a game says beside its definitions."""
    return {name: getattr(game, name) for name in Game.model_fields if name not in KINDS}


def _renamed(
    before: Mapping[str, BaseModel], removed: Iterable[str], after: Mapping[str, BaseModel], added: Iterable[str]
) -> Iterator[str]:
    """New definitions that pay again for stored facts what a removed definition has already paid."""
    gone = {_but_its_code(each, before[each]): each for each in removed}
    for key in added:
        if (old := gone.get(_but_its_code(key, after[key]))) is not None:
            yield f"{key} is {old} under another code: what that awarded is awarded again"


def _but_its_code(key: str, definition: BaseModel) -> str:
    return key.partition("/")[0] + definition.model_dump_json(exclude={"code", "name"})


async def _note(connection: Connection, scope: Scope, now: int, plan: ApplyPlan) -> None:
    """Note it for the feed."""
    told = asdict(plan)
    del told["unchanged"], told["participants_affected"], told["forecast"]
    await feed.add_notices(connection, [NewNotice(scope, "game.changed", now, told)])


def _listening(game: CompiledGame, keys: Iterable[str], counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return [
        (fact_type, counts.get(key, 0)) for key in keys if key in game.rules for fact_type in game.rules[key].fact_types
    ]
