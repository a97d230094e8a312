"""The ledger of webhooks: the awards compared with what was sent to a receiver that fails half of the time."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import Struct, field

from harness import webhook_receiver
from harness.chaos.ledger import ChaosLedger, Kind
from harness.client import NOT_FOUND, Client, Refused, segment

EVENT_TYPES = ("points.changed", "badge.awarded", "award.revoked")

RETRY_SECONDS = "0.01"
"""`--webhook-retry-seconds` of the server: a run is short."""

MOST_FAILURES = 4
"""Tries of one delivery: so many that none is set aside."""

TOLD_SECONDS = 240.0
"""Longest wait for the next of the remaining webhooks, once all events are facts: longer than the longest between two
tries of one, which is 200 seconds with `RETRY_SECONDS`."""

LOOK_SECONDS = 0.2
MOST_ASIDE = 3
"""Deliveries set aside that are shown with an award nobody was told of."""

PAGE = 100

Award = tuple[str, ...]
"""The participant, the kind of award, and what distinguishes it from their others."""


class Told(Struct):
    """What a receiver has accepted, by delivery id."""

    url: str = ""
    bodies: dict[str, bytes] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)
    changed: set[str] = field(default_factory=set)
    """Deliveries whose tries differed."""

    def take(self, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str]]:
        """A try, which fails half of the time: the status and headers to answer."""
        delivery_id = headers["webhook-id"]
        self.tries[delivery_id] += 1
        number = self.tries[delivery_id]
        # Not a checksum: by its parity those that fail once fail each time, and an endpoint that fails is left alone.
        if number <= MOST_FAILURES and hashlib.sha256(f"{delivery_id} {number}".encode()).digest()[0] % 2:
            return 500, {}
        if self.bodies.setdefault(delivery_id, body) != body:
            self.changed.add(delivery_id)
        return 204, {}


@contextmanager
def receiving() -> Iterator[Told]:
    """Receive on this machine."""
    told = Told()
    with webhook_receiver.receiving(told.take) as told.url:
        yield told


def subscribe(client: Client, told: Told) -> str:
    """Create an endpoint for awards; returns its id. Raises `Refused` and `Unreachable`."""
    body = {"url": told.url, "event_types": list(EVENT_TYPES)}
    made: str = client.call("POST", "/webhooks/endpoints", body)["endpoint_id"]
    return made


def compare(client: Client, endpoint_id: str, participants: Sequence[str], told: Told, ledger: ChaosLedger) -> None:
    """Wait until everything is sent; enter what wasn't, and what never happened. Raises `Refused` and `Unreachable`."""
    wait(client, endpoint_id, told)
    why = standing(client, endpoint_id)
    judge(awards(client, participants), told.bodies, told.changed, ledger, why)


def wait(client: Client, endpoint_id: str, told: Told) -> None:
    """Wait until everything is sent, or nothing more comes. Raises `Refused` and `Unreachable`."""
    waits = f"/webhooks/endpoints/{segment(endpoint_id)}"
    known, deadline = -1, 0.0
    while client.call("GET", waits)["waiting"]:
        if len(told.bodies) > known:  # however slow the machine
            known, deadline = len(told.bodies), time.monotonic() + TOLD_SECONDS
        if time.monotonic() >= deadline:
            break
        time.sleep(LOOK_SECONDS)


def standing(client: Client, endpoint_id: str) -> list[str]:
    """What the server says of the endpoint, a line each, that may explain what it wasn't told."""
    path = f"/webhooks/endpoints/{segment(endpoint_id)}"
    told = client.call("GET", path)
    aside = client.call("GET", f"{path}/deliveries", state="aside", limit=PAGE)["deliveries"]
    return [
        *([f"the endpoint is off: {told['off_because']}"] if not told["enabled"] else []),
        *([f"the endpoint fails since {told['failing_since']}"] if told["failing_since"] else []),
        *([f"{told['waiting']} deliveries wait"] if told["waiting"] else []),
        *[f"set aside: {each}" for each in aside[:MOST_ASIDE]],
        *([f"set aside: {len(aside)} or more in all"] if len(aside) > MOST_ASIDE else []),
    ]


def awards(client: Client, participants: Iterable[str]) -> list[Award]:
    """Every award: entries of ledgers, and badges."""
    found: list[Award] = []
    for participant_id in participants:
        path = f"/gamify/participants/{segment(participant_id)}/badges"
        try:
            held = client.call("GET", path, earned_only="true")["badges"]
        except Refused as refused:
            if refused.code != NOT_FOUND:
                raise
            continue  # nobody sent an event about this one
        found += [(participant_id, "badge", badge["code"]) for badge in held for _ in range(badge["count"] or 1)]
        found += [(participant_id, "points", entry["cause"]) for entry in _entries(client, participant_id)]
    return found


def judge(
    caused: Iterable[Award],
    bodies: Mapping[str, bytes],
    changed: Iterable[str],
    ledger: ChaosLedger,
    why: Sequence[str] = (),
) -> None:
    """Enter what was caused and not sent, what was sent and not caused, or twice, and what differed between tries.

    `why` may explain what was not sent.
    """
    wanted, found = Counter(caused), Counter[Award]()
    for body in bodies.values():
        # A badge that was taken back, and perhaps given again, is held or not in the end.
        award, times = _award(body)
        found[award] += times
    ledger.webhooks_caused, ledger.webhooks_delivered = wanted.total(), found.total()
    for award in sorted((wanted - found).elements()):
        ledger.find(Kind.UNTOLD, " ".join(award), why)
    for award in sorted((found - wanted).elements()):
        ledger.find(Kind.INVENTED, " ".join(award), ["told once more than it happened"])
    for delivery_id in sorted(changed):
        ledger.find(Kind.INVENTED, delivery_id, ["its tries said different things"])


def _award(body: bytes) -> tuple[Award, int]:
    """What a webhook is about, and how often more it is held since."""
    data: Any = json.loads(body)["data"]
    effect, who = data["effect"], data["participant_id"]
    match effect["type"]:
        case "points":
            return (who, "points", effect["cause"]), 1
        case "revocation" if effect["badge"] is None:
            return (who, "step", effect["cause"]), 0  # the points of it are told by themselves
        case "revocation":
            return (who, "badge", effect["badge"]), -1
        case _:
            return (who, "badge", effect["code"]), 1


def _entries(client: Client, participant_id: str) -> Iterator[dict[str, Any]]:
    path, page, count = f"/gamify/participants/{segment(participant_id)}/points/transactions", 1, 0
    while True:
        answer = client.call("GET", path, page=page, page_size=PAGE)
        yield from answer["transactions"]
        count += len(answer["transactions"])
        if not answer["transactions"] or count >= answer["total"]:
            return
        page += 1
