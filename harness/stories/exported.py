"""An exported environment: the game with where each definition starts counting, everyone, and all facts."""

import json
from typing import Any

from msgspec import Struct, field

from bq_server.game import CompiledGame, Fact, Game, compile_game
from bq_server.moments import parse_timestamp
from harness.client import Client

Json = dict[str, Any]


class Exported(Struct):
    """What an environment contains."""

    game: Json | None = None
    counts_after: dict[str, int] = field(default_factory=dict)
    """By definition, how many facts there were when it started to count."""
    participants: list[Json] = field(default_factory=list)
    facts: list[Json] = field(default_factory=list)
    """In the order in which they were made."""

    @property
    def participant_ids(self) -> list[str]:
        """Everyone known or named by a fact."""
        named = {each["participant_id"] for each in (*self.participants, *self.facts)}
        return sorted(named)

    def compiled(self) -> CompiledGame:
        """The game in force, with its definitions counting what they count in the environment."""
        return compile_game(Game.model_validate(self.game or {}), self.counts_after)

    def facts_of(self, participant_id: str) -> list[Fact]:
        """A participant's facts, in order of event time."""
        found = [
            Fact(
                fact["fact_id"],
                seq,
                fact["fact_type"],
                fact["fact_type"].removeprefix("custom."),
                participant_id,
                fact["properties"],
                parse_timestamp(fact["occurred_at"]),
                parse_timestamp(fact["received_at"]),
                fact.get("idempotency_key"),
                fact.get("voids"),
            )
            for seq, fact in enumerate(self.facts, start=1)
            if fact["participant_id"] == participant_id
        ]
        return sorted(found, key=lambda fact: fact.moment)


def read_export(client: Client) -> Exported:
    """What the client's environment contains. Raises `Refused` and `Unreachable`."""
    exported = Exported()
    for line in client.export():
        match json.loads(line):
            case {"game": game, "counts_after": counts_after}:
                exported.game, exported.counts_after = game, counts_after
            case {"participant": participant}:
                exported.participants.append(participant)
            case {"fact": fact}:
                exported.facts.append(fact)
    return exported
