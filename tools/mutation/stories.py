"""What each shipped story reaches on a server that has every mutant, and which are the likeliest to see one."""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.client import Client
from harness.stories import modes
from harness.stories.documents import find
from harness.stories.outcomes import Mode, StoryFailure, StoryOutcome
from harness.stories.player import Player, Stopped
from harness.stories.scenario import Scenario
from harness.stories.shipped import shipped
from harness.stories.story_run import play
from tools.mutation.operators import MutationSite
from tools.mutation.switch import DIFFERED
from tools.mutation.warm_server import WarmServer

if TYPE_CHECKING:
    from tools.mutation.kept import KeptResults

SEED = 7
MODES: tuple[Mode, ...] = ("sync", "both", "shuffled")
"""Where a mistake shows soonest first: of a fact that can't be made sync says so, and the stream tries again. What is
played in both is played by the stream.
"""
SURVEY_SECONDS = 60.0

BUSY = "stream_unavailable"
"""No mutant of the game causes this refusal; a busy machine does."""
TRIES = 5

Play = tuple[Mode, str]


class UnsoundError(Exception):
    """A story fails without a mutant."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the stories see a mutant, and what saw it or why nothing did."""

    seen: bool
    why: str
    by: Play | None = None
    """What saw it."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What a play comes by without a mutant."""

    state: bytes
    """For each site, as `tools.mutation.switch` has it."""
    seconds: float
    """How long it takes."""


@dataclass(slots=True)
class Survey:
    """What each story reaches on a sound server, and which stories have seen most mutants."""

    stories: Mapping[str, Scenario]
    at_start: frozenset[int] = frozenset()
    """Sites that are reached as the program starts: switching comes too late for them."""
    reached: dict[Play, frozenset[int]] = field(default_factory=dict)
    differed: dict[Play, frozenset[int]] = field(default_factory=dict)
    """Of those reached, where the mutant would have come to something else."""
    seconds: dict[Play, float] = field(default_factory=dict)
    """What each play takes without a mutant."""
    _spent: dict[tuple[str, str, Play], float] = field(default_factory=lambda: defaultdict(float))
    """How long each took with mutants of a function, and of a module, whose function here is empty; in seconds."""
    _seen: Counter[tuple[str, str, Play]] = field(default_factory=Counter)
    """How many of these it has seen."""
    _played: set[tuple[MutationSite, Play]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plays(self, number: int, site: MutationSite) -> list[Play]:
        """Those that can see a site's mutant, in the order in which one that does is found soonest.

        That is by how many mutants of its function each has seen in the time it took, or as long as these are few, of
        its module.
        """

        def promise(each: Play) -> float:
            around, own = (site.module, "", each), (site.module, site.function, each)
            seconds = self.seconds[each] + _OVERHEAD_SECONDS
            rate = (self._seen[around] + 1) / (self._spent[around] + 2 * seconds)
            return (self._seen[own] + 2 * seconds * rate) / (self._spent[own] + 2 * seconds)

        with self._lock:
            return sorted((each for each, found in self.differed.items() if number in found), key=promise, reverse=True)

    def is_reached(self, number: int) -> bool:
        """Whether any story comes by a site."""
        return any(number in found for found in self.reached.values())

    def note(self, site: MutationSite, by: Play, seconds: float, *, seen: bool) -> None:
        """It was played with a mutant, and took so long."""
        with self._lock:
            self._played.add((site, by))
            for function in {site.function, ""}:
                self._spent[site.module, function, by] += seconds
                self._seen[site.module, function, by] += seen

    def was_played(self, site: MutationSite, by: Play) -> bool:
        """Whether a mutant had this play alone."""
        return (site, by) in self._played


_OVERHEAD_SECONDS = 0.05
"""What it takes to switch, and to start a play."""


def every_story() -> dict[str, Scenario]:
    """The shipped stories, by names of which each is used once. Raises `UnsoundError`."""
    scenarios, mistakes = find([shipped()])
    if mistakes:
        raise UnsoundError(str(mistakes[0]))
    return {each.path.stem + "/" + each.name: each for each in scenarios}


def survey(server: WarmServer, stories: Mapping[str, Scenario], kept: "KeptResults") -> Survey:
    """Play every story in every mode, those whose reach isn't known. Raises `UnsoundError`."""
    found = Survey(stories)
    found.at_start = frozenset(_with(server.switch(), least=1))
    for mode in MODES:
        for name, story in stories.items():
            known = kept.reached((mode, name))
            if known is None:
                known = _reached(server, story, mode)
                kept.keep_reached((mode, name), known)
            found.reached[mode, name] = frozenset(_with(known.state, least=1))
            found.differed[mode, name] = frozenset(_with(known.state, least=DIFFERED))
            found.seconds[mode, name] = known.seconds
    return found


def _reached(server: WarmServer, story: Scenario, mode: Mode) -> Reached:
    server.switch()
    outcome = server.within(SURVEY_SECONDS, StoryPlay(story, mode))
    if outcome is None:
        raise UnsoundError(f"{story.path} [{mode}]: takes longer than {SURVEY_SECONDS:g} s")
    if not outcome.passed:
        raise UnsoundError(outcome.failures[0].text)
    return Reached(server.switch(), outcome.seconds)


class ImpatientPlayer(Player):
    """Ends at the first thing that is not as the story says, and doesn't ask why: which story fails is enough."""

    def failure(self, index: int | None, what: str, lines: list[str] | None = None) -> StoryFailure:
        """Raises `Stopped` with the failure."""
        raise Stopped(super().failure(index, what, lines))

    def _why(self, participant: str) -> list[str]:  # noqa: ARG002
        return []


# The modes are those of the harness, and so is what they compare.
modes.Player = ImpatientPlayer  # type: ignore[attr-defined]


class StoryPlay:
    """A story in a mode, to be played against whatever client there is; again while the machine is just too busy."""

    def __init__(self, story: Scenario, mode: Mode) -> None:
        self._story = story
        self._mode = mode

    def __call__(self, client: Client) -> StoryOutcome:
        """What became of it."""
        outcome = play(self._story, client, self._mode, SEED)
        for _ in range(TRIES - 1):
            if not any(BUSY in each.text for each in outcome.failures):
                break
            outcome = play(self._story, client, self._mode, SEED)
        return outcome


def _with(state: bytes, *, least: int) -> Iterator[int]:
    return (number for number, value in enumerate(state) if value >= least)


def by_module(sites: Sequence[MutationSite]) -> Counter[str]:
    """How many there are of each module."""
    return Counter(site.module for site in sites)
