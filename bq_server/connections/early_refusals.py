"""Refusals of what never reaches the application, with the same documents, ids, counts and log lines."""

from collections.abc import Mapping

from msgspec import Struct

from bq_server.api.middleware.envelope import log_refused
from bq_server.api.problems import CLOSES, problem_reply
from bq_server.api.replies import SAFEGUARDS, Reply
from bq_server.ids import IdSource
from bq_server.metrics.counts import OTHER, RequestCounts
from bq_server.refusals import Code, Refusal
from bq_server.runtime.sampled_log import SampledLog

_REFUSALS: Mapping[int, Refusal] = {
    400: Refusal(Code.MALFORMED_REQUEST, "The request is not HTTP as RFC 9112 has it."),
    431: Refusal(Code.HEAD_TOO_LARGE, "The head of a request, with all its headers, may have 16 KiB at most."),
}


class EarlyRefusals(Struct, frozen=True):
    """Makes early refusals."""

    ids: IdSource
    requests: RequestCounts
    log: SampledLog

    def refuse(self, status: int) -> Reply:
        """The whole answer to what was refused with this status, which it counts; after it the connection ends."""
        refusal = _REFUSALS.get(status, _REFUSALS[400])
        request_id = self.ids.new("req")
        reply = problem_reply(refusal, request_id, {**CLOSES, "X-Request-Id": request_id, **dict(SAFEGUARDS)})
        self.requests.of(OTHER, OTHER).answered(reply.status, 0.0)
        self.requests.refused[refusal.code] += 1
        log_refused(self.log, OTHER, OTHER, reply.status, refusal, None, request_id)
        return reply
