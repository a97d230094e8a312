"""Verifying: everything stored about every participant, compared with what their facts lead to."""

from collections.abc import AsyncIterator, Container, Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from bq_server.audit.stored_participants import PAGE, Stored, balances_before, everyone, load, number
from bq_server.audit.stored_places import BEGINNING, is_stray, rankings
from bq_server.audit.team_checks import miscount, team_differences, untold
from bq_server.events import Scope
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.rebuild import AwardHistory, due, sound, unmarked, without_pending
from bq_server.game.recipients import spread
from bq_server.game.verification import Difference, KeptAward, owner, verify
from bq_server.game.voids import voids_among
from bq_server.processing.compiled_games import Games
from bq_server.store import checksums, participants, state, team_scores
from bq_server.store.batch import Place
from bq_server.store.checksums import AlteredFact
from bq_server.store.database import Database, StoreUnavailable
from bq_server.store.erasures import NOBODY
from bq_server.store.rank_sections import Miscount, miscounted

FACTS = 5_000
"""Facts compared with their checksums at a time."""

_OUT_OF_SIGHT = ((), ("hidden",))


class CheckedParticipant(Struct, frozen=True):
    """The outcome for one participant."""

    participant_id: str
    differences: list[Difference]
    kept: list[KeptAward]
    pending: frozenset[str]
    """Definitions that were left out, because their past is still being counted."""


class Verifier:
    """Reads while others write; each participant as of one moment."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._games = Games()

    async def scopes(self) -> list[Scope]:
        """The environments that contain anything. Raises `StoreUnavailable`, as do all of these."""
        async with self._database.read() as connection:
            return await participants.every_scope(connection)

    async def count(self, scope: Scope) -> int:
        """Approximately how many participants an environment has."""
        async with self._database.read() as connection:
            return await participants.count(connection, scope)

    async def altered(self, scope: Scope) -> AsyncIterator[AlteredFact]:
        """The facts whose rows don't match their checksums, in the order in which they were made."""
        after: int | None = 0
        while after is not None:
            async with self._database.read() as connection:
                found, after = await checksums.altered(connection, scope, after, FACTS)
            for each in found:
                yield each

    async def participants(
        self, scope: Scope, altered: Container[str | None] = ()
    ) -> AsyncIterator[CheckedParticipant]:
        """Every participant of an environment, in the order of their ids.

        Those with `altered` facts may not be readable at all.
        """
        async for participant_id, reference in everyone(self._database, scope):
            try:
                async with self._database.read() as connection, state.snapshot(connection):
                    stored = await load(connection, scope, participant_id, reference, self._games)
                checked = check(stored)
            except (ValueError, TypeError, StoreUnavailable) as error:
                if participant_id not in altered:
                    raise
                unreadable = Difference("facts", f"can't be read ({error})", "readable")
                checked = CheckedParticipant(participant_id, [unreadable], [], frozenset())
            yield checked

    async def strays(self, scope: Scope) -> AsyncIterator[Place]:
        """The places in rankings that no cell accounts for."""
        cursor = BEGINNING
        while True:
            async with self._database.read() as connection, state.snapshot(connection):
                game = await self._games.of(connection, scope)
                page = await state.places_after(connection, scope, cursor, PAGE)
            for each in page:
                if is_stray(without_pending(game), each):
                    yield each.place
            if not page:
                return
            cursor = page[-1].cursor

    async def teams(self, scope: Scope) -> list[Difference]:
        """The teams whose places aren't what their members have scored."""
        async with self._database.read() as connection, state.snapshot(connection):
            found = await connection.run(lambda reading: list(team_scores.miscounted(reading, scope)))
        return [miscount(each) for each in found]

    async def miscounts(self, scope: Scope) -> list[Miscount]:
        """The long rankings whose sections are counted wrong, so that ranks are."""
        async with self._database.read() as connection, state.snapshot(connection):
            return await connection.run(lambda reading: list(miscounted(reading, scope)))


def check(stored: Stored) -> CheckedParticipant:
    """Compare what is stored with what it should be."""
    game = without_pending(stored.game)
    cells = sound(game, AwardHistory.of(stored.facts), stored.cells)
    ledger = stored.ledger
    result = verify(game, stored.facts, cells, ledger)
    # Awards of definitions left out don't count as kept: the facts may well lead to them.
    kept = result.kept if game is stored.game else verify(stored.game, stored.facts, cells, ledger).kept
    found: dict[str, Difference] = {}
    for each in (
        *([Difference("state", stored.unreadable, "a JSON object")] if stored.unreadable is not None else ()),
        *_unsound(game, stored, cells),
        *result.differences,
        *(Difference(f"{key}@{step}", None, "given") for key, step in unmarked(game, cells, ledger)),
        *_entries(game, stored),
        *_places(game, stored),
        *team_differences(game, stored.team_scores, stored.cells, hidden=stored.is_hidden),
        *_untold(game, stored),
        *_marks(stored),
        *_claims(stored),
        *_recipients(game, stored),
        *_aliases(stored),
        *_total(stored),
    ):
        known = found.get(each.key)
        if known is not None:
            found[each.key] = Difference(each.key, known.stored, each.expected)
        elif not (each.key.startswith("tiers/") and _tier_is_new(stored)):
            found[each.key] = each
    return CheckedParticipant(stored.participant_id, list(found.values()), kept, stored.game.pending)


def _unsound(game: CompiledGame, stored: Stored, cells: Mapping[str, Any]) -> Iterator[Difference]:
    for key, cell in stored.cells.items():
        if cells.get(key) != cell and (owner(key) in game.rules or "/" not in key or key.startswith("badge/")):
            yield Difference(key, cell, cells.get(key))


def _untold(game: CompiledGame, stored: Stored) -> Iterator[Difference]:
    """What a group has reached, and no fact has told the participant who took part."""
    for each in untold(game, stored.group_shares, stored.cells):
        yield Difference(f"challenge/{each.challenge_code}@{each.group}", None, "told")


def _entries(game: CompiledGame, stored: Stored) -> Iterator[Difference]:
    moments = {fact.fact_id: (fact.seq, fact.occurred_at) for fact in stored.facts}
    doubtful = stored.doubtful
    paid = due(game, stored.facts) if doubtful else {}
    balances = balances_before([each.entry for each in stored.entries])
    for numbered, before in zip(stored.entries, balances, strict=True):
        entry, seq = numbered.entry, numbered.seq
        key = f"ledger/{entry.cause}"
        moment = moments.get(entry.fact_id)
        if moment is None:
            yield Difference(key, entry.amount, None)
        elif moment != (seq, entry.occurred_at):
            yield Difference(f"{key}/moment", [seq, entry.occurred_at], list(moment))
        elif entry.cause in doubtful:
            effect = paid.get(entry.cause)
            if effect is not None and effect.amount != entry.amount:
                yield Difference(key, entry.amount, effect.amount)
            else:
                yield Difference(f"{key}/balance", entry.balance, before + number(entry.amount))


def _places(game: CompiledGame, stored: Stored) -> Iterator[Difference]:
    for ranking, given in rankings(game, stored.participant_id, stored.cells).items():
        place = stored.places.get(ranking)
        told = None if place is None else [place.score, place.reached_at, *_OUT_OF_SIGHT[place.hidden]]
        right = [given.score, given.reached_at, *_OUT_OF_SIGHT[stored.is_hidden]]
        if given.score is not None and told != right:
            yield Difference("/".join(("standings", *ranking)), told, right)


def _marks(stored: Stored) -> Iterator[Difference]:
    due = voids_among(stored.own_facts).by
    for fact_id in sorted(due.keys() | stored.marks.keys()):
        void = due[fact_id].fact_id if fact_id in due else None
        if stored.marks.get(fact_id) != void:
            yield Difference(f"void/{fact_id}", stored.marks.get(fact_id), void)


def _claims(stored: Stored) -> Iterator[Difference]:
    """A claim that isn't remembered would leave the stock too large, one without a fact too small."""
    due, names = stored.due_claims, {fact.seq: fact.fact_id for fact in stored.facts}
    for seq in sorted(due.keys() | stored.claims.keys()):
        known, right = stored.claims.get(seq), due.get(seq)
        if known != right:
            yield Difference(f"claim/{names.get(seq, seq)}", known and list(known), right and list(right))


def _recipients(game: CompiledGame, stored: Stored) -> Iterator[Difference]:
    """Whom facts name, and who hasn't received them. A fact that an erased person had received names nobody more."""
    if not game.has_received:
        return
    known, due = stored.recipients, game.deliveries(stored.own_facts).recipients
    closed = {fact.fact_id: known[fact.seq] for fact in stored.own_facts if NOBODY in known.get(fact.seq, ())}
    due = spread({**due, **{fact_id: who - {NOBODY} for fact_id, who in closed.items()}}, stored.own_facts)
    for fact in stored.own_facts:
        for each in sorted(due.get(fact.fact_id, set()) - known.get(fact.seq, set())):
            yield Difference(f"received/{fact.fact_id}/{each}", None, "received")


def _aliases(stored: Stored) -> Iterator[Difference]:
    """Which names are aliases, and in whose story facts are."""
    for each in stored.aliasing.gone:
        yield Difference(f"alias/{each.name}", stored.participant_id, None)
    for each, _ in stored.aliasing.new:
        yield Difference(f"alias/{each.name}", None, stored.participant_id)
    for name in stored.misplaced:
        yield Difference(f"sent_as/{name}", stored.participant_id, "the story of whom it stands for")


def _total(stored: Stored) -> Iterable[Difference]:
    known = stored.total_events is not None or not stored.facts
    if not known or (stored.total_events or 0) != stored.events:
        yield Difference("total_events", stored.total_events, stored.events)


def _tier_is_new(stored: Stored) -> bool:
    """Whether the game may have tiers added after the participant's newest points."""
    return all(each.entry.created_at < stored.applied_at for each in stored.entries if number(each.entry.amount) > 0)
