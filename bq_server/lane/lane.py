"""What the connections of the lane share: the parts that a request meets on its way, the same that handlers have."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from bq_server.api.auth import Keyring
from bq_server.api.bodies import is_json, media_type_of
from bq_server.api.middleware.envelope import request_id_of
from bq_server.api.problems import PROBLEM_TYPES, problem_reply
from bq_server.api.replies import Reply
from bq_server.api.request_parser import RequestParser
from bq_server.api.routing import sandbox_clock
from bq_server.clock import Clocks
from bq_server.concurrency.byte_budget import ByteBudget
from bq_server.events import Scope
from bq_server.ids import IdSource
from bq_server.ingest.async_intake import AsyncIntake
from bq_server.lane.answers import Date, encode
from bq_server.lane.head import Head, HeadReader, LaneRoute
from bq_server.lane.queue import BATCH_SECONDS, EVENT_SECONDS, Queue
from bq_server.metrics.counts import RequestCounts, RouteCounts
from bq_server.refusals import Code, overloaded
from bq_server.runtime.sampled_log import SampledLog
from bq_server.store.keys import ApiKey

BODY_BYTES = 256 << 10
"""Largest body the lane reads: one that is checked in a few milliseconds, without giving way to others."""


_SOME_ID = b"(request id)"


@dataclass(slots=True)
class Lane:
    """The way of an event from a head and a body to an answer."""

    keyring: Keyring
    intake: AsyncIntake
    parser: RequestParser
    clocks: Clocks
    ids: IdSource
    budget: ByteBudget
    is_stopping: Callable[[], bool]
    requests: RequestCounts = field(default_factory=RequestCounts)
    log: SampledLog = field(default_factory=lambda: SampledLog("bq_server.api"))
    queues: dict[LaneRoute, Queue] = field(init=False)
    """Of each route its own, so that neither keeps the other out."""
    counts: dict[LaneRoute, RouteCounts] = field(init=False)
    date: Date = field(default_factory=Date)
    heads: HeadReader = field(default_factory=HeadReader)
    _turned_away: Reply = field(init=False)
    _refusal: list[bytes] = field(default_factory=list)
    _refused_at: bytes | None = None

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        limits = {LaneRoute.EVENT: EVENT_SECONDS, LaneRoute.BATCH: BATCH_SECONDS}
        self.queues = {route: Queue(self.budget, loop, seconds) for route, seconds in limits.items()}
        self.counts = {route: self.requests.of("POST", route.value) for route in LaneRoute}
        self._turned_away = problem_reply(overloaded(), _SOME_ID.decode())

    def key_of(self, head: Head) -> ApiKey | None:
        """The key of a request that may come in; None for one that would be refused by its head, or is too large here.

        Who refuses, and how, is the handlers' to say.
        """
        limits = self.parser.bodies
        batch = head.route is LaneRoute.BATCH
        if head.length > min(BODY_BYTES, limits.batch if batch else limits.single):
            return None
        if batch and head.idempotency_key is not None:
            return None
        if head.content_type != "application/json" and not is_json(media_type_of(head.content_type)):
            return None
        key = self.keyring.holder(head.key_digest)
        return key if key is not None and key.allows("ingest") else None

    def request_id(self, head: Head) -> str:
        """The id of a request."""
        return request_id_of(head.request_id, self.ids)

    def turned_away(self, request_id: str) -> Reply:
        """The refusal of a request that there is no time for, made once: it must cost little."""
        return self._turned_away._replace(body=self._turned_away.body.replace(_SOME_ID, request_id.encode()))

    def note_refused(self, route: LaneRoute) -> None:
        """Count a request that was refused because there is too much."""
        self.requests.refused[Code.OVERLOADED] += 1
        self.queues[route].note_refused()

    def quick_refusal(self, route: LaneRoute) -> bytes:
        """A whole answer for a request that is refused unread, which it counts."""
        self.note_refused(route)
        self.counts[route].refused_unread(PROBLEM_TYPES[Code.OVERLOADED].status)
        date, request_id = self.date.now(), self.ids.new("req")
        if date is not self._refused_at:
            self._refused_at = date
            self._refusal = encode(self.turned_away(request_id), request_id, date).split(request_id.encode())
        return request_id.encode().join(self._refusal)

    def encode(self, reply: Reply, scope: Scope, request_id: str, *, closes: bool) -> bytes:
        """The bytes of an answer."""
        return encode(
            reply,
            request_id,
            self.date.now(),
            clock=sandbox_clock(self.clocks, scope),
            stopping=self.is_stopping(),
            closes=closes,
        )
