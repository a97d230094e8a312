"""Which shipped stories see a mutant: those that reach it are played on a server that has it, until one fails."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.client import Client
from harness.private_server import ServerFailed
from harness.stories.documents import find
from harness.stories.outcomes import Mode, StoryOutcome
from harness.stories.scenario import Scenario
from harness.stories.shipped import shipped
from harness.stories.story_run import play
from tools.mutation.operators import MutationSite
from tools.mutation.switch import DIFFERED
from tools.mutation.warm_server import WarmServer

SEED = 7
MODES: tuple[Mode, ...] = ("sync", "both", "shuffled")
"""Where a mistake shows soonest first: of a fact that can't be made sync says so, and the stream tries again. What is
played in both is played by the stream.
"""
LIMIT_SECONDS = 20.0
"""A story that takes longer with a mutant has met one that never ends, which is seen, too."""

BUSY = "stream_unavailable"
"""No mutant of the game causes this refusal; a busy machine does."""
TRIES = 5

Play = tuple[Mode, str]


class UnsoundError(Exception):
    """A story fails without a mutant."""


@dataclass(slots=True)
class Survey:
    """What each story reaches on a sound server, and which stories have seen most mutants."""

    stories: Mapping[str, Scenario]
    at_start: frozenset[int] = frozenset()
    """Sites that are reached as the program starts: switching comes too late for them."""
    reached: dict[Play, frozenset[int]] = field(default_factory=dict)
    differed: dict[Play, frozenset[int]] = field(default_factory=dict)
    """Of those reached, where the mutant would have come to something else."""
    _seen: Counter[tuple[str, str, Play]] = field(default_factory=Counter)
    """How many mutants of a function each has seen, and of a module, whose function here is empty."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plays(self, number: int, site: MutationSite) -> list[Play]:
        """Those that can see a site's mutant, the likeliest first: what has seen others of its function, or module."""

        def unlikely(each: Play) -> tuple[int, int, int]:
            own, around = (self._seen[site.module, function, each] for function in (site.function, ""))
            return -own, -around, MODES.index(each[0])

        with self._lock:
            return sorted((each for each, found in self.differed.items() if number in found), key=unlikely)

    def is_reached(self, number: int) -> bool:
        """Whether any story comes by a site."""
        return any(number in found for found in self.reached.values())

    def note(self, site: MutationSite, by: Play) -> None:
        """It saw a mutant."""
        with self._lock:
            for function in {site.function, ""}:
                self._seen[site.module, function, by] += 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the stories see a mutant, and what saw it or why nothing did."""

    seen: bool
    why: str


def survey(server: WarmServer) -> Survey:
    """Play every story in every mode. Raises `UnsoundError`."""
    scenarios, mistakes = find([shipped()])
    if mistakes:
        raise UnsoundError(str(mistakes[0]))
    found = Survey({each.path.stem + "/" + each.name: each for each in scenarios})
    found.at_start = frozenset(_with(server.switch(), least=1))
    for mode in MODES:
        for name, story in found.stories.items():
            server.switch()
            outcome = server.within(LIMIT_SECONDS * 3, _Playing(story, mode))
            if not outcome.passed:
                raise UnsoundError(outcome.failures[0].text)
            state = server.switch()
            found.reached[mode, name] = frozenset(_with(state, least=1))
            found.differed[mode, name] = frozenset(_with(state, least=DIFFERED))
    return found


def judge(server: WarmServer, found: Survey, number: int, site: MutationSite, most: int | None = None) -> Verdict:
    """Play what reaches a mutant, with it, or the likeliest of that. The server may be another one afterwards."""
    plays = found.plays(number, site)[:most]
    if number in found.at_start:
        return _judge_from_start(server, found, number)
    if not plays:
        return Verdict(False, "reached, with nothing that shows" if found.is_reached(number) else "not reached")
    fresh = False
    for each in plays:
        while True:
            ended = _fails_with(server, number, found.stories[each[1]], each[0])
            if ended is None:
                break
            # What an earlier mutant left behind isn't this one's: without it, the story must pass.
            if fresh or _passes_without(server, found.stories[each[1]], each[0]):
                found.note(site, each)
                if fresh:
                    server.restart()
                return Verdict(True, f"{each[0]} {found.stories[each[1]].name}{ended}")
            server.restart()
            fresh = True
    server.switch()
    return Verdict(False, f"differed in {len(plays)} plays")


def _judge_from_start(server: WarmServer, found: Survey, number: int) -> Verdict:
    """Of a mutant that works as the program starts."""
    try:
        server.restart(number)
        for mode, name in found.reached:
            if (ended := _fails_with(server, number, found.stories[name], mode)) is not None:
                return Verdict(True, f"{mode} {found.stories[name].name}{ended}")
    except ServerFailed:
        return Verdict(True, "the server doesn't start")
    finally:
        server.restart()
    return Verdict(False, "reached as the program starts")


def _fails_with(server: WarmServer, number: int, story: Scenario, mode: Mode) -> str | None:
    """None when it passes; otherwise what is to be added, if anything."""
    try:
        server.switch(number)
        outcome = server.within(LIMIT_SECONDS, _Playing(story, mode))
    except ConnectionError:
        return " (the server ended)"
    if outcome.passed:
        return None
    return "" if server.running else " (the server ended)"


def _passes_without(server: WarmServer, story: Scenario, mode: Mode) -> bool:
    if not server.running:
        return False
    try:
        server.switch()
        return server.within(LIMIT_SECONDS, _Playing(story, mode)).passed
    except (ConnectionError, ServerFailed):
        return False


class _Playing:
    """A story in a mode, to be played against whatever client there is; again while the machine is just too busy."""

    def __init__(self, story: Scenario, mode: Mode) -> None:
        self._story = story
        self._mode = mode

    def __call__(self, client: Client) -> StoryOutcome:
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
