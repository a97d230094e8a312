"""The four ways to play a scenario; each returns what was not as the story says."""

import random
import time
from collections.abc import Callable, Mapping

from bq_server.moments import format_timestamp
from harness.client import Client, Refused, Unreachable
from harness.stories.differences import table
from harness.stories.outcomes import Mode, StoryFailure
from harness.stories.player import Player, Stopped
from harness.stories.routes import ByStream, BySync
from harness.stories.scenario import Scenario
from harness.stories.shuffle import Recorder, play_shuffled
from harness.stories.snapshots import Snapshot, compare_snapshots, take_snapshot


def by_stream(scenario: Scenario, client: Client, seed: int) -> list[StoryFailure]:  # noqa: ARG001 - nothing is random
    """Events through the stream."""
    return Player(scenario, client, ByStream(client)).play()


def by_sync(scenario: Scenario, client: Client, seed: int) -> list[StoryFailure]:  # noqa: ARG001 - nothing is random
    """Events through the sync path."""
    return Player(scenario, client, BySync(client)).play()


def by_both(scenario: Scenario, client: Client, seed: int) -> list[StoryFailure]:  # noqa: ARG001 - nothing is random
    """Through the stream, then through sync; both must lead to the same result."""
    clock = _clock(scenario)
    streamed = Player(scenario, client, ByStream(client), way="stream", clock=clock)
    failures = list(streamed.play())
    first = None if failures else take_snapshot(client)
    synced = Player(scenario, client, BySync(client), way="sync", clock=clock)
    failures += synced.play()
    if first is None or failures:
        return failures
    # What is late within a batch of the stream is late on its own in sync, and an award keeps the time first given.
    any_order = not first.was_in_order
    return _compared(synced, first, take_snapshot(client), ("stream", "sync"), any_order=any_order)


def by_shuffled(scenario: Scenario, client: Client, seed: int) -> list[StoryFailure]:
    """In order, then with repeats in random order; both must lead to the same result."""
    clock = _clock(scenario)
    recorder = Recorder(client, clock, scenario.steps)
    ordered = Player(scenario, client, recorder, way="in order", clock=clock, watcher=recorder)
    failures = ordered.play()
    if failures:
        return failures
    script = recorder.finish()
    first = take_snapshot(client)
    player = Player(scenario, client, ByStream(client), way=f"shuffled, seed {seed}", clock=clock)
    play_shuffled(player, client, script, random.Random(f"{seed} {scenario.name}"))  # noqa: S311 - no secret
    if player.failures:
        return player.failures
    return _compared(player, first, take_snapshot(client), ("in order", "shuffled"), any_order=True)


PLAYS: Mapping[Mode, Callable[[Scenario, Client, int], list[StoryFailure]]] = {
    "stream": by_stream,
    "sync": by_sync,
    "both": by_both,
    "shuffled": by_shuffled,
}


def play_by(mode: Mode, scenario: Scenario, client: Client, seed: int) -> list[StoryFailure]:
    """Play a scenario in one of the modes. What the server refuses or doesn't answer is a failure too.

    So is a bug of the harness itself: it must not keep the other scenarios from being played.
    """
    try:
        return PLAYS[mode](scenario, client, seed)
    except Stopped as stopped:
        return [stopped.failure]
    except (Refused, Unreachable) as error:
        return [StoryFailure(f"{scenario.path} [{mode}]: {error}")]
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this scenario's
        return [StoryFailure(f"{scenario.path} [{mode}]: the harness failed: {type(error).__name__}: {error}")]


def _clock(scenario: Scenario) -> str:
    """Where the clock is stopped in both plays: at the story's moment, or at the present."""
    return scenario.story.clock or format_timestamp(time.time_ns() // 1000)


def _compared(
    player: Player, one: Snapshot, other: Snapshot, names: tuple[str, str], *, any_order: bool
) -> list[StoryFailure]:
    differences = list(compare_snapshots(one, other, any_order=any_order))
    if not differences:
        return []
    return [player.failure(None, "the two plays did not come to the same", table(differences, *names))]
