"""A world that remembers what it was told, so that a test can add it up anew."""

from dataclasses import dataclass
from typing import Any

from tests.support.played_world import World

Sent = tuple[str, str, int, dict[str, Any]]
"""Kind, participant, time and properties."""


@dataclass(frozen=True)
class Told:
    """An event, as it was sent."""

    seq: int
    kind: str
    who: str
    at: int
    values: dict[str, Any]


class TellingWorld:
    """A world, and the events it was sent."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.told: list[Told] = []
        self.ids: dict[int, str] = {}

    async def send(self, *events: Sent) -> None:
        made = []
        for kind, who, at, values in events:
            seq = len(self.told) + 1
            self.told.append(Told(seq, kind, who, at, values))
            system = None if kind == "run" else f"system.{kind}"
            properties = values if kind != "fact_voided" else {"fact_id": self.ids[values["seq"]]}
            event = self.world.event(kind, who, at, **properties)
            event = event._replace(
                system_type=system, event_id=self.world.ids.new("evt"), voids=properties.get("fact_id")
            )
            self.ids[seq] = "fact" + event.event_id.removeprefix("evt")
            made.append(event)
        await self.world.send(*made)

    def story(self, who: str) -> list[Told]:
        """The events of a participant that aren't void, in the order of their time."""
        own = [each for each in self.told if each.who == who]
        void = {each.values["seq"] for each in own if each.kind == "fact_voided"}
        return sorted((each for each in own if each.seq not in void), key=lambda each: (each.at, each.seq))
