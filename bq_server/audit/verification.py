"""Verifying: everything stored about every participant, compared with what their facts lead to."""

from collections.abc import AsyncIterator, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bq_server.causes import currency_of
from bq_server.events import Scope
from bq_server.exact_json import loads
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.facts import REWARD_CLAIMED, VISIBILITY_CHANGED, RewardClaimed, VisibilityChanged, system_properties
from bq_server.game.facts import Fact as GameFact
from bq_server.game.mechanics.contests import LIVE
from bq_server.game.mechanics.leaderboards import BoardScore
from bq_server.game.mechanics.recurring_challenges import RecurringChallengeRule
from bq_server.game.mechanics.rule import LedgerEntry
from bq_server.game.rebuild import AwardHistory, due, readable, sound, unmarked, without_pending
from bq_server.game.recipients import spread
from bq_server.game.state.keys import contest_place
from bq_server.game.state.packed import cells_of
from bq_server.game.step import standing
from bq_server.game.verification import Difference, KeptAward, owner, verify
from bq_server.game.voids import voids_among
from bq_server.processing.compiled_games import Games
from bq_server.processing.participant_cells import game_fact, score_of
from bq_server.processing.received_stories import story_of
from bq_server.store import checksums, games, ledger, participants, received_facts, reward_claims, state
from bq_server.store.batch import Place
from bq_server.store.checksums import AlteredFact
from bq_server.store.database import Connection, Database, StoreUnavailable
from bq_server.store.erasures import NOBODY
from bq_server.store.ledger import NumberedEntry, PointsEntry
from bq_server.store.rank_sections import Miscount, miscounted
from bq_server.store.references import Ranking
from bq_server.store.state import StoredPlace

PAGE = 500
"""Participant ids, or places in rankings, read at a time."""

FACTS = 5_000
"""Facts compared with their checksums at a time."""

BEGINNING = (-(2**63), 0)
"""Before the first place of all rankings."""

_OUT_OF_SIGHT = ((), ("hidden",))

EVERYTHING = ("",)
"""The prefix of all keys."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored about one participant at one moment."""

    participant_id: str
    game: CompiledGame
    applied_at: int
    """When the game was applied, microseconds since the epoch, UTC."""
    facts: list[GameFact]
    reference: int
    """The participant's integer in other tables."""
    state: dict[str, Any]
    """The participant's own row; empty if it isn't a JSON object."""
    unreadable: str | None
    """The text of the row, if it isn't."""
    cells: dict[str, Any]
    entries: list[NumberedEntry]
    """The ledger."""
    places: dict[Ranking, Place]
    """Those on the boards of the game."""
    marks: dict[str, str]
    """The facts marked as void, each with the fact that voids it, by id."""
    claims: dict[int, tuple[str, str | None]]
    """The rewards and codes that are remembered of claims, by the seq of their facts."""
    total_events: int | None
    """None if the participant is not known."""
    recipients: dict[int, set[str]]
    """Who has received which of the participant's facts, by seq; the empty string for the erased."""

    @property
    def own_facts(self) -> list[GameFact]:
        """Those that are the participant's own."""
        return [fact for fact in self.facts if fact.sender is None]

    @property
    def due_claims(self) -> dict[int, tuple[str, str | None]]:
        """Those that the facts tell of, cancelled ones among them."""
        told = {fact.seq: system_properties(fact) for fact in self.own_facts if fact.fact_type == REWARD_CLAIMED}
        return {seq: (own.reward_code, own.code_value) for seq, own in told.items() if isinstance(own, RewardClaimed)}

    @property
    def is_hidden(self) -> bool:
        """Whether the participant is kept off leaderboards, as the facts have it."""
        told = [fact for fact in self.facts if fact.fact_type == VISIBILITY_CHANGED]
        void = voids_among(self.facts).by if told else {}
        told = [fact for fact in told if fact.fact_id not in void]
        known = [given for given in map(system_properties, told) if isinstance(given, VisibilityChanged)]
        return bool(known) and known[-1].hidden

    @property
    def events(self) -> int:
        """How many events became facts."""
        return sum(fact.fact_type.startswith("custom.") for fact in self.own_facts)

    @property
    def ledger(self) -> list[LedgerEntry]:
        """The participant's entries, with the values that their facts give."""
        known = {fact.fact_id: fact for fact in self.facts}
        return [
            LedgerEntry(
                each.entry.cause,
                number(each.entry.amount),
                known[each.entry.fact_id].occurred_at,
                known[each.entry.fact_id].seq,
            )
            for each in self.entries
            if each.entry.fact_id in known
        ]

    @property
    def doubtful(self) -> frozenset[str]:
        """The causes of the entries whose amount isn't the difference of two balances."""
        entries = [each.entry for each in self.entries]
        return frozenset(
            entry.cause
            for entry, before in zip(entries, _balances_before(entries), strict=True)
            if entry.balance != before + number(entry.amount) or entry.amount != number(entry.amount)
        )


@dataclass(frozen=True, slots=True)
class CheckedParticipant:
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

    async def miscounts(self, scope: Scope) -> list[Miscount]:
        """The long rankings whose sections are counted wrong, so that ranks are."""
        async with self._database.read() as connection, state.snapshot(connection):
            return await connection.run(lambda reading: list(miscounted(reading, scope)))


async def everyone(database: Database, scope: Scope) -> AsyncIterator[tuple[str, int]]:
    """Everyone about whom anything is stored, in order: the id, and the integer in other tables."""
    after = ""
    while True:
        async with database.read() as connection:
            page = await participants.named_after(connection, scope, after, PAGE)
        for after, reference in page:
            yield after, reference
        if not page:
            return


async def load(connection: Connection, scope: Scope, participant_id: str, reference: int, compiled: Games) -> Stored:
    """Everything stored about one participant; call it in a transaction, so that it is of one moment."""
    game = await compiled.of(connection, scope)
    in_force = await games.current(connection, scope)
    known = await participants.find(connection, scope, participant_id)
    rows = await participants.facts(connection, scope, participant_id)
    facts = [game_fact(fact) for fact in rows]
    recipients: dict[int, set[str]] = {}
    if game.has_received:
        received = await connection.run(partial(received_facts.whole_story, participant=reference))
        facts = sorted([*facts, *story_of(participant_id, received)], key=lambda fact: fact.moment)
        recipients = await connection.run(partial(received_facts.recipients_by_sender, participant=reference))
    text = await state.text_of(connection, reference)
    own = readable_state(text)
    boards = [key for key in game.rules if key.startswith(("leaderboard/", "challenge/", "contest/"))]
    places = await state.places_of(connection, reference, participant_id, boards)
    cells = cells_of(own or {})
    cells |= await state.cells_apart(connection, reference, EVERYTHING)
    for place in places.values():
        if place.board.startswith("leaderboard/") and is_older(own or {}, place):
            key, cell = score_of(game, place, cells)
            cells[key] = cell
    return Stored(
        participant_id,
        game,
        in_force.applied_at if in_force is not None else 0,
        facts,
        reference,
        own or {},
        None if own is not None else text,
        cells,
        await ledger.whole(connection, reference),
        places,
        {fact.fact_id: fact.voided_by for fact in rows if fact.voided_by is not None},
        await reward_claims.of_participant(connection, reference),
        known.total_events if known is not None else None,
        recipients,
    )


def readable_state(text: str) -> dict[str, Any] | None:
    """A participant's own row, parsed; None if it isn't what this program writes."""
    try:
        found = loads(text)
        cells_of(found)
    except (ValueError, TypeError, AttributeError):
        return None
    return found if isinstance(found.get("entries", 0), int) else None


def is_older(own: Mapping[str, Any], place: Place) -> bool:
    """Whether a place is of a period before the newest of its window: then it is the only record of the score."""
    newest = own.get("scores", {}).get(f"{place.board.partition('/')[2]}/{place.window}")
    return newest is not None and place.period < newest[0]


def rankings(game: CompiledGame, participant_id: str, cells: Mapping[str, Any]) -> dict[Ranking, BoardScore]:
    """The places that cells account for, or no longer do, on the boards of the game."""
    found = (
        standing(game, participant_id, key, cell)
        for key, cell in cells.items()
        if owner(key) in game.rules and readable(game, key, cell)
    )
    return {(each.board, each.window, each.period): each for each in found if each is not None}


def is_stray(game: CompiledGame, stored: StoredPlace) -> bool:
    """Whether no cell accounts for a place on a board of the game."""
    place = stored.place
    if place.board not in game.rules or isinstance(game.rules[place.board], RecurringChallengeRule):
        # Nobody's, or of a round, whose cell is kept apart: the facts decide.
        return False
    own = readable_state(stored.state)
    if own is None or (place.board.startswith("leaderboard/") and is_older(own, place)):
        # That is another difference, or one that the facts decide.
        return False
    key = _cell(place)
    cells = cells_of(own)
    if key not in cells:
        return True
    given = rankings(game, place.participant_id, {key: cells[key]})
    if not given:
        # The cell itself can't be read, which is another difference.
        return False
    found = given.get((place.board, place.window, place.period))
    return found is None or found.score is None


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
        *_marks(stored),
        *_claims(stored),
        *_recipients(game, stored),
        *_total(stored),
    ):
        known = found.get(each.key)
        if known is not None:
            found[each.key] = Difference(each.key, known.stored, each.expected)
        elif not (each.key.startswith("tiers/") and _tier_is_new(stored)):
            found[each.key] = each
    return CheckedParticipant(stored.participant_id, list(found.values()), kept, stored.game.pending)


def number(found: object) -> int:
    """An amount of the ledger; 0 if somebody wrote something other than a whole number."""
    return found if isinstance(found, int) else 0


def _unsound(game: CompiledGame, stored: Stored, cells: Mapping[str, Any]) -> Iterator[Difference]:
    for key, cell in stored.cells.items():
        if cells.get(key) != cell and (owner(key) in game.rules or "/" not in key or key.startswith("badge/")):
            yield Difference(key, cell, cells.get(key))


def _entries(game: CompiledGame, stored: Stored) -> Iterator[Difference]:
    moments = {fact.fact_id: (fact.seq, fact.occurred_at) for fact in stored.facts}
    doubtful = stored.doubtful
    paid = due(game, stored.facts) if doubtful else {}
    balances = _balances_before([each.entry for each in stored.entries])
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


def _balances_before(entries: Iterable[PointsEntry]) -> list[int]:
    """The balance of each entry's currency before it, as the entry before says."""
    newest: dict[str | None, int] = {}
    found = []
    for entry in entries:
        currency = currency_of(entry.cause)
        found.append(newest.get(currency, 0))
        newest[currency] = number(entry.balance)
    return found


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


def _total(stored: Stored) -> Iterable[Difference]:
    known = stored.total_events is not None or not stored.facts
    if not known or (stored.total_events or 0) != stored.events:
        yield Difference("total_events", stored.total_events, stored.events)


def _tier_is_new(stored: Stored) -> bool:
    """Whether the game may have tiers added after the participant's newest points."""
    return all(each.entry.created_at < stored.applied_at for each in stored.entries if number(each.entry.amount) > 0)


def _cell(place: Place) -> str:
    """The key of the cell that accounts for a place."""
    kind, _, code = place.board.partition("/")
    if kind == "contest":
        return place.board if place.window == LIVE else contest_place(code)
    return f"score/{code}/{place.window}/{place.period}" if kind == "leaderboard" else place.board
