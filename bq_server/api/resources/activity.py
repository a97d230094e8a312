"""`/api/v1/admin/activity`: the last 15 minutes, for people."""

from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.schemas.activity import ActivityAnswer, ActivityInterval
from bq_server.metrics.history import INTERVAL_SECONDS, ActivityHistory
from bq_server.moments import format_timestamp


class ActivityResource:
    """Shows what the server did lately."""

    def __init__(self, history: ActivityHistory, queue_limit: int) -> None:
        self._history = history
        self._queue_limit = queue_limit

    @operation(
        "getActivity",
        "GET",
        "/api/v1/admin/activity",
        "Health",
        {200: DocumentedAnswer(ActivityAnswer, "The last 15 minutes.")},
        scope="metrics",
    )
    async def get_activity(self, _: Call) -> Response:
        """What the server did in the last 15 minutes."""
        intervals, waiting = await self._history.intervals()
        answer = ActivityAnswer(
            interval_seconds=INTERVAL_SECONDS,
            intervals=[
                ActivityInterval(
                    at=format_timestamp(each.ended_at),
                    accepted=each.accepted,
                    facts=each.facts,
                    refused=each.refused,
                    accept_p99_ms=_milliseconds(each.accept_p99),
                    lag_p50_ms=_milliseconds(each.lag_p50),
                    lag_p99_ms=_milliseconds(each.lag_p99),
                    waiting=each.waiting,
                )
                for each in intervals
            ],
            waiting=None if waiting is None else waiting.messages,
            oldest_seconds=None if waiting is None else waiting.oldest_seconds,
            dead_letters=None if waiting is None else waiting.dead,
            queue_limit=self._queue_limit,
        )
        return json_response(answer)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
