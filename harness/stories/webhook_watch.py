"""Webhooks that a story expects: an endpoint for the duration of a play, and what it was sent."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from harness.client import Client, Refused, Unreachable, segment
from harness.stories.expectations import WEBHOOK_TYPES, Expect, ExpectedEnvironment
from harness.stories.steps import Step
from harness.webhook_receiver import receiving

Json = dict[str, Any]

ENDPOINTS = "/webhooks/endpoints"


class Heard:
    """What was sent so far, each delivery once."""

    def __init__(self) -> None:
        self._bodies: dict[str, Json] = {}

    def take(self, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str]]:
        """Keep it."""
        self._bodies.setdefault(headers["webhook-id"], flat(json.loads(body)))
        return 204, {}

    def bodies(self) -> list[Json]:
        """In order."""
        return list(self._bodies.values())


def flat(body: Json) -> Json:
    """A webhook with its fields as stories name them: those of its data and its effect, side by side."""
    data: Json = body["data"]
    own = {name: value for name, value in data.get("effect", {}).items() if name != "type"}
    names = {"participant": data.get("participant_id"), "leaderboard": data.get("leaderboard_code")}
    return {**data, **own, **names, "type": body["type"]}


def wanted(steps: Sequence[Step]) -> list[str]:
    """The types that a story expects; all, if it expects that none is sent."""
    lists = [
        step.expect.webhooks
        for step in steps
        if isinstance(step, Expect)
        and isinstance(step.expect, ExpectedEnvironment)
        and step.expect.webhooks is not None
    ]
    if not all(lists):  # an empty one
        return list(WEBHOOK_TYPES)
    return sorted({each.type for expected in lists for each in expected})


@contextmanager
def hearing(client: Client, types: Sequence[str]) -> Iterator[Heard]:
    """Receive these while this lasts; does nothing for none. Raises `Refused` and `Unreachable`."""
    heard = Heard()
    if not types:
        yield heard
        return
    with receiving(heard.take) as url:
        made = client.call("POST", ENDPOINTS, {"url": url, "event_types": list(types), "description": "a story"})
        try:
            yield heard
        finally:
            with suppress(Refused, Unreachable):
                client.call("DELETE", f"{ENDPOINTS}/{segment(made['endpoint_id'])}")
