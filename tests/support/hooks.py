"""Endpoints of webhooks, and waiting for what they are told."""

from collections.abc import Mapping
from typing import Any

from tests.support.client import Json, Project
from tests.support.receiver import Receiver


def add(bq: Project, receiver: Receiver | str, *event_types: str, **more: Any) -> Json:
    """Make an endpoint, a receiver or an address, that is told of these."""
    url = receiver if isinstance(receiver, str) else receiver.url
    answer = bq.post("/webhooks/endpoints", {"url": url, "event_types": list(event_types), **more})
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


def path(endpoint: Json, rest: str = "") -> str:
    return f"/webhooks/endpoints/{endpoint['endpoint_id']}{rest}"


def told(bq: Project) -> Json:
    """Wait until all that is due was tried."""
    answer = bq.post("/sandbox/drain", {"webhooks": True})
    assert answer.status_code == 200, answer.text
    drained: Json = answer.json()
    return drained


def freeze(bq: Project, moment: str) -> None:
    assert bq.request("PUT", "/sandbox/clock", json={"now": moment}).status_code == 200


def advance(bq: Project, by: str) -> None:
    assert bq.post("/sandbox/clock/advance", {"by": by}).status_code == 200


def effects(bodies: list[Json]) -> list[Mapping[str, Any]]:
    return [body["data"]["effect"] for body in bodies]
