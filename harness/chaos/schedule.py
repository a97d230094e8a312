"""When which fault strikes the server, determined by a seed alone."""

from collections.abc import Iterator
from itertools import pairwise
from random import Random

from msgspec import Struct

from harness.chaos.history import IngestRoute
from harness.chaos.options import DESTRUCTIONS, EVERY_FAULT, HABITS, KILL_STORE, LACKS, Options

SECONDS_BETWEEN = 4.0
"""About how far apart faults begin, so that there is time between them in which nothing is broken."""

LONGEST_PAUSE_SECONDS = 3.0
SHORTEST_PAUSE_SECONDS = 0.1
LONGEST_HOLD_SECONDS = 2.0
SHORTEST_HOLD_SECONDS = 0.2

STILL_SECONDS = 0.3
STILL_SHARE = 0.5
"""Share of the server's kills before which the stream is paused."""

COMPANION_SHARE = 0.3
"""Share of the faults that overlap with another one."""


class Strike(Struct, frozen=True):
    """A fault that begins `at` so many seconds from the start.

    `lengths` is how long it lasts: of a pause, of a lack, until a store is started again, of each time the database is
    held; of a kill, how long the stream is held still before it, so that what was promised too early is nowhere yet; of
    a destruction, how long events gather before it.
    """

    at: float
    kind: str
    lengths: tuple[float, ...] = ()
    on_acknowledgement: IngestRoute | None = None
    """It waits until a client has just received an acknowledgement over this route: what was promised too early is then
    lost."""


def plan(options: Options) -> list[Strike]:
    """The faults of a run, in order: each requested one at least once, some overlapping."""
    random = Random(f"{options.seed}:faults")  # noqa: S311 - not for secrets
    asked = [kind for kind in EVERY_FAULT if kind in options.faults and kind not in HABITS]
    if not asked:
        return []
    count = max(len(asked), round(options.seconds / SECONDS_BETWEEN))
    room = 0.8 * options.seconds
    strikes: list[Strike] = []
    kinds = _in_turn(asked, random)
    for number in range(count):
        at = 0.1 * options.seconds + room * (number + random.uniform(0, 0.5)) / count
        strikes.append(_strike(at, next(kinds), options.seconds, random))
    strikes += _companions(strikes, asked, options.seconds, random)
    return sorted(strikes, key=lambda strike: strike.at)


def _in_turn(kinds: list[str], random: Random) -> Iterator[str]:
    """Every kind equally often, in an order that doesn't repeat."""
    while True:
        yield from random.sample(kinds, len(kinds))


def _companions(strikes: list[Strike], asked: list[str], seconds: float, random: Random) -> Iterator[Strike]:
    """Faults that begin while others last. The server is always killed once while its stream is paused."""
    promised = "kill-server" in asked
    for strike, following in pairwise([*strikes, Strike(seconds, "")]):
        others = [kind for kind in asked if kind != strike.kind]
        if promised and strike.kind == "pause-stream":
            promised = False
            yield _strike(strike.at + 0.6 * strike.lengths[0], "kill-server", seconds, random)
        elif others and random.random() < COMPANION_SHARE:
            after = min(random.uniform(0.05, 0.5), following.at - strike.at)
            yield _strike(strike.at + after, random.choice(others), seconds, random)


def _strike(at: float, kind: str, seconds: float, random: Random) -> Strike:
    match kind:
        case "pause-stream":
            longest = min(LONGEST_PAUSE_SECONDS, max(seconds / 10, SHORTEST_PAUSE_SECONDS))
            return Strike(at, kind, (random.uniform(SHORTEST_PAUSE_SECONDS, longest),))
        case "slow-disk":
            longest = min(LONGEST_HOLD_SECONDS, max(seconds / 15, SHORTEST_HOLD_SECONDS))
            times = range(random.randint(1, 3))
            return Strike(at, kind, tuple(random.uniform(SHORTEST_HOLD_SECONDS, longest) for _ in times))
        case kind if kind in (*LACKS, *DESTRUCTIONS, KILL_STORE):
            longest = min(LONGEST_HOLD_SECONDS, max(seconds / 15, SHORTEST_HOLD_SECONDS))
            return Strike(at, kind, (random.uniform(SHORTEST_HOLD_SECONDS, longest),))
        case _:
            holds = (STILL_SECONDS,) if kind == "kill-server" and random.random() < STILL_SHARE else ()
            route = (
                random.choice((IngestRoute.ASYNC, IngestRoute.BATCH))
                if holds
                else random.choice((*IngestRoute, IngestRoute.BATCH, None))
            )
            return Strike(at, kind, holds, route)
