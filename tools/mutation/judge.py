"""Which stories see a mutant: those that it can change are played on a server that has it, until one fails.

The likeliest stories are played with each mutant alone. With what is left, most plays pass: there each is played once
with all the mutants that it may see, which is halved when it fails. A mutant is only ever seen by a play that fails
with it alone. When several hide each other, one may be missed that a story sees, but none is seen that isn't.
"""

import time
from collections.abc import Mapping, Sequence

from harness.private_server import ServerFailed
from tools.mutation.operators import MutationSite
from tools.mutation.stories import Play, StoryPlay, Survey, Verdict
from tools.mutation.warm_server import WarmServer

LEAST_LIMIT_SECONDS = 2.0
LIMIT_FACTOR = 4
"""A story that twice takes so many times longer with a mutant, and that long besides, has met one that never ends: that
is seen, too.
"""

_LATE = " (it doesn't end)"
_ENDED = " (the server ended)"


def judge_alone(
    server: WarmServer, found: Survey, number: int, site: MutationSite, plays: Sequence[Play]
) -> Verdict | None:
    """Play these with one mutant; None when they don't see it. The server may be another one afterwards."""
    for each in plays:
        start = time.perf_counter()
        ended = _sees(server, found, number, each)
        found.note(site, each, time.perf_counter() - start, seen=ended is not None)
        if ended is not None:
            return Verdict(True, f"{each[0]} {found.stories[each[1]].name}{ended}", each)
    return None


def judge_together(
    server: WarmServer, found: Survey, play: Play, sites: Mapping[int, MutationSite]
) -> dict[int, Verdict]:
    """Those of some mutants, by number, that a play sees."""
    if len(sites) < 2:
        verdicts = {number: judge_alone(server, found, number, site, [play]) for number, site in sites.items()}
        return {number: verdict for number, verdict in verdicts.items() if verdict is not None}
    if not server.running:
        server.restart()
    if _fails_with(server, list(sites), found, play) is None:
        return {}
    numbers = sorted(sites)
    halves = numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]
    first, second = ({number: sites[number] for number in half} for half in halves)
    return judge_together(server, found, play, first) | judge_together(server, found, play, second)


def judge_from_start(server: WarmServer, found: Survey, number: int) -> Verdict:
    """Of a mutant that works as the program starts, which has a server of its own."""
    try:
        server.restart(number)
        for each in sorted(found.reached, key=found.seconds.__getitem__):
            if (ended := _fails_with(server, [number], found, each)) is not None:
                return Verdict(True, f"{each[0]} {found.stories[each[1]].name}{ended}", each)
    except ServerFailed:
        return Verdict(True, "the server doesn't start")
    finally:
        server.restart()
    return Verdict(False, "reached as the program starts")


def _sees(server: WarmServer, found: Survey, number: int, play: Play) -> str | None:
    """None when a play passes with a mutant; otherwise what is to be added, if anything."""
    fresh = False
    while True:
        if not server.running:
            server.restart()
            fresh = True
        ended = _fails_with(server, [number], found, play)
        if ended == _LATE:  # the machine may have been busy
            ended = _fails_with(server, [number], found, play)
        # What an earlier mutant left behind isn't this one's: without it, the story must pass.
        if ended is None or fresh or _passes_without(server, found, play):
            if ended is not None and fresh:
                server.restart()
            return ended
        server.restart()
        fresh = True


def _fails_with(server: WarmServer, numbers: Sequence[int], found: Survey, play: Play) -> str | None:
    """None when it passes; otherwise what is to be added, if anything."""
    try:
        server.switch(*numbers)
        outcome = server.within(*_limited(found, play))
    except ConnectionError:
        return _ENDED
    if outcome is None:
        return _LATE
    if outcome.passed:
        return None
    return "" if server.running else _ENDED


def _passes_without(server: WarmServer, found: Survey, play: Play) -> bool:
    if not server.running:
        return False
    try:
        server.switch()
        outcome = server.within(*_limited(found, play))
    except (ConnectionError, ServerFailed):
        return False
    return outcome is not None and outcome.passed


def _limited(found: Survey, play: Play) -> tuple[float, StoryPlay]:
    mode, name = play
    return LEAST_LIMIT_SECONDS + LIMIT_FACTOR * found.seconds[play], StoryPlay(found.stories[name], mode)
