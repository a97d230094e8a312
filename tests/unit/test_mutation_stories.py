"""Which stories see a mutant: a server without a process stands in for the real one."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from harness.client import Client
from harness.stories.documents import load
from harness.stories.outcomes import Mode, StoryFailure, StoryOutcome
from harness.stories.scenario import Scenario
from tools.mutation import stories
from tools.mutation.operators import MutationSite
from tools.mutation.stories import Survey, Verdict
from tools.mutation.switch import NONE
from tools.mutation.warm_server import WarmServer

SITE = MutationSite("bq_server.game.step", 1, 2, 0, "< -> <=")
STORY = load(Path(__file__).parents[2] / "harness" / "scenarios" / "badges" / "count.yaml")
NAMED = {name: replace(STORY, path=Path(name)) for name in ("first", "second")}


class Stand:
    """What `judge` needs of a server; `fails` says what becomes of a story with a mutant on."""

    def __init__(self, fails: Callable[["Stand", str], str | None]) -> None:
        self.fails = fails
        self.active = NONE
        self.restarts = 0
        self.running = True
        self.played: list[tuple[int, str]] = []

    def switch(self, number: int = NONE) -> bytes:
        self.active = number
        return bytes(1)

    def restart(self, number: int = NONE) -> None:
        self.active = number
        self.restarts += 1

    def within(self, seconds: float, play: Callable[[Client], StoryOutcome]) -> StoryOutcome:
        return play(cast("Client", self))


@pytest.fixture(autouse=True)
def _plays(monkeypatch: pytest.MonkeyPatch) -> None:
    def play(story: Scenario, client: Any, mode: Mode, seed: int) -> StoryOutcome:
        client.played.append((client.active, story.path.name))
        failure = client.fails(client, story.path.name)
        failures = () if failure is None else (StoryFailure(failure),)
        return StoryOutcome(story.name, story.path, mode, seed, failures)

    monkeypatch.setattr(stories, "play", play)


def judged(server: Stand, *, differed: bool = True, at_start: bool = False, most: int | None = None) -> Verdict:
    here = frozenset({0})
    found = Survey(NAMED, here if at_start else frozenset())
    for name in NAMED:
        found.reached["sync", name] = here
        found.differed["sync", name] = here if differed else frozenset()
    return stories.judge(cast("WarmServer", server), found, 0, SITE, most)


def test_a_story_sees_a_mutant_that_fails_with_it_and_passes_without() -> None:
    server = Stand(lambda server, name: "wrong" if (server.active, name) == (0, "second") else None)
    assert judged(server) == Verdict(True, f"sync {STORY.name}")
    assert server.played == [(0, "first"), (0, "second"), (NONE, "second")]


def test_what_an_earlier_mutant_left_behind_is_not_this_ones() -> None:
    server = Stand(lambda server, _: "wrong" if not server.restarts else None)
    assert not judged(server).seen
    assert server.restarts == 1


def test_a_busy_machine_is_no_mutant() -> None:
    refusals = iter(["503 stream_unavailable"] * 2)
    server = Stand(lambda *_: next(refusals, None))
    assert judged(server) == Verdict(False, "differed in 2 plays")
    assert server.restarts == 0


def test_no_more_is_played_than_was_asked_for() -> None:
    server = Stand(lambda server, name: "wrong" if (server.active, name) == (0, "second") else None)
    assert judged(server, most=1) == Verdict(False, "differed in 1 plays")


def test_what_saw_others_of_the_function_is_played_first_then_what_saw_others_of_the_module() -> None:
    plays: list[stories.Play] = [("sync", "a"), ("sync", "b"), ("shuffled", "c"), ("both", "c")]
    found = Survey({}, differed={each: frozenset({0}) for each in plays})
    site = dataclasses.replace(SITE, function="step")
    found.note(dataclasses.replace(SITE, function="prepare"), plays[1])
    found.note(dataclasses.replace(SITE, function="prepare"), plays[1])
    found.note(site, plays[2])
    found.note(dataclasses.replace(SITE, module="bq_server.game.match"), plays[3])
    assert found.plays(0, site) == [plays[2], plays[1], plays[0], plays[3]]


def test_nothing_is_played_for_a_mutant_that_changes_nothing() -> None:
    server = Stand(lambda *_: "wrong")
    assert judged(server, differed=False) == Verdict(False, "reached, with nothing that shows")
    assert server.played == []


def test_a_mutant_that_works_at_the_start_gets_a_server_of_its_own() -> None:
    server = Stand(lambda server, _: "wrong" if server.active == 0 else None)
    assert judged(server, at_start=True).seen
    assert (server.restarts, server.active) == (2, NONE)
