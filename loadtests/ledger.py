"""Accepted events against facts."""

import time
from dataclasses import dataclass

import httpx

from loadtests.server_api import count_facts, newest_facts
from loadtests.tally import Tally
from loadtests.workload import REFERENCE

POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class LoadLedger:
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
        """Surplus facts: of an event that already is one."""
        return self.facts - self.events

    @property
    def unexplained(self) -> int:
        """Events that are facts although the server refused them."""
        return max(0, self.events - self.accepted - self.unknown)

    @property
    def balanced(self) -> bool:
        """Every accepted event is one fact, and nothing else is."""
        return not (self.missing or self.twice or self.unexplained)

    def __str__(self) -> str:
        sent = f"{self.accepted} events accepted ({self.repeated} repeats of a key beside them)"
        unknown = f", {self.unknown} with an unknown outcome" if self.unknown else ""
        unexplained = f", {self.unexplained} unexplained" if self.unexplained else ""
        return f"{sent}{unknown}; {self.facts} facts: {self.missing} missing, {self.twice} twice{unexplained}"


def wait_for_facts(client: httpx.Client, tally: Tally, seconds: float) -> LoadLedger:
    """Wait until every accepted event is a fact, at most so many seconds, and draw the balance.

    `client` has the server as base URL and a key of an environment that holds nothing but this run.
    Raises `httpx.HTTPError`.
    """
    deadline = time.monotonic() + seconds
    count, before = count_facts(client), -1
    # The same count twice in a row: surplus facts may come last.
    while (count < tally.accepted or count != before) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        count, before = count_facts(client), count
    references = [fact["properties"][REFERENCE] for fact in newest_facts(client)]
    return LoadLedger(tally.accepted, tally.repeated, tally.unknown, len(references), len(set(references)))
