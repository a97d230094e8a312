"""Other names of some participants: part of their events is sent under each, and is theirs all the same.

Each stands for its participant before the first event comes. Made between events, an alias would change what webhooks
have told already, and none would tell that. So the participants who become one do so when everything has been compared,
and what that leads to is held against the facts by `verify`.
"""

from collections.abc import Iterator, Sequence

from harness.client import Client, segment

SENT_SHARE = 0.3
"""Share of the events of a participant with another name that are sent under it."""

EVERY = 3

JOINED = 3
"""How many participants become one with another in the end; every other of them becomes two again."""


def alias_of(number: int) -> str | None:
    """The other name of a participant by number, if they have one."""
    return f"guest_{number:02}" if number % EVERY == 1 else None


def pairs(people: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each of these participants that has another name, with that."""
    for number, participant_id in enumerate(people):
        if alias := alias_of(number):
            yield participant_id, alias


def make(client: Client, participant_id: str, alias: str) -> str:
    """Let a name stand for a participant; returns the id of the fact. Raises `Refused` and `Unreachable`."""
    path = f"/gamify/participants/{segment(participant_id)}/alias"
    fact_id: str = client.call("POST", path, {"from": alias})["fact_id"]
    return fact_id


def join(client: Client, people: Sequence[str]) -> None:
    """Let some participants be one with another, and a part of those be two again. Raises `Refused`, `Unreachable`."""
    halves = zip(people[: len(people) // 2], people[len(people) // 2 :], strict=False)
    for number, (participant_id, other) in enumerate(list(halves)[:JOINED]):
        fact_id = make(client, participant_id, other)
        if number % 2:
            client.call("POST", f"/facts/{fact_id}/void", {"reason": "two after all"})
