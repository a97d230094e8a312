"""Aliases come and go: facts are put into the stories in which they belong, and these are told anew.

Which aliases there are is a function of the facts that say so (`system.participant_aliased`) and are not void. In whose
story a fact is follows from the name under which it was sent. So both are indexes, and this brings them up to date, in
the transaction of the fact that changes them.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any

from msgspec import Struct, field

from bq_server.causes import currency_of, pack_cause
from bq_server.events import Scope
from bq_server.exact_json import dumps, loads_own
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.facts import CUSTOM_PREFIX, FACT_VOIDED, PARTICIPANT_ALIASED
from bq_server.game.facts import Fact as GameFact
from bq_server.game.mechanics.rule import LedgerEntry
from bq_server.game.rebuild import Rebuilt
from bq_server.game.restated import HeldAwards, held_awards, restate
from bq_server.game.state.keys import is_hidden
from bq_server.game.state.packed import cells_of, change, new_state
from bq_server.game.step import board_score
from bq_server.ids import IdSource, pack
from bq_server.processing.alias_index import AliasIndex
from bq_server.processing.first_expiries import first_expiries
from bq_server.processing.game_thread import GameThread
from bq_server.processing.meant_names import naming_types, with_meant_names
from bq_server.processing.received_stories import stored_fact, story_of
from bq_server.processing.team_changes import note_team_scores
from bq_server.store import (
    aliases,
    batch,
    expiring_points,
    ledger,
    participant_tokens,
    participants,
    received_facts,
    watched_streaks,
)
from bq_server.store.batch import Changes, Held, NewEntry
from bq_server.store.database import Connection
from bq_server.store.ledger import NumberedEntry
from bq_server.store.processes import MEMORY

MAY_CHANGE_ALIASES = (PARTICIPANT_ALIASED, FACT_VOIDED)
"""The types of facts that may."""


class _Before(Struct):
    """What participants hold, by integer, before aliases change."""

    held: dict[int, HeldAwards] = field(default_factory=dict)
    entries: dict[str, NumberedEntry] = field(default_factory=dict)
    """Of all of them, by cause: what is still due keeps its id."""


class AliasChanges:
    """Brings one environment up to date within a transaction."""

    def __init__(
        self, connection: Connection, scope: Scope, game: CompiledGame, ids: IdSource, now: int, game_thread: GameThread
    ) -> None:
        self._connection = connection
        self._scope = scope
        self._game = game
        self._ids = ids
        self._now = now
        self._aside = game_thread.run
        self._index = AliasIndex(connection.references, scope, game, now)

    async def follow(self, participant_ids: Iterable[str]) -> None:
        """Do what new facts in these participants' stories say about aliases. Waits until they are written."""
        await self._connection.deferred()
        for who in sorted(participant_ids):
            reference = await participants.reference(self._connection, self._scope, who)
            if reference is not None:
                await self.bring_up_to_date(reference)

    async def bring_up_to_date(self, story: int) -> bool:
        """Do what the facts of a story say about aliases; returns whether anything was otherwise."""
        run, index = self._connection.run, self._index
        difference = await run(partial(index.difference, story=story))
        if not difference:
            return False
        before = _Before()
        for number in difference.stories:
            await self._hold(before, number)
        if difference.new and self._scope not in await run(aliases.scopes):
            self._connection.wakes.add(MEMORY)  # from now on all processes look names up here
        change = await run(partial(index.apply, difference=difference))
        for number in change.others:
            await self._hold(before, number)
        await run(partial(index.deliver, change=change))
        scope, references = await run(index.number), self._connection.references
        for number in set(change.before) - change.stories.keys():
            await run(partial(aliases.clear, references=references, scope=scope, participant=number, known=False))
        for name, _ in difference.new:
            await participant_tokens.end_series(self._connection, self._scope, name.name)
        for number in (*change.stories, *change.others):
            await self._retell(number, before, was_known=change.was_known.get(number))
        await run(partial(watched_streaks.forget_when, scope=self._scope, participants=change.stories.values()))
        return True

    async def _facts(self, number: int, name: str) -> list[GameFact]:
        connection, types = self._connection, naming_types(self._game)
        rows = await connection.run(partial(aliases.story, participant=number))
        facts: list[GameFact] = await self._aside(lambda: [stored_fact(name, row) for row in rows])
        if self._game.has_received:
            received = await connection.run(partial(received_facts.whole_story, participant=number))
            facts += await self._aside(partial(story_of, name, received))
            look = partial(with_meant_names, references=connection.references, scope=self._scope, types=types)
            facts = list(await connection.run(partial(look, facts=facts)))
        told: list[GameFact] = await self._aside(lambda: sorted(facts, key=lambda fact: fact.moment))
        return told

    async def _hold(self, before: _Before, number: int) -> None:
        """Find out what a participant holds."""
        if number in before.held:
            return
        name, text = await self._connection.run(partial(aliases.state_of, participant=number))
        entries = await ledger.whole(self._connection, number)
        facts = await self._facts(number, name)

        def held() -> HeldAwards:
            amounts = [
                LedgerEntry(each.entry.cause, each.entry.amount, each.entry.occurred_at, each.seq, each.entry.fact_id)
                for each in entries
            ]
            return held_awards(self._game, facts, cells_of(loads_own(text) or new_state()), amounts)

        before.held[number] = await self._aside(held)
        for each in entries:
            before.entries.setdefault(each.entry.cause, each)

    async def _retell(self, number: int, before: _Before, *, was_known: bool | None) -> None:
        """Write what follows from the facts that are in a participant's story now.

        `was_known`: whether the API knew an alias of before; None for everybody else.
        """
        connection = self._connection
        scope, references = await connection.run(self._index.number), connection.references
        name, _ = await connection.run(partial(aliases.state_of, participant=number))
        facts = await self._facts(number, name)
        await connection.run(
            partial(aliases.clear, references=references, scope=scope, participant=number, known=was_known)
        )
        if not facts:
            return
        own = [before.held[number]] if number in before.held else []
        held = own + [each for other, each in before.held.items() if other != number]
        told = await self._aside(partial(self._told, name, facts, held, before))
        own_events = [fact for fact in facts if fact.sender is None and fact.fact_type.startswith(CUSTOM_PREFIX)]
        since = min((fact.received_at for fact in facts), default=self._now)
        await participants.put_total_events(connection, number, len(own_events), since)

        def write(writing: Any) -> None:
            batch.write(writing, references, told.changes, {name: Held(number, "{}")})
            batch.add_dated_entries(writing, [(number, entry, at) for entry, at in told.entries])

        await connection.run(write)
        expiries = self._game.treasury.expiries
        if expiries and (moments := first_expiries(expiries, (entry for entry, _ in told.entries))):
            await connection.run(partial(expiring_points.watch, scope=self._scope, moments=moments))
            connection.wakes.add(expiring_points.NAME)

    def _told(self, name: str, facts: Sequence[GameFact], held: Collection[HeldAwards], before: _Before) -> "_Told":
        """What to write. On the game's thread."""
        rebuilt = restate(self._game, facts, held)
        entries = self._entries(name, facts, rebuilt, before)
        state = new_state()
        apart = change(state, rebuilt.cells, ())
        state["entries"] = len(entries)
        changes = Changes(self._scope, self._now)
        changes.counts[name] = 0
        changes.states[name] = dumps(state)
        if apart:
            changes.cells[name] = apart
        if is_hidden(state["cells"]):
            changes.hidden.add(name)
        note_team_scores(changes, self._game, name, rebuilt.cells, {})
        for key, cell in rebuilt.cells.items():
            place = board_score(self._game, name, key, cell)
            if place is not None and place.score is not None and place.board in self._game.rules:
                changes.place(
                    (place.board, place.window, place.period), name, (place.score, place.reached_at, place.exact)
                )
        return _Told(changes, entries)

    def _entries(
        self, name: str, facts: Sequence[GameFact], rebuilt: Rebuilt, before: _Before
    ) -> list[tuple[NewEntry, int]]:
        """The ledger, in the order in which it was entered, with when that was."""
        fact_ids = {fact.seq: fact.fact_id for fact in facts}
        known = before.entries
        dated = [
            (known[each.cause].entry.created_at if each.cause in known else self._now, each) for each in rebuilt.ledger
        ]
        dated.sort(key=lambda pair: pair[0])
        found: list[tuple[NewEntry, int]] = []
        balances: dict[str | None, int] = {}
        new_ids = iter(self._ids.new_packed(len(dated)))
        for number, (at, each) in enumerate(dated, 1):
            currency = currency_of(each.cause)
            balance = balances[currency] = balances.get(currency, 0) + each.amount
            new_id = next(new_ids)
            stored = known.get(each.cause)
            transaction_id = new_id if stored is None else pack("txn", stored.entry.transaction_id)
            cause = pack_cause(each.cause, fact_ids[each.seq])
            moment = (each.seq, each.occurred_at)
            found.append((NewEntry(name, number, transaction_id, cause, each.amount, balance, *moment), at))
        return found


class _Told(Struct, frozen=True):
    changes: Changes
    entries: list[tuple[NewEntry, int]]
