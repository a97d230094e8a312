"""What the load tests ask a server besides sending events. Everything raises `httpx.HTTPError`."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import httpx

PAGE_FACTS = 1000


def api_client(url: str, key: str) -> httpx.Client:
    """A client for the functions here. Proxies of the environment are not meant for it."""
    return httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=60, trust_env=False)


def apply_game(client: httpx.Client, document: dict[str, Any]) -> None:
    """Apply a game."""
    client.put("/api/v1/gamify/admin/game", json=document).raise_for_status()


def count_facts(client: httpx.Client) -> int:
    """How many facts there are, from the catalogue: cheap enough to ask often."""
    answer = client.get("/api/v1/events/catalog").raise_for_status().json()
    return sum(entry["count"] for entry in answer["events"])


def newest_facts(client: httpx.Client) -> Iterator[dict[str, Any]]:
    """Every fact, the newest first, page by page."""
    query: dict[str, str | int] = {"limit": PAGE_FACTS}
    while True:
        page = client.get("/api/v1/facts", params=query).raise_for_status().json()
        yield from page["facts"]
        if page["next_cursor"] is None:
            return
        query["cursor"] = page["next_cursor"]


def newest_lags(client: httpx.Client, count: int) -> list[float]:
    """Milliseconds from acceptance to the fact, of a number of the newest facts."""
    return [
        (_moment(fact["processed_at"]) - _moment(fact["received_at"])) * 1000
        for fact in islice(newest_facts(client), count)
    ]


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
