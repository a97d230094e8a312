"""Aliases: names under which facts are sent, and in whose story they stand.

A participant may be an alias of another, who may be one of a third. What was sent under any of the names stands in the
story of the last: `facts.participant` says in which, and `facts.sent_as` under which name, where that is another.
Everything but what is `async` is called on the connection's own thread.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bq_server.events import Scope
from bq_server.exact_json import dumps
from bq_server.ids import unpack
from bq_server.store import rank_sections, team_scores
from bq_server.store.queries import load

if TYPE_CHECKING:
    from bq_server.store.database import Connection
    from bq_server.store.references import References

_queries = load("aliases", "sqlite3")

Row = tuple[Any, ...]


class NamedStory(NamedTuple):
    """A name whose story is somebody's, as its integer and its text; of an alias also what is stored about that."""

    number: int
    name: str
    stands_for: int | None
    """The integer of whom it stands for; None for the participant whose own name it is."""
    seq: int | None
    """Of the fact that says so."""
    was_known: bool
    """Whether the alias was known to the API before."""


class ToldAlias(NamedTuple):
    """A fact that says whom a name stands for."""

    seq: int
    properties: str
    """JSON."""
    stands_for: int


class AliasOf(NamedTuple):
    """Whom a name stands for."""

    participant_id: str
    """Who may be an alias, too."""
    fact_id: str


def scopes(connection: Any) -> set[Scope]:
    """The environments that have aliases."""
    return {Scope(*row) for row in _queries.scopes(connection)}


def stories_of(connection: Any, scope: Scope, names: Iterable[str]) -> dict[str, str]:
    """In whose story each of these names stands; those that are no alias are left out."""
    return dict(_queries.stories_of(connection, **scope._asdict(), names=dumps(list(names))))


async def story_of(connection: "Connection", scope: Scope, name: str) -> str:
    """In whose story a name stands: its own, unless it is an alias."""
    if scope not in connection.references.aliased:
        return name
    found = await connection.run(lambda reading: stories_of(reading, scope, [name]))
    return found.get(name, name)


async def alias(connection: "Connection", scope: Scope, name: str) -> AliasOf | None:
    """Whom a name stands for; None if it is no alias."""
    row = await connection.run(lambda reading: _queries.alias(reading, **scope._asdict(), name=name))
    return None if row is None else AliasOf(row[0], unpack("fact", row[1]))


async def names_of(connection: "Connection", scope: Scope, participant: int) -> list[str]:
    """The other names whose story is that of a participant, sorted."""
    if scope not in connection.references.aliased:
        return []
    found = await connection.run(lambda reading: names_in(reading, participant))
    return [each.name for each in found if each.number != participant]


def names_in(connection: Any, participant: int) -> list[NamedStory]:
    """All names whose story is that of a participant, its own among them, by name."""
    rows = _queries.names_in(connection, participant=participant)
    return [NamedStory(number, name, to, seq, bool(known)) for number, name, to, seq, known in rows]


def story_of_number(connection: Any, participant: int) -> int:
    """In whose story a participant's facts belong."""
    found: int = _queries.story_of_number(connection, participant=participant)
    return found


def told(connection: Any, participant: int) -> list[ToldAlias]:
    """What the facts of a story say about aliases, but for void ones, in the order in which they were made."""
    return [ToldAlias(*row) for row in _queries.told(connection, participant=participant)]


def tellers(connection: Any, scope: Scope) -> list[int]:
    """In whose stories facts say whom a name stands for."""
    return [row[0] for row in _queries.tellers(connection, **scope._asdict())]


def named(connection: Any, scope: int, name: str) -> NamedStory:
    """A name as a participant's own; its integer is 0 if it has none."""
    number, known = _queries.participant(connection, scope=scope, name=name) or (0, 0)
    return NamedStory(number, name, None, None, bool(known))


def number_of(connection: Any, scope: int, name: str, now: int) -> int:
    """The integer of a name, which gets one if it has none."""
    _queries.add_participant(connection, scope=scope, name=name, created_at=now)
    number: int = _queries.participant(connection, scope=scope, name=name)[0]
    return number


def add(connection: Any, scope: int, number: int, told: ToldAlias, *, known: bool) -> None:
    """Let a name stand for another."""
    about = {"participant": told.stands_for, "fact": told.seq, "known": int(known)}
    _queries.add(connection, alias=number, scope=scope, **about)


def remove(connection: Any, number: int) -> None:
    """Let a name stand for nobody else any more."""
    _queries.remove(connection, alias=number)


def move_facts(connection: Any, names: Iterable[int]) -> None:
    """Put the facts that were sent under these names into the stories in which they belong."""
    for name in names:
        story = story_of_number(connection, name)
        _queries.move_facts(connection, name=name, story=story, sent_as=None if story == name else name)


def put_sent_as(connection: Any, senders: Mapping[int, int]) -> None:
    """Remember under which names new facts were sent, by seq."""
    _queries.put_sent_as(connection, [{"seq": seq, "sent_as": name} for seq, name in senders.items()])


def put_in_place(connection: Any, participant: int) -> None:
    """Put the facts in a story that don't belong into it where they do."""
    sent = list(_queries.sent_as(connection, participant=participant))
    move_facts(connection, [number for number, _ in sent if story_of_number(connection, number) != participant])


def misplaced(connection: Any, participant: int) -> list[str]:
    """The names under which facts in a story were sent that don't belong into it."""
    sent = _queries.sent_as(connection, participant=participant)
    return [name for number, name in list(sent) if story_of_number(connection, number) != participant]


def story(connection: Any, participant: int) -> Sequence[Row]:
    """All of a participant's own facts in the order of the fold, as rows like those of `voids`."""
    return list(_queries.story(connection, participant=participant))


def marks(connection: Any, participant: int) -> dict[int, int]:
    """The seqs of the facts in a story that are marked as void, each with that of the fact that voids it."""
    return dict(_queries.marks(connection, participant=participant))


def state_of(connection: Any, participant: int) -> tuple[str, str]:
    """A participant's id, and the own row as JSON."""
    name, state = _queries.state_of(connection, participant=participant)
    return name, state


def clear(connection: Any, references: "References", scope: int, participant: int, *, known: bool | None) -> None:
    """Remove everything that follows from facts of a participant; None leaves it as it is whether the API knows one."""
    _queries.remove_cells(connection, participant=participant)
    _queries.remove_ledger(connection, participant=participant)
    rank_sections.remove_places_of(connection, scope, participant)
    team_scores.remove_of(connection, references, participant)
    _queries.clear(connection, participant=participant, known=None if known is None else int(known))
