"""The scenario document: a story of events, and its expected outcome."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field
from pydantic import Field

from bq_server.game import Game
from harness.stories.expectations import ExpectedPart
from harness.stories.steps import GameSource, Json, Moment, Step, TaggedStep


class PlayedStory(ExpectedPart):
    """A scenario as it is written."""

    name: str = Field(min_length=1, max_length=255)
    description: str | None = None
    game: GameSource | None = None
    clock: Moment | None = Field(None, description="The clock is stopped here; without it the real one runs")
    in_order: str | None = Field(
        None,
        min_length=1,
        description="Why the order of sending matters here: in mode shuffled, events are only repeated",
    )
    steps: list[TaggedStep] = Field(min_length=1)


class LoadedGame(Struct, frozen=True):
    """A game of a scenario: as sent, and as parsed."""

    document: Json
    game: Game


class Scenario(Struct, frozen=True):
    """A story without mistakes, ready to be played."""

    path: Path
    story: PlayedStory
    lines: Sequence[int]
    """The line of each step, from 1."""
    game: LoadedGame | None = None
    """In force from the start."""
    games: Mapping[int, LoadedGame] = field(default_factory=dict)
    """Those applied later, by the index of the step."""

    @property
    def name(self) -> str:
        """The story in one line."""
        return self.story.name

    @property
    def steps(self) -> Sequence[Step]:
        """What happens, in order."""
        return self.story.steps


def scenario_schema() -> Json:
    """The JSON Schema of the scenario document, for editors that complete it."""
    return PlayedStory.model_json_schema() | {
        "title": "bq-server scenario",
        "$schema": "https://json-schema.org/draft/2020-12/schema",
    }
