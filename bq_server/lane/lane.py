"""What the connections of the lane share: the same parts that handlers use."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Protocol

from bq_server.api.admission import Admission
from bq_server.api.bodies import is_json, media_type_of
from bq_server.api.middleware.envelope import request_id_of
from bq_server.api.problems import PROBLEM_TYPES, problem_reply
from bq_server.api.rate_limits import Allowance
from bq_server.api.replies import Reply
from bq_server.api.request_parser import RequestParser
from bq_server.clock import Clocks
from bq_server.concurrency.byte_budget import ByteBudget
from bq_server.events import Scope
from bq_server.ids import IdSource
from bq_server.ingest.async_intake import AsyncIntake
from bq_server.lane.answers import Date, encode
from bq_server.lane.head import Head, HeadReader, LaneRoute
from bq_server.lane.queue import BATCH_SECONDS, EVENT_SECONDS, FactSource, Queue
from bq_server.metrics.counts import RequestCounts, RouteCounts
from bq_server.refusals import Code, overloaded
from bq_server.runtime.sampled_log import SampledLog
from bq_server.store.keys import ApiKey

BODY_BYTES = 256 << 10
"""Largest body the lane reads: one that is checked in a few milliseconds, without giving way to others."""


_SOME_ID = b"(request id)"


class StoppableServer(Protocol):
    """What says whether the server is about to stop."""

    stopping: bool


@dataclass(slots=True)
class Lane:
    """From the head and body of a request to its answer."""

    admission: Admission
    intake: AsyncIntake
    parser: RequestParser
    clocks: Clocks
    ids: IdSource
    budget: ByteBudget
    server: StoppableServer
    consumer: FactSource | None = None
    requests: RequestCounts = field(default_factory=RequestCounts)
    log: SampledLog = field(default_factory=lambda: SampledLog("bq_server.api"))
    queues: dict[LaneRoute, Queue] = field(init=False)
    """One per route, so that neither starves the other."""
    counts: dict[LaneRoute, RouteCounts] = field(init=False)
    date: Date = field(default_factory=Date)
    heads: HeadReader = field(default_factory=HeadReader)
    _turned_away: Reply = field(init=False)
    _refusal: list[bytes] = field(default_factory=list)
    _refused_at: bytes | None = None
    _forwarded: re.Pattern[bytes] = field(init=False)
    """Finds the header in which a proxy names its client."""

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        limits = {LaneRoute.EVENT: EVENT_SECONDS, LaneRoute.BATCH: BATCH_SECONDS}
        self.queues = {route: Queue(self.budget, loop, seconds, self.consumer) for route, seconds in limits.items()}
        self.counts = {route: self.requests.of("POST", route.value) for route in LaneRoute}
        self._turned_away = problem_reply(overloaded(), _SOME_ID.decode())
        name = self.admission.proxies.header.encode()
        self._forwarded = re.compile(rb"\n%s[ \t]*:([^\r\n]*)" % re.escape(name), re.IGNORECASE)

    def key_of(self, head: Head) -> ApiKey | None:
        """The key of an admitted request; None for one that would be refused by its head, or is too large for the lane.

        Refusing it is left to the handlers.
        """
        limits = self.parser.bodies
        batch = head.route is LaneRoute.BATCH
        if head.length > min(BODY_BYTES, limits.batch if batch else limits.single):
            return None
        if batch and head.idempotency_key is not None:
            return None
        if head.content_type != "application/json" and not is_json(media_type_of(head.content_type)):
            return None
        key = self.admission.keyring.holder(head.key_digest)
        return key if key is not None and key.allows("ingest") else None

    def allowance(self, key: ApiKey, peer: str, head: bytes) -> Allowance | None:
        """The state of an admitted request's limits, given its head; None if it has none after all."""
        limits = self.admission.limits
        if limits.per_address is None:
            return limits.of_key(key)
        values = [value.strip(b" \t").decode("latin-1") for value in self._forwarded.findall(head)]
        return limits.of_both(self.admission.proxies.address_of(peer, values), key)

    def request_id(self, head: Head) -> str:
        """The id of a request."""
        return request_id_of(head.request_id, self.ids)

    def turned_away(self, request_id: str) -> Reply:
        """The refusal under overload, made once because it must cost little."""
        return self._turned_away._replace(body=self._turned_away.body.replace(_SOME_ID, request_id.encode()))

    def note_refused(self, route: LaneRoute) -> None:
        """Count a request that was refused because of overload."""
        self.requests.refused[Code.OVERLOADED] += 1
        self.queues[route].note_refused()

    def quick_refusal(self, route: LaneRoute) -> bytes:
        """The complete answer to a request that is refused unread; counts it."""
        self.note_refused(route)
        self.counts[route].refused_unread(PROBLEM_TYPES[Code.OVERLOADED].status)
        date, request_id = self.date.now(), self.ids.new("req")
        if date is not self._refused_at:
            self._refused_at = date
            self._refusal = encode(self.turned_away(request_id), request_id, date).split(request_id.encode())
        return request_id.encode().join(self._refusal)

    def encode(
        self, reply: Reply, scope: Scope | None, request_id: str, allowance: Allowance | None, *, closes: bool
    ) -> bytes:
        """The bytes of an answer; `scope` is that of the key, if it was admitted."""
        return encode(
            reply,
            request_id,
            self.date.now(),
            clock=None if scope is None else self.clocks.shown(scope),
            allowance=allowance,
            stopping=self.server.stopping,
            closes=closes,
        )
