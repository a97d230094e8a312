"""What the transaction over a batch of events reads and writes, in a few statements of many rows.

Everything here is called on the writing connection's own thread (`Connection.run`), in a transaction.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct, field

from bq_server.events import Event, Scope, ScopedKey
from bq_server.exact_json import dumps, loads
from bq_server.ids import pack
from bq_server.store import aliases, rank_sections, received_facts, team_scores
from bq_server.store.bulk import Insert
from bq_server.store.checksums import checksum
from bq_server.store.facts import EARLIEST, LATEST, StoredFact, by_their_keys, fact_of, packed_fingerprint
from bq_server.store.queries import load
from bq_server.store.rank_sections import PlacesMoved
from bq_server.store.references import Ranking, References
from bq_server.store.team_scores import TeamScores

_queries = load("batch", "sqlite3")
_put_participants = Insert(_queries.put_participants.sql)
_insert_facts = Insert(_queries.insert_facts.sql)
_put_cells = Insert(_queries.put_cells.sql)
_put_places = Insert(_queries.put_places.sql)
_add_entries = Insert(_queries.add_entries.sql)


class Held(Struct):
    """What is stored about a participant."""

    reference: int
    state: str
    """JSON; see the migration `0004_compact`."""


class Before(Struct):
    """What exists before a batch of events."""

    last_seq: int
    height: int
    """See `height`."""
    event_ids: list[bytes]
    """Of the events, as stored."""
    by_event: dict[str, StoredFact]
    """The facts that events of the batch had already become, by event id."""
    by_key: dict[ScopedKey, StoredFact]
    """The facts that have idempotency keys of the batch."""
    versions: dict[Scope, int]
    """Of the game in force; 0 for none."""
    heard: set[Scope]
    """Environments where an endpoint is on, or a feed wishes for something."""


Standing = tuple[float | None, int | None, int | None]
"""Of a participant in a ranking: the score as it is shown (None removes the participant from the ranking), when it was
reached, and its exact value in the rule's own unit if the score can't express it."""


class Place(NamedTuple):
    """A participant's place in a ranking."""

    board: str
    """`leaderboard/<code>` or `challenge/<code>`."""
    window: str
    period: str
    participant_id: str
    score: float | None
    """As it is shown. None removes the participant from the ranking."""
    reached_at: int | None
    exact: int | None = None
    """In the rule's own unit, if `score` can't express it exactly."""
    hidden: bool = False
    """Whether it is kept out of sight."""

    @property
    def ranking(self) -> Ranking:
        """The leaderboard, the window and the period that it is in."""
        return self.board, self.window, self.period

    @property
    def standing(self) -> Standing:
        """The score, when it was reached, and the exact score if that is another."""
        return self.score, self.reached_at, self.exact


class NewEntry(NamedTuple):
    """An entry to append to the points ledger."""

    participant_id: str
    number: int
    """The number of the participant's entry, from 1."""
    transaction_id: bytes
    """As stored."""
    cause: str
    """As stored, see `bq_server.causes`."""
    amount: int
    balance: int
    seq: int
    """Of the fact that caused it."""
    occurred_at: int


class NewFact(Struct):
    """A fact to be written."""

    seq: int
    event: Event
    event_id: bytes
    """As stored."""
    own_id: str | None
    """Its id, if that isn't the event's."""
    effects: str | None = None
    """What it caused, as stored."""

    @property
    def fact_id(self) -> str:
        """Its id, as clients are shown it."""
        return self.own_id or "fact" + self.event.event_id.removeprefix("evt")


Caused = tuple[str, str, int, list[list[Any]]]
"""Effects, packed, after their participant, their fact and the fact's event time."""


class Changes(Struct):
    """What to write for one environment. Times are microseconds since the epoch, UTC."""

    scope: Scope
    now: int
    facts: list[NewFact] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """How many more events each participant has. Everyone named anywhere in this object is named here."""
    states: dict[str, str] = field(default_factory=dict)
    """The new state of these participants, as JSON."""
    cells: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Changed cells that are stored apart, by participant and name; None removes one."""
    places: dict[Ranking, dict[str, Standing]] = field(default_factory=dict)
    """Changed places, by ranking and participant."""
    teams: dict[Ranking, TeamScores] = field(default_factory=dict)
    """Changed scores of members of teams, by the ranking of the teams."""
    hidden: set[str] = field(default_factory=set)
    """Those of `places` and `moved` who are kept off leaderboards: their places are kept out of sight."""
    moved: set[str] = field(default_factory=set)
    """Those who were hidden, or shown again."""
    entries: list[NewEntry] = field(default_factory=list)
    received: list[tuple[str, int, str | None]] = field(default_factory=list)
    """Facts that now stand in others' stories: the recipient, the fact's seq, and what it caused there, as stored."""
    caused: list[Caused] = field(default_factory=list)
    """For who is told of it."""

    def place(self, ranking: Ranking, participant_id: str, standing: Standing) -> None:
        """Note a changed place."""
        own = self.places.get(ranking)
        if own is None:
            own = self.places[ranking] = {}
        own[participant_id] = standing


def before(connection: Any, references: References, events: Sequence[Event]) -> Before:
    """What exists before these events."""
    packed = [pack("evt", event.event_id) for event in events]
    ids = dumps([each.hex() for each in packed])
    made = {}
    if _queries.taken_events(connection, event_ids=ids):
        made = {fact.event_id: fact for fact in map(fact_of, _queries.facts_by_events(connection, event_ids=ids))}
    keys: dict[Scope, list[str]] = defaultdict(list)
    versions: dict[Scope, int] = {}
    heard: set[Scope] = set()
    for event in events:
        if event.idempotency_key is not None:
            keys[event.scope].append(event.idempotency_key)
        if event.scope not in versions:
            versions[event.scope], told = _queries.environment(connection, **event.scope._asdict())
            if told:
                heard.add(event.scope)
    keyed: dict[ScopedKey, StoredFact] = {}
    for scope, own in keys.items():
        number = references.scope(connection, scope)
        keyed |= by_their_keys(map(fact_of, _queries.facts_by_keys(connection, scope=number, keys=dumps(own))))
    last_seq, height = _queries.seq_given_last(connection)
    return Before(last_seq, height, packed, made, keyed, versions, heard)


def height(connection: Any) -> int:
    """A number that grows with every commit that makes facts: a store with a lower one was set back.

    The highest seq that was ever given to a fact, 0 before the first; on PostgreSQL higher by the number of
    transactions that made facts beside others, as a lower seq may be committed after a higher one.
    """
    _, found = _queries.seq_given_last(connection)
    return int(found)


def states(connection: Any, references: References, scope: Scope, participants: Iterable[str]) -> dict[str, Held]:
    """What is stored about these participants; unknown ones are left out."""
    rows = _queries.states(
        connection, scope=references.scope(connection, scope), participants=dumps(list(participants))
    )
    return {name: Held(reference, state) for name, reference, state in rows}


def cells(connection: Any, wanted: Sequence[tuple[int, str]]) -> dict[int, dict[str, Any]]:
    """Those cells stored apart that exist, of those named by participant and name; by participant and name."""
    found: dict[int, dict[str, Any]] = {}
    for key, value in _queries.cells(connection, wanted=dumps(wanted)):
        participant, cell = wanted[key]
        found.setdefault(participant, {})[cell] = loads(value)
    return found


def history(
    connection: Any, participant: int, fact_types: Iterable[str], since: int | None, until: int | None = None
) -> list[tuple[Any, ...]]:
    """A participant's facts of these types from one moment until before another, in the order of the fold, as rows.

    A row has seq, the fact's own id and the event's as stored, type, event name, properties as JSON, event time and
    time of arrival.
    """
    return list(
        _queries.history(
            connection,
            participant=participant,
            fact_types=dumps(sorted(fact_types)),
            since=EARLIEST if since is None else since,
            until=LATEST if until is None else until,
        )
    )


def places(
    connection: Any, references: References, scope: Scope, wanted: Sequence[tuple[int, Ranking]]
) -> dict[tuple[int, Ranking], tuple[float, int, str | None]]:
    """The scores of participants in rankings where they have one, when they were reached, and their exact values."""
    own = references.scope(connection, scope)
    pairs = [(participant, references.ranking(connection, own, ranking)) for participant, ranking in wanted]
    return {wanted[key]: tuple(place) for key, *place in _queries.places(connection, wanted=dumps(pairs))}


def write(connection: Any, references: References, changes: Changes, held: Mapping[str, Held]) -> None:
    """Write everything. `held` is what `states` found about participants; the others are created.

    Raises a database error for an event, an idempotency key or a cause that already has a fact or an entry.
    """
    scope = references.scope(connection, changes.scope)
    _put_participants(
        connection,
        [
            (scope, name, changes.now, count, changes.states.get(name) or (held[name].state if name in held else "{}"))
            for name, count in changes.counts.items()
        ],
    )
    known = {name: own.reference for name, own in held.items()}
    new = [name for name in changes.counts if name not in known]
    if new:
        known.update(_queries.references_of(connection, scope=scope, participants=dumps(new)))
    rows = []
    senders: dict[int, int] = {}
    for each in changes.facts:
        event = each.event
        numbers = (
            each.seq,
            scope,
            references.fact_type(connection, scope, event.fact_type, event.event_name),
            known[event.participant_id],
            event.occurred_at,
            event.received_at,
            changes.now,
        )
        texts = (
            each.event_id,
            None if each.own_id is None else pack("fact", each.own_id),
            event.message_id,
            event.idempotency_key,
            packed_fingerprint(event.fingerprint),
            event.properties,
            None if event.warnings == "[]" else event.warnings,
            each.effects,
        )
        checked = numbers
        if event.sent_as is not None:
            sender = senders[each.seq] = aliases.number_of(connection, scope, event.sent_as, changes.now)
            checked = (*numbers[:3], sender, *numbers[4:])
        rows.append((*numbers, *texts, event.voids, checksum(checked, texts, event.voids)))
    _insert_facts(connection, rows)
    if senders:
        aliases.put_sent_as(connection, senders)
    if changes.received:
        received_facts.put(connection, [(known[name], seq, effects) for name, seq, effects in changes.received])
    put_cells(connection, {known[name]: own for name, own in changes.cells.items()})
    for name in changes.moved:
        rank_sections.move_places_of(connection, scope, known[name], hidden=name in changes.hidden)
        team_scores.move(connection, references, known[name], hidden=name in changes.hidden)
    put_places(
        connection,
        references,
        scope,
        {ranking: [(known[name], place) for name, place in own.items()] for ranking, own in changes.places.items()},
        {known[name] for name in changes.hidden},
    )
    if changes.teams:
        team_scores.put(connection, references, scope, changes.teams, known, changes.hidden, changes.now)
    add_entries(connection, [(known[each[0]], each) for each in changes.entries], changes.now)


def add_entries(connection: Any, entries: Iterable[tuple[int, NewEntry]], now: int) -> None:
    """Append to the ledger, each entry with its participant's integer.

    Raises a database error for a cause that was paid before: paying twice is never right.
    """
    add_dated_entries(connection, ((participant, entry, now) for participant, entry in entries))


def add_dated_entries(connection: Any, entries: Iterable[tuple[int, NewEntry, int]]) -> None:
    """As `add_entries`, each with the moment at which it was entered."""
    rows = [
        (participant, number, transaction_id, cause, seq, amount, balance, occurred_at, at)
        for participant, (_, number, transaction_id, cause, amount, balance, seq, occurred_at), at in entries
    ]
    rows.sort()
    _add_entries(connection, rows)


def first(connection: Any, references: References, scope: Scope, name: Ranking, limit: int) -> list[tuple[str, float]]:
    """The top of a ranking with scores. Ties go to whoever reached the score first."""
    ranking = references.ranking(connection, references.scope(connection, scope), name)
    return list(_queries.first(connection, ranking=ranking, limit=limit))


def put_state(connection: Any, participant: int, state: str) -> None:
    """Replace a participant's own row, as JSON."""
    _queries.put_state(connection, participant=participant, state=state)


def put_cells(connection: Any, changed: Mapping[int, Mapping[str, Any]]) -> None:
    """Write cells that are stored apart, by participant and name; None removes one."""
    rows = [
        (participant, cell, dumps(value))
        for participant, own in changed.items()
        for cell, value in own.items()
        if value is not None
    ]
    rows.sort()
    _put_cells(connection, rows)
    removed = [
        {"participant": participant, "cell": cell}
        for participant, own in changed.items()
        for cell, value in own.items()
        if value is None
    ]
    if removed:
        _queries.remove_cells(connection, removed)


def put_places(
    connection: Any,
    references: References,
    scope: int,
    places: Mapping[Ranking, Iterable[tuple[int, Standing]]],
    hidden: Collection[int] = (),
) -> None:
    """Write places in rankings, by their participants' integers; a ranking must name each once.

    Those of `hidden` participants go where no reader of the ranking looks: under its number, negated.
    """
    rows: list[tuple[int, int, float, int | None, str | None]] = []
    removed: list[dict[str, int]] = []
    moved: list[PlacesMoved] = []
    for name, own in places.items():
        ranking = references.ranking(connection, scope, name)
        if not references.is_whole(connection, ranking):
            own = list(own)
            moved.append(PlacesMoved(connection, ranking, [participant for participant, _ in own]))
        for participant, (score, reached_at, exact) in own:
            number = -ranking if participant in hidden else ranking
            if score is None:
                removed.append({"ranking": number, "participant": participant})
            else:
                rows.append((number, participant, score, reached_at, None if exact is None else str(exact)))
    rows.sort()
    _put_places(connection, rows)
    if removed:
        _queries.remove_places(connection, removed)
    for each in moved:
        each.end()
