"""What became of a scenario."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from msgspec import Struct, field

Mode = Literal["stream", "sync", "both", "shuffled"]
MODES: tuple[Mode, ...] = get_args(Mode)


class StoryFailure(Struct, frozen=True):
    """Something that was not as the story says."""

    text: str
    """Ready to be printed, in one or more lines; the first says where and what."""
    line: int | None = None
    """The line of its step in the file, from 1; None if no step is to blame."""
    step: int | None = None
    """The number of the step, from 1."""


class StoryOutcome(Struct, frozen=True):
    """A scenario, played."""

    name: str
    path: Path
    mode: Mode
    seed: int
    failures: Sequence[StoryFailure] = field(default_factory=tuple)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether everything was as the story says."""
        return not self.failures
