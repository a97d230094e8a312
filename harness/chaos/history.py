"""The history: which events are sent, when, by which client, over which route and how often, given a seed."""

import math
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from random import Random
from typing import Any

from msgspec import Struct, field

from bq_server.moments import SECOND, format_timestamp
from harness.chaos import aliases
from harness.chaos.game import DAY, EVENTS, REFUND
from harness.chaos.options import Options

REFERENCE = "event_ref"
"""The property that is different in every event: it identifies the event of a fact."""

MOST_PARTICIPANTS = 100
"""As many as one page of a leaderboard shows."""

EVENTS_OF_A_PARTICIPANT = 60
LARGEST_BATCH = 20

UNTIMED_SHARE = 0.04
"""Share of the events that leave their time to the server."""

UNKEYED_SHARE = 0.04
"""Share of the requests without idempotency keys: they are sent once and never again."""

HASTY_SHARE = 0.06
"""Share of the requests with keys that are given up when the first try fails, as by a client that dies itself."""

REPEATED_SHARE = 0.15
"""Share of the requests with keys that are sent again, under the fault `duplicate`."""

HELD_SHARE = 0.25
"""Share of the requests that are held back, under the fault `reorder`."""

LONGEST_HOLD_SECONDS = 5.0

LATE_SHARE = 0.12
"""Share of the events that happened long ago, under the fault `late`."""

REFUND_SHARE = 0.08
"""Share of the events that void a purchase of the same participant, which may arrive later than they do."""

SHORTEST_LATENESS, LONGEST_LATENESS = 60 * SECOND, 40 * DAY


class IngestRoute(StrEnum):
    """The ways in; the value is the path under /api/v1."""

    ASYNC = "/ingest/events"
    BATCH = "/ingest/events/batch"
    SYNC = "/ingest/events/sync"


SHARES = {IngestRoute.ASYNC: 0.5, IngestRoute.BATCH: 0.25, IngestRoute.SYNC: 0.25}
"""Share of the requests that go to each route."""


class SentEvent(Struct, frozen=True):
    """An event as it is sent. The timestamp is in microseconds; none leaves it to the server."""

    number: int
    event_name: str
    participant_id: str
    properties: dict[str, Any]
    timestamp: int | None
    idempotency_key: str | None
    voids: str | None = None
    """The key of an event of the same participant."""
    sent_as: str | None = None
    """The alias under which it is sent, if it is."""

    def body(self, *, key: bool = True) -> dict[str, Any]:
        """What goes into the request; without `key`, the key travels in the header."""
        body: dict[str, Any] = {
            "event_name": self.event_name,
            "participant_id": self.sent_as or self.participant_id,
            "properties": self.properties,
        }
        if self.timestamp is not None:
            body["timestamp"] = format_timestamp(self.timestamp)
        if key and self.idempotency_key is not None:
            body["idempotency_key"] = self.idempotency_key
        if self.voids is not None:
            body["voids"] = self.voids
        return body


class Request(Struct, frozen=True):
    """A request that a client makes, again and again until it is acknowledged, or once if it is `hasty`."""

    due: float
    """Seconds from the start."""
    route: IngestRoute
    events: tuple[SentEvent, ...]
    hasty: bool = False
    repeats: bool = False
    """Whether it deliberately sends what another request sends as well."""
    key_in_header: bool = False


class History(Struct):
    """Everything that is to be sent."""

    events: list[SentEvent] = field(default_factory=list)
    """Their numbers are their indexes here."""
    clients: list[list[Request]] = field(default_factory=list)
    """What each client sends, in order."""
    habits: Counter[str] = field(default_factory=Counter)
    """How many events each fault of sending concerns."""

    @property
    def participants(self) -> list[str]:
        """Everyone an event names."""
        return sorted({event.participant_id for event in self.events})


def participants(options: Options) -> list[str]:
    """Participants: enough for every client to have its own."""
    wanted = int(options.seconds * options.rate / EVENTS_OF_A_PARTICIPANT)
    return [f"player_{number:02}" for number in range(max(options.clients, min(MOST_PARTICIPANTS, wanted)))]


def make(options: Options, start: int) -> History:
    """The history of a run that starts at a moment, in microseconds: the same seed makes the same one."""
    return _Maker(options, start).make()


class _Maker:
    def __init__(self, options: Options, start: int) -> None:
        self._options = options
        self._start = start
        self._random = Random(f"{options.seed}:history")  # noqa: S311 - not for secrets
        self._naming = Random(f"{options.seed}:aliases")  # noqa: S311 - not for secrets
        """Apart, so that without names the history of a seed would be the same."""
        self._people = participants(options)
        self._aliases = dict(aliases.pairs(self._people))
        self._taken: set[int] = set()
        self._purchases: dict[str, list[SentEvent]] = {}
        """By participant, those that have a key and aren't void yet."""
        self._history = History(clients=[[] for _ in range(options.clients)])

    def make(self) -> History:
        random, options = self._random, self._options
        mean_batch = (2 + LARGEST_BATCH) / 2
        per_request = 1 + SHARES[IngestRoute.BATCH] * (mean_batch - 1)
        due = random.expovariate(options.rate / per_request)
        while due < options.seconds:
            self._request(due)
            due += random.expovariate(options.rate / per_request)
        for requests in self._history.clients:
            requests.sort(key=lambda request: request.due)
        return self._history

    def _request(self, due: float) -> None:
        random = self._random
        client = random.randrange(self._options.clients)
        route = random.choices(list(SHARES), list(SHARES.values()))[0]
        keyed = route is IngestRoute.SYNC or random.random() >= UNKEYED_SHARE
        size = random.randint(2, LARGEST_BATCH) if route is IngestRoute.BATCH else 1
        events = [self._event(due, client, keyed=keyed) for _ in range(size)]
        if self._asked("reorder") and random.random() < HELD_SHARE:
            self._history.habits["reorder"] += size
            random.shuffle(events)
            due = min(due + random.uniform(0.1, LONGEST_HOLD_SECONDS), self._options.seconds)
        hasty = not keyed or random.random() < HASTY_SHARE
        in_header = keyed and size == 1 and random.random() < 0.3
        request = Request(due, route, tuple(events), hasty=hasty, key_in_header=in_header)
        self._history.clients[client].append(request)
        if keyed and self._asked("duplicate") and random.random() < REPEATED_SHARE:
            self._repeat(client, request)

    def _repeat(self, client: int, first: Request) -> None:
        """Send the events of a request again: by another client, at once or later, over any route."""
        random = self._random
        others = [each for each in range(self._options.clients) if each != client] or [client]
        route = random.choice(list(SHARES))
        due = first.due
        if random.random() < 0.5:
            due = min(due + random.expovariate(1 / 5.0), self._options.seconds)
        if route is IngestRoute.BATCH:
            again = [first.events]
        else:
            again = [(event,) for event in random.sample(first.events, min(3, len(first.events)))]
        for events in again:
            self._history.habits["duplicate"] += len(events)
            request = Request(due, route, events, repeats=True)
            self._history.clients[random.choice(others)].append(request)

    def _event(self, due: float, client: int, *, keyed: bool) -> SentEvent:
        random = self._random
        number = len(self._history.events)
        own = self._people[client :: self._options.clients]
        timed = random.random() >= UNTIMED_SHARE
        # An event with the server's time is of a kind that only ever adds, so that ties don't matter.
        name = random.choices(EVENTS[:-1], (40, 18, 14, 12, 16))[0] if timed else EVENTS[-1]
        who = random.choice(own)
        refunded = self._refunded(who) if timed and random.random() < REFUND_SHARE else None
        name = name if refunded is None else REFUND
        event = SentEvent(
            number,
            name,
            who,
            {REFERENCE: number, **dict(_properties(name, random)), **self._company(name, number)},
            self._moment(due) if timed else None,
            f"chaos-{self._options.seed}-{number}" if keyed else None,
            None if refunded is None else refunded.idempotency_key,
            self._aliases.get(who) if self._naming.random() < aliases.SENT_SHARE else None,
        )
        self._history.events.append(event)
        if name == "purchase_completed" and keyed:
            self._purchases.setdefault(who, []).append(event)
        return event

    def _refunded(self, who: str) -> SentEvent | None:
        """A purchase to be made void, if there is one: the newest half of the time, which may still be on its way."""
        known = self._purchases.get(who)
        if not known:
            return None
        return known.pop(-1 if self._random.random() < 0.5 else self._random.randrange(len(known)))

    def _company(self, name: str, number: int) -> dict[str, Any]:
        """Whom a visit names, if it is one: a participant that another client sends for, as a rule."""
        return {"with": self._people[number % len(self._people)]} if name == "store_visited" else {}

    def _moment(self, due: float) -> int:
        """When an event sent at a time happened. No two have the same moment, so that nothing depends on ties."""
        random = self._random
        moment = self._start + int(due * SECOND)
        if self._asked("late") and random.random() < LATE_SHARE:
            self._history.habits["late"] += 1
            moment -= int(math.exp(random.uniform(math.log(SHORTEST_LATENESS), math.log(LONGEST_LATENESS))))
        while moment in self._taken:
            moment += 1
        self._taken.add(moment)
        return moment

    def _asked(self, fault: str) -> bool:
        return fault in self._options.faults


def _properties(name: str, random: Random) -> Iterator[tuple[str, Any]]:
    match name:
        case "purchase_completed":
            yield "amount", random.randint(50, 6000) / 100
            yield "currency", random.choice(("EUR", "EUR", "USD"))
            yield "shop", f"shop-{random.randrange(12)}"
        case "store_visited":
            yield "shop", f"shop-{random.randrange(12)}"
        case "login":
            yield "device", random.choice(("phone", "desktop"))
        case "review_written":
            yield "stars", random.randint(1, 5)
            yield "text", random.choice(("Très bon café ☕", "おいしい", 'so-so: "meh"\n', ""))
        case "level_completed":
            yield "level", random.randint(1, 40)
            yield "score", random.randint(0, 1000)
        case _:
            yield "page", f"/menu/{random.randrange(30)}"
    if random.random() < 0.1:
        # What careless handling of JSON would change.
        yield "note", random.choice((0.1 + 0.2, 2**53 + 1, [], {"": None, "deep": [[1, [True]]]}, -1.5e-9, "e\u0301 é"))
