"""What a run finds in an environment that isn't its own, and restores: the game and the clock."""

from time import monotonic
from typing import Any, Self

from msgspec import Struct

from bq_server.moments import format_timestamp, parse_timestamp
from harness.client import Client

Json = dict[str, Any]

MICROSECONDS = 1_000_000


class Surroundings(Struct, frozen=True):
    """The game and the clock of a test environment at one moment, and how many facts it had."""

    facts: int
    game: Json
    clock: Json
    taken: float
    """When, by this machine's monotonic clock in seconds."""

    @classmethod
    def of(cls, client: Client) -> Self:
        """Read an environment. Raises `Refused` if the key may not do what a run does, and `Unreachable`."""
        game = client.call("GET", "/gamify/admin/game").get("game", {})
        clock = client.call("GET", "/sandbox/clock")
        return cls(client.drain().get("facts", 0), game, clock, monotonic())

    @property
    def is_empty(self) -> bool:
        """Whether nothing is lost if the environment is emptied."""
        return not self.facts and not self.definitions

    @property
    def definitions(self) -> int:
        """How many definitions its game has."""
        return sum(len(found) for found in self.game.values() if isinstance(found, list))

    def __str__(self) -> str:
        facts = "1 fact" if self.facts == 1 else f"{self.facts} facts"
        if not self.definitions:
            return f"{facts} and no game"
        return f"{facts} and a game of {self.definitions} definition{'s' * (self.definitions > 1)}"

    def put_back(self, client: Client) -> None:
        """Restore the game and the clock; a clock that was running has run on since.

        Raises `Refused`, `Unreachable`.
        """
        if client.call("PUT", "/gamify/admin/game", self.game).get("recomputed"):
            client.drain()
        if self.clock.get("real", True):
            client.clock.reset()
            return
        now: str = self.clock["now"]
        if not self.clock["frozen"]:
            elapsed = int((monotonic() - self.taken) * MICROSECONDS)
            now = format_timestamp(parse_timestamp(now) + elapsed)
        client.clock.set(now, frozen=self.clock["frozen"])
