"""Accepted events against facts."""

import time
from dataclasses import dataclass

import httpx

from loadtests.tally import Tally
from loadtests.workload import REFERENCE

POLL_SECONDS = 0.2
PAGE_FACTS = 1000


@dataclass(frozen=True, slots=True)
class Ledger:
    """`facts` are all of them, `events` the distinct events they are of; `unknown` events had no telling answer."""

    accepted: int
    repeated: int
    unknown: int
    facts: int
    events: int

    @property
    def missing(self) -> int:
        """Accepted events that are not a fact. A lower bound when some are `unknown`."""
        return max(0, self.accepted - self.events)

    @property
    def twice(self) -> int:
        """Facts too many: of an event that already is one."""
        return self.facts - self.events

    @property
    def unexplained(self) -> int:
        """Events that are facts though the server refused them."""
        return max(0, self.events - self.accepted - self.unknown)

    @property
    def balanced(self) -> bool:
        """Every accepted event is one fact, and nothing else is."""
        return not (self.missing or self.twice or self.unexplained)

    def __str__(self) -> str:
        sent = f"{self.accepted} events accepted ({self.repeated} repeats of a key beside them)"
        unknown = f", {self.unknown} of unknown fate" if self.unknown else ""
        unexplained = f", {self.unexplained} unexplained" if self.unexplained else ""
        return f"{sent}{unknown}; {self.facts} facts: {self.missing} missing, {self.twice} twice{unexplained}"


def settle(client: httpx.Client, tally: Tally, seconds: float) -> Ledger:
    """Wait until every accepted event is a fact, at most so many seconds, and draw the balance.

    `client` has the server as base URL and a key of an environment that holds nothing but this run.
    Raises `httpx.HTTPError`.
    """
    deadline = time.monotonic() + seconds
    count, before = count_facts(client), -1
    # The same count twice in a row: facts too many may come last.
    while (count < tally.accepted or count != before) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        count, before = count_facts(client), count
    references = read_references(client)
    return Ledger(tally.accepted, tally.repeated, tally.unknown, len(references), len(set(references)))


def count_facts(client: httpx.Client) -> int:
    """How many facts there are, from the catalogue: cheap enough to ask often."""
    answer = client.get("/api/v1/events/catalog").raise_for_status().json()
    return sum(entry["count"] for entry in answer["events"])


def read_references(client: httpx.Client) -> list[str]:
    """The reference of each fact's event, from the facts themselves, page by page."""
    references: list[str] = []
    query: dict[str, str | int] = {"limit": PAGE_FACTS}
    while True:
        page = client.get("/api/v1/facts", params=query).raise_for_status().json()
        references += [fact["properties"][REFERENCE] for fact in page["facts"]]
        if page["next_cursor"] is None:
            return references
        query["cursor"] = page["next_cursor"]
