"""Everything stored about one participant, as verifying and rebuilding read it."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from bq_server.causes import currency_of
from bq_server.events import Scope
from bq_server.exact_json import loads
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.facts import REWARD_CLAIMED, VISIBILITY_CHANGED, RewardClaimed, VisibilityChanged, system_properties
from bq_server.game.facts import Fact as GameFact
from bq_server.game.mechanics.rule import LedgerEntry
from bq_server.game.state.packed import cells_of
from bq_server.game.voids import voids_among
from bq_server.processing.alias_index import AliasDifference, AliasIndex
from bq_server.processing.compiled_games import Games
from bq_server.processing.meant_names import naming_types, with_meant_names
from bq_server.processing.participant_cells import game_fact, score_of
from bq_server.processing.received_stories import story_of
from bq_server.store import (
    aliases,
    games,
    group_dues,
    ledger,
    participants,
    received_facts,
    reward_claims,
    state,
    team_scores,
)
from bq_server.store.batch import Place
from bq_server.store.database import Connection, Database
from bq_server.store.group_dues import GroupShare
from bq_server.store.ledger import NumberedEntry, PointsEntry
from bq_server.store.references import Ranking
from bq_server.store.team_scores import MemberScore

PAGE = 500
"""Participant ids, or places in rankings, read at a time."""

EVERYTHING = ("",)
"""The prefix of all keys."""


class Stored(Struct, frozen=True):
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
    aliasing: AliasDifference
    """How the aliases that the facts tell of differ from those that are stored."""
    misplaced: list[str]
    """Under which names facts were sent that belong into another story."""
    team_scores: Sequence[MemberScore] = ()
    """What is ranked of the participant on leaderboards of teams."""
    group_shares: Sequence[GroupShare] = ()
    """The groups for which the participant has added something to a challenge."""

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
            for entry, before in zip(entries, balances_before(entries), strict=True)
            if entry.balance != before + number(entry.amount) or entry.amount != number(entry.amount)
        )


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
    known = known if known is not None and known.reference == reference else None  # not whom an alias stands for
    rows = await participants.facts(connection, scope, participant_id)
    facts = [game_fact(fact) for fact in rows]
    index = AliasIndex(connection.references, scope, game, 0)
    misplaced: list[str] = []
    if scope in connection.references.aliased:
        misplaced = await connection.run(partial(aliases.misplaced, participant=reference))
    recipients: dict[int, set[str]] = {}
    if game.has_received:
        received = await connection.run(partial(received_facts.whole_story, participant=reference))
        facts = sorted([*facts, *story_of(participant_id, received)], key=lambda fact: fact.moment)
        meant = partial(with_meant_names, references=connection.references, scope=scope, types=naming_types(game))
        facts = list(await connection.run(partial(meant, facts=facts)))
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
        await connection.run(partial(index.difference, story=reference)),
        misplaced,
        await connection.run(partial(team_scores.of_participant, participant=reference)),
        await connection.run(partial(group_dues.shares_of, participant=reference)),
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


def number(found: object) -> int:
    """An amount of the ledger; 0 if somebody wrote something other than a whole number."""
    return found if isinstance(found, int) else 0


def balances_before(entries: Iterable[PointsEntry]) -> list[int]:
    """The balance of each entry's currency before it, as the entry before says."""
    newest: dict[str | None, int] = {}
    found = []
    for entry in entries:
        currency = currency_of(entry.cause)
        found.append(newest.get(currency, 0))
        newest[currency] = number(entry.balance)
    return found
