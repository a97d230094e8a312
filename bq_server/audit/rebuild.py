"""Rebuilding: everything that follows from facts is rewritten, and awards given before stay."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from bq_server.audit.stored_participants import PAGE, Stored, everyone, load
from bq_server.audit.stored_places import BEGINNING, is_stray, rankings
from bq_server.audit.team_checks import team_corrections, untold
from bq_server.causes import currency_of, pack_cause
from bq_server.clock import Clock
from bq_server.events import Scope
from bq_server.exact_json import dumps
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.effects import PointsChanged
from bq_server.game.mechanics.leaderboards import BoardScore
from bq_server.game.rebuild import AwardHistory, Rebuilt, rebuild, sound
from bq_server.game.state.packed import change
from bq_server.game.voids import voids_among
from bq_server.ids import IdSource
from bq_server.processing.alias_changes import AliasChanges
from bq_server.processing.compiled_games import Games
from bq_server.processing.game_thread import GameThread
from bq_server.processing.received_facts import deliver_past
from bq_server.store import (
    aliases,
    batch,
    group_dues,
    ledger,
    participants,
    rank_sections,
    reward_claims,
    state,
    team_scores,
    voids,
)
from bq_server.store.batch import NewEntry, Place, Standing
from bq_server.store.database import Connection, Database
from bq_server.store.ledger import NumberedEntry
from bq_server.store.references import Ranking, References
from bq_server.store.reward_claims import NewRewardClaim


class Rebuilder:
    """Rewrites state, one participant per transaction, so that it can be stopped and started again.

    Nothing else may write meanwhile.
    """

    def __init__(self, database: Database, ids: IdSource, clock: Clock) -> None:
        self._database = database
        self._ids = ids
        self._clock = clock
        self._games = Games()
        self._game_thread = GameThread()

    async def participants(self, scope: Scope) -> AsyncIterator[bool]:
        """Go through every participant of an environment; yields for each whether anything was written.

        Raises `StoreUnavailable`; the participants before stay replayed.
        """
        await self._aliases(scope)
        async with self._database.transaction() as connection:
            game = await self._games.of(connection, scope)
            awarding = [rule for rule in game.rules.values() if rule.award_to is not None]
            if awarding or game.has_received:  # before anybody's story is read
                await deliver_past(connection, scope, awarding, self._clock(), transfers=game.has_received)
        async for participant_id, reference in everyone(self._database, scope):
            async with self._database.transaction() as connection:
                stored = await load(connection, scope, participant_id, reference, self._games)
                changed = await self._cells(connection, scope, stored)
                changed += await self._total(connection, stored)
                changed += await self._marks(connection, stored)
                changed += await self._claims(connection, scope, stored)
            yield changed > 0

    async def _aliases(self, scope: Scope) -> None:
        """Find anew which names are aliases, and put facts where they belong."""
        async with self._database.transaction() as connection:
            told = await connection.run(partial(aliases.tellers, scope=scope))
        if not told and scope not in connection.references.aliased:
            return
        # First where the known aliases have them: what a story says of aliases counts where it belongs.
        async for _, reference in everyone(self._database, scope):
            async with self._database.transaction() as connection:
                await connection.run(partial(aliases.put_in_place, participant=reference))
        async with self._database.transaction() as connection:
            game = await self._games.of(connection, scope)
            changes = AliasChanges(connection, scope, game, self._ids, self._clock(), self._game_thread)
            moved = True
            while moved:  # what one story takes from another may say more
                stories = await connection.run(partial(aliases.tellers, scope=scope))
                moved = any([await changes.bring_up_to_date(story) for story in stories])

    async def strays(self, scope: Scope) -> int:
        """Remove the places in rankings that no cell accounts for; returns how many. Raises `StoreUnavailable`."""
        cursor, removed = BEGINNING, 0
        while True:
            async with self._database.transaction() as connection:
                game = await self._games.of(connection, scope)
                page = await state.places_after(connection, scope, cursor, PAGE)
                strays = [(each.cursor[1], each.place._replace(score=None)) for each in page if is_stray(game, each)]
                for hidden in (False, True):
                    some = [each for each in strays if each[1].hidden is hidden]
                    await self._put_places(connection, scope, some, hidden=hidden)
            removed += len(strays)
            if not page:
                return removed
            cursor = page[-1].cursor

    async def teams(self, scope: Scope) -> int:
        """Rank teams by what their members have scored; returns how many that moved. Raises `StoreUnavailable`.

        After the participants.
        """
        async with self._database.transaction() as connection:
            references = connection.references
            found = await connection.run(
                lambda writing: list(team_scores.miscounted(writing, scope, references, mend=True))
            )
            connection.wakes.add(group_dues.NAME)
        return len(found)

    async def miscounts(self, scope: Scope) -> int:
        """Divide long rankings anew whose sections are counted wrong; returns how many. Raises `StoreUnavailable`."""
        async with self._database.transaction() as connection:
            found = await connection.run(lambda writing: list(rank_sections.miscounted(writing, scope, mend=True)))
        return len(found)

    async def _cells(self, connection: Connection, scope: Scope, stored: Stored) -> int:
        cells = sound(stored.game, AwardHistory.of(stored.facts), stored.cells)
        rebuilt = rebuild(stored.game, stored.facts, cells, stored.ledger, stored.doubtful)
        changed = {key: cell for key, cell in rebuilt.cells.items() if stored.cells.get(key) != cell}
        changed |= dict.fromkeys(stored.cells.keys() - rebuilt.cells.keys())
        own = dict(stored.state)
        apart = change(own, changed, stored.cells.items())
        entries = await self._ledger(connection, stored, rebuilt, own)
        if changed or entries or stored.unreadable is not None:
            await connection.run(lambda writing: batch.put_state(writing, stored.reference, dumps(own)))
            await connection.run(lambda writing: batch.put_cells(writing, {stored.reference: apart}))
        turned = any(place.hidden is not stored.is_hidden for place in stored.places.values())
        if turned:
            await connection.run(lambda writing: _turn(writing, connection.references, scope, stored))
        places = [(stored.reference, place) for place in _places(stored.game, stored, rebuilt)]
        await self._put_places(connection, scope, places, hidden=stored.is_hidden)
        teams = await self._put_team_scores(connection, scope, stored, rebuilt)
        teams += await _have_told(connection, stored, rebuilt)
        return len(changed) + len(places) + teams + entries + turned + (stored.unreadable is not None)

    async def _put_team_scores(self, connection: Connection, scope: Scope, stored: Stored, rebuilt: Rebuilt) -> int:
        """Write what is ranked on leaderboards of teams; returns how much that changed."""
        who, hidden = stored.participant_id, stored.is_hidden
        wrong = team_corrections(stored.game, who, stored.team_scores, rebuilt.cells, hidden=hidden)

        def put(writing: Any) -> None:
            references, now = connection.references, self._clock()
            own, known = references.scope(writing, scope), {who: stored.reference}
            team_scores.put(writing, references, own, wrong, known, [who] if hidden else [], now)

        if wrong:
            await connection.run(put)
            connection.wakes.add(group_dues.NAME)
        return sum(len(each.scores) for each in wrong.values())

    @staticmethod
    async def _put_places(
        connection: Connection, scope: Scope, places: Sequence[tuple[int, Place]], *, hidden: bool
    ) -> None:
        by_ranking: dict[Ranking, list[tuple[int, Standing]]] = {}
        for participant, place in places:
            by_ranking.setdefault(place.ranking, []).append((participant, place.standing))

        def put(writing: Any) -> None:
            references = connection.references
            out_of_sight = {participant for participant, _ in places} if hidden else set()
            batch.put_places(writing, references, references.scope(writing, scope), by_ranking, out_of_sight)

        await connection.run(put)

    async def _ledger(self, connection: Connection, stored: Stored, rebuilt: Rebuilt, own: dict[str, Any]) -> int:
        """Correct the ledger; returns how many entries that changed. `own` keeps count of them."""
        entries = {each.entry.cause: each for each in stored.entries}
        missing = {effect.cause: effect for effect in rebuilt.missing}
        mended: list[NumberedEntry] = []
        added: list[tuple[int, NewEntry]] = []
        balances: dict[str | None, int] = {}
        founded = {each.cause for each in rebuilt.ledger}
        number = max((each.number for cause, each in entries.items() if cause in founded), default=0)
        for each in rebuilt.ledger:
            currency = currency_of(each.cause)
            balance = balances[currency] = balances.get(currency, 0) + each.amount
            if each.cause in missing:
                number += 1
                added.append((stored.reference, self._entry(missing[each.cause], balance, number, each.seq)))
                continue
            known = entries[each.cause]
            right = replace(known.entry, amount=each.amount, balance=balance, occurred_at=each.occurred_at)
            if (right, each.seq) != (known.entry, known.seq):
                mended.append(replace(known, entry=right, seq=each.seq))
        unfounded = [entries[cause].number for cause in entries.keys() - founded]
        await ledger.remove(connection, stored.reference, unfounded)
        await ledger.mend(connection, stored.reference, mended)
        await connection.run(lambda writing: batch.add_entries(writing, added, self._clock()))
        counted: bool = own.get("entries", 0) != number
        own["entries"] = number
        return len(unfounded) + len(mended) + len(added) + counted

    @staticmethod
    async def _marks(connection: Connection, stored: Stored) -> int:
        """Mark the facts that are void, and no others; returns how many marks that changed."""
        due = voids_among(stored.own_facts).by
        wrong = [
            (fact.seq, due[fact.fact_id].seq if fact.fact_id in due else None)
            for fact in stored.own_facts
            if stored.marks.get(fact.fact_id) != (due[fact.fact_id].fact_id if fact.fact_id in due else None)
        ]
        await connection.run(partial(voids.mark, marks=wrong))
        return len(wrong)

    @staticmethod
    async def _claims(connection: Connection, scope: Scope, stored: Stored) -> int:
        """Remember the claims that the facts tell of, and no others; returns how many that changed."""
        due = stored.due_claims
        renewed = [NewRewardClaim(seq, *told) for seq, told in due.items() if stored.claims.get(seq) != told]
        removed = list(stored.claims.keys() - due.keys())
        if renewed or removed:
            await connection.run(partial(reward_claims.put, scope=scope, claims=renewed, removed=removed))
        return len(renewed) + len(removed)

    async def _total(self, connection: Connection, stored: Stored) -> int:
        known = stored.total_events is not None or not stored.facts
        if known and (stored.total_events or 0) == stored.events:
            return 0
        since = min((fact.received_at for fact in stored.facts), default=self._clock())
        await participants.put_total_events(connection, stored.reference, stored.events, since)
        return 1

    def _entry(self, effect: PointsChanged, balance: int, number: int, seq: int) -> NewEntry:
        (transaction_id,) = self._ids.new_packed(1)
        return NewEntry(
            effect.participant_id,
            number,
            transaction_id,
            pack_cause(effect.cause, effect.fact_id),
            effect.amount,
            balance,
            seq,
            effect.occurred_at,
        )


def _turn(writing: Any, references: References, scope: Scope, stored: Stored) -> None:
    """Put a participant's places where they belong: in sight, or out of it."""
    own = references.scope(writing, scope)
    rank_sections.move_places_of(writing, own, stored.reference, hidden=stored.is_hidden)


def _places(game: CompiledGame, stored: Stored, rebuilt: Rebuilt) -> list[Place]:
    """The places that differ from the rebuilt cells."""
    given = rankings(game, stored.participant_id, rebuilt.cells)
    missing = [Place(*ranking, stored.participant_id, None, None) for ranking in stored.places.keys() - given.keys()]
    return missing + [
        Place(*ranking, stored.participant_id, each.score, each.reached_at, each.exact)
        for ranking, each in given.items()
        if each.score is not None and not _is(stored.places.get(ranking), each)
    ]


def _is(place: Place | None, given: BoardScore) -> bool:
    return place is not None and (place.score, place.reached_at, place.exact) == (
        given.score,
        given.reached_at,
        given.exact,
    )


async def _have_told(connection: Connection, stored: Stored, rebuilt: Rebuilt) -> int:
    """Have the participant looked at who was never told what a group has reached; returns for how many groups."""
    found = list(untold(stored.game, stored.group_shares, rebuilt.cells))
    for each in found:
        add = partial(group_dues.add, ranking=each.ranking, team=each.team, participant=stored.reference)
        await connection.run(add)
        connection.wakes.add(group_dues.NAME)
    return len(found)
