"""What a user sends: events of an online game, some with idempotency keys, some of those again on purpose."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from random import Random
from typing import Any, Self

PARTICIPANTS = 20_000
KEYED_SHARE = 0.25
"""Of the new events, how many carry an idempotency key."""

REPEAT_SHARE = 0.02
"""Of all events, how many are an earlier keyed event sent once more (a client's retry)."""

HEADER_SHARE = 0.5
"""Of the keys of single events, how many go into the `Idempotency-Key` header and not the body."""

TIMESTAMP_SHARE = 0.5
"""Of the new events, how many say themselves when they occurred."""

REMEMBERED_EVENTS = 50
"""Keyed events of a user that may be repeated."""

REFERENCE = "event_ref"
"""The property that is another in every event, by which facts are told from second facts of one event."""


class LoadRoute(StrEnum):
    """The ways in; the value is the path."""

    ASYNC = "/api/v1/ingest/events"
    BATCH = "/api/v1/ingest/events/batch"
    SYNC = "/api/v1/ingest/events/sync"


@dataclass(frozen=True, slots=True)
class Mix:
    """Of how many requests go to each route, as weights."""

    weights: tuple[float, float, float] = (85, 10, 5)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `async:batch:sync`, for example `85:10:5`. Raises `ValueError` with a sentence."""
        try:
            asynchronous, batch, sync = (float(part) for part in text.split(":"))
        except ValueError:
            raise ValueError(f"{text!r} isn't three numbers async:batch:sync, such as 85:10:5") from None
        weights = (asynchronous, batch, sync)
        if not all(0 <= weight < float("inf") for weight in weights) or not sum(weights):
            raise ValueError(f"{text!r} must hold no negative number and not be all zeros")
        return cls(weights)

    def draw(self, random: Random) -> LoadRoute:
        """The route of the next request."""
        return random.choices(list(LoadRoute), self.weights)[0]

    def share(self, route: LoadRoute) -> float:
        """Of all requests, how many go to a route, from 0 to 1."""
        return dict(zip(LoadRoute, self.weights, strict=True))[route] / sum(self.weights)

    def __contains__(self, route: LoadRoute) -> bool:
        return self.share(route) > 0

    def __str__(self) -> str:
        return ":".join(f"{weight:g}" for weight in self.weights)


@dataclass(frozen=True, slots=True)
class Planned:
    """An event to send. `first_id` is the id it was answered with before; None when it is new."""

    body: dict[str, Any]
    first_id: str | None = None


_KINDS: dict[str, tuple[int, Callable[[Random], dict[str, Any]]]] = {
    "page_view": (30, lambda r: {"page": f"/products/{r.randrange(400)}", "referrer": r.choice(["", "/", "/search"])}),
    "session_started": (15, lambda r: {"platform": r.choice(["ios", "android", "web"]), "app_version": "4.12.0"}),
    "add_to_cart": (12, lambda r: {"product_id": f"prod_{r.randrange(400):03}", "quantity": r.randint(1, 4)}),
    "purchase_completed": (
        10,
        lambda r: {
            "amount": r.randrange(199, 25_000) / 100,
            "currency": r.choice(["USD", "EUR", "JPY"]),
            "items": [{"product_id": f"prod_{r.randrange(400):03}", "quantity": 1} for _ in range(r.randint(1, 5))],
        },
    ),
    "level_completed": (12, lambda r: {"level": r.randint(1, 60), "score": r.randrange(20_000), "seconds": 120}),
    "quest_step_done": (8, lambda r: {"quest": f"q{r.randrange(80)}", "step": r.randint(1, 9), "hints_used": 0}),
    "achievement_shared": (4, lambda r: {"network": r.choice(["chat", "feed"]), "text": "Geschafft — 三連勝! 🎉"}),
    "friend_invited": (4, lambda r: {"channel": r.choice(["mail", "link"]), "accepted": r.random() < 0.3}),
    "daily_check_in": (4, lambda _: {}),
    "review_written": (1, lambda r: {"stars": r.randint(1, 5), "text": "Arrived on time and does what it says. " * 12}),
}
_NAMES = list(_KINDS)
_NAME_WEIGHTS = [weight for weight, _ in _KINDS.values()]


class Workload:
    """The events of one user.

    The random source must not be seeded alike in two runs against one server: keys and references would come again.
    """

    def __init__(self, random: Random, clock: Callable[[], datetime]) -> None:
        self._random = random
        self._clock = clock
        self._queued: deque[Planned] = deque(maxlen=REMEMBERED_EVENTS)
        self._processed: deque[Planned] = deque(maxlen=REMEMBERED_EVENTS)

    def plan(self, route: LoadRoute, events: int) -> list[Planned]:
        """The events of the next request."""
        return [self._plan(route) for _ in range(events)]

    def remember(self, route: LoadRoute, planned: Planned, answered_id: str) -> None:
        """Note that the event was accepted; one with a key may be repeated from now on."""
        if "idempotency_key" in planned.body and planned.first_id is None:
            self._memory(route).append(Planned(planned.body, answered_id))

    def request(self, route: LoadRoute, planned: list[Planned]) -> tuple[dict[str, Any], dict[str, str]]:
        """The body and the extra headers of the request that sends the events."""
        if route is LoadRoute.BATCH:
            return {"events": [event.body for event in planned]}, {}
        body = planned[0].body
        if "idempotency_key" in body and self._random.random() < HEADER_SHARE:
            unkeyed = {name: value for name, value in body.items() if name != "idempotency_key"}
            return unkeyed, {"Idempotency-Key": body["idempotency_key"]}
        return body, {}

    def _plan(self, route: LoadRoute) -> Planned:
        memory = self._memory(route)
        if memory and self._random.random() < REPEAT_SHARE:
            return self._random.choice(memory)
        return Planned(self._new_event())

    def _memory(self, route: LoadRoute) -> deque[Planned]:
        # The sync path answers with fact ids, the others with message ids: each repeats its own.
        return self._processed if route is LoadRoute.SYNC else self._queued

    def _new_event(self) -> dict[str, Any]:
        random = self._random
        name = random.choices(_NAMES, _NAME_WEIGHTS)[0]
        reference = f"{random.getrandbits(64):016x}"
        event: dict[str, Any] = {
            "event_name": name,
            # Squared, so that some participants are much busier than most.
            "participant_id": f"user_{int(PARTICIPANTS * random.random() ** 2):05}",
            "properties": {**_KINDS[name][1](random), REFERENCE: reference},
        }
        if random.random() < TIMESTAMP_SHARE:
            event["timestamp"] = self._clock().isoformat()
        if random.random() < KEYED_SHARE:
            event["idempotency_key"] = f"load-{reference}"
        return event
