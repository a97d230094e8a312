"""One request in the lane, from its body to its answer. No task is created for it: futures call it back."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from bq_server.api.batches import taken_of
from bq_server.api.middleware.envelope import log_refused
from bq_server.api.problems import as_refusal, problem_reply, status_of
from bq_server.api.queued import accepted_reply, batch_reply
from bq_server.api.rate_limits import Allowance
from bq_server.api.replies import Reply
from bq_server.api.request_parser import BatchEvents, text_of_header
from bq_server.ingest.outcomes import Accepted, NotAccepted
from bq_server.ingest.unavailable import refusal_of
from bq_server.lane.head import Head, LaneRoute
from bq_server.lane.lane import Lane
from bq_server.refusals import Code
from bq_server.store.keys import ApiKey


class RefusedUnread:
    """A request that was refused unread."""

    __slots__ = ("answer",)
    ends = False

    def __init__(self, answer: bytes) -> None:
        self.answer: bytes | None = answer


Results = Sequence[Accepted | NotAccepted]


class Exchange:
    """A request that is being answered; `answer` is set when `answered` is called."""

    __slots__ = (
        "_allowance",
        "_answered",
        "_batch",
        "_began",
        "_head",
        "_key",
        "_lane",
        "_request_id",
        "answer",
        "ends",
    )

    def __init__(
        self, lane: Lane, head: Head, key: ApiKey, answered: Callable[[], None], allowance: Allowance | None = None
    ) -> None:
        """`allowance`: the state of its limits, if any; one over them must be refused with `refuse_over_limit`."""
        self._lane = lane
        self._head = head
        self._key = key
        self._request_id = lane.request_id(head)
        self._allowance = allowance
        self._answered = answered
        self._began = time.perf_counter()
        self._batch: BatchEvents | None = None
        self.answer: bytes | None = None
        self.ends = head.closes
        """Whether the connection closes after the answer."""

    def begin(self, body: bytes) -> None:
        """Accept the events of a body, or refuse them."""
        lane, head = self._lane, self._head
        try:
            if head.route is LaneRoute.EVENT:
                header_key = None if head.idempotency_key is None else text_of_header(head.idempotency_key)
                events = [lane.parser.event(self._key.scope, body, header_key)]
            else:
                self._batch = BatchEvents()
                deque(lane.parser.read_into(self._batch, self._key.scope, body), maxlen=0)
                events = list(self._batch.valid.values())
            if events:
                lane.intake.accept_soon(events).add_done_callback(self._accepted)
            else:
                self._reply(self._taken(()))
        except Exception as error:  # noqa: BLE001 - whatever it was, the caller gets an answer
            self._refuse(error)

    def refuse_over_limit(self, now: int) -> None:
        """Refuse it because of its rate limit. `now` is in microseconds since the epoch."""
        assert self._allowance is not None  # noqa: S101 - it is over it
        self._refuse(self._allowance.refusal(now), let_in=False)

    def turn_away(self) -> None:
        """Refuse it because of overload."""
        self._lane.requests.refused[Code.OVERLOADED] += 1
        self._reply(self._lane.turned_away(self._request_id))

    def _accepted(self, future: "asyncio.Future[Results]") -> None:
        try:
            self._reply(self._taken(future.result()))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - as above
            self._refuse(error)

    def _taken(self, results: Results) -> Reply:
        if self._batch is not None:
            return batch_reply(taken_of(self._batch, results))
        (result,) = results
        if isinstance(result, NotAccepted):
            raise result.refusal()
        return accepted_reply(result)

    def _refuse(self, error: BaseException, *, let_in: bool = True) -> None:
        try:
            self._reply(self._refusal(error), let_in=let_in)
        except Exception:
            # There may be no memory for a refusal. Without an answer the connection would wait for ever.
            if self.answer is None:
                self.answer, self.ends = b"", True
            self._answered()
            raise

    def _refusal(self, error: BaseException) -> Reply:
        refusal = refusal_of(error) or as_refusal(error, self._request_id)
        if refusal.code is Code.OVERLOADED:
            self._lane.note_refused(self._head.route)
        else:
            self._lane.requests.refused[refusal.code] += 1
            path = self._head.route.value
            log_refused(self._lane.log, "POST", path, status_of(refusal), refusal, self._key.key_id, self._request_id)
        return problem_reply(refusal, self._request_id)

    def _reply(self, reply: Reply, *, let_in: bool = True) -> None:
        self._lane.counts[self._head.route].answered(reply.status, time.perf_counter() - self._began)
        self.ends = self.ends or self._lane.server.stopping
        scope = self._key.scope if let_in else None
        self.answer = self.answer or self._lane.encode(
            reply, scope, self._request_id, self._allowance, closes=self._head.closes
        )
        self._answered()
