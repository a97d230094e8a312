"""What a response of the server says about the events of its request."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.workload import LoadRoute, Planned

EXPECTED_STATUS = {LoadRoute.ASYNC: 202, LoadRoute.BATCH: 202, LoadRoute.SYNC: 200}


@dataclass(frozen=True, slots=True)
class LoadReply:
    """Ids of the events, in their order, when all were accepted; else `problem` says what was wrong.

    `known` is False when the events may have been accepted all the same: there was no answer, or one that doesn't tell.
    """

    ids: tuple[str, ...] = ()
    problem: str | None = None
    known: bool = True


def read_answer(
    route: LoadRoute, planned: Sequence[Planned], status: int, content: bytes | None, *, replayed: bool
) -> LoadReply:
    """Judge one response. `status` is 0 if none came; `replayed` is that of the `Idempotent-Replayed` header."""
    if status != EXPECTED_STATUS[route]:
        return LoadReply(problem=_refusal(status, content), known=400 <= status < 500)
    try:
        ids = _ids(route, json.loads(content or b""))
    except (ValueError, LookupError, TypeError):
        return LoadReply(problem=f"{status} with a body that isn't as documented", known=False)
    if len(ids) != len(planned):
        return LoadReply(problem=f"{len(ids)} of {len(planned)} events of a batch accepted", known=False)
    for event, answered in zip(planned, ids, strict=True):
        if event.first_id not in (None, answered):
            return LoadReply(problem="a repeated key was answered with a different id", known=False)
    if replayed != all(event.first_id is not None for event in planned):
        found = "Idempotent-Replayed on new events" if replayed else "no Idempotent-Replayed on a repeat"
        return LoadReply(problem=found, known=False)
    return LoadReply(ids)


def _ids(route: LoadRoute, answer: Any) -> tuple[str, ...]:
    if route is LoadRoute.BATCH:
        return tuple(answer["message_ids"])
    return (answer["fact_id" if route is LoadRoute.SYNC else "message_id"],)


def _refusal(status: int, content: bytes | None) -> str:
    if not status:
        return "no answer"
    try:
        return f"{status} {json.loads(content or b'')['code']}"
    except (ValueError, LookupError, TypeError):
        return str(status)
