"""Which stories see a mutant: a server without a process stands in for the real one."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from harness.client import Client
from harness.stories.documents import load
from harness.stories.outcomes import Mode, StoryFailure, StoryOutcome
from harness.stories.scenario import Scenario
from tools.mutation import judge, mutation_run, stories
from tools.mutation.judge import judge_alone, judge_from_start, judge_together
from tools.mutation.kept import KeptResults
from tools.mutation.mutation_run import MutationRun
from tools.mutation.operators import MutationSite, every_site
from tools.mutation.stories import Reached, Survey, Verdict
from tools.mutation.switch import DIFFERED
from tools.mutation.warm_server import WarmServer

SITE = MutationSite("bq_server.game.step", 1, 2, 0, "< -> <=")
STORY = load(Path(__file__).parents[2] / "harness" / "scenarios" / "badges" / "count.yaml")
NAMED = {name: replace(STORY, path=Path(name)) for name in ("first", "second")}
FIRST: stories.Play = ("sync", "first")
SECOND: stories.Play = ("sync", "second")


class Stand:
    """What is needed of a server; `fails` says what becomes of a story with some mutants on."""

    def __init__(self, fails: Callable[["Stand", str], str | None], *, late: bool = False) -> None:
        self.fails = fails
        self.late = late
        self.active: frozenset[int] = frozenset()
        self.restarts = 0
        self.running = True
        self.played: list[tuple[set[int], str]] = []

    def switch(self, *numbers: int) -> bytes:
        self.active = frozenset(numbers)
        return bytes(1)

    def restart(self, *numbers: int) -> None:
        self.active = frozenset(numbers)
        self.running = True
        self.restarts += 1

    def within(self, seconds: float, play: Callable[[Client], StoryOutcome]) -> StoryOutcome | None:
        outcome = play(cast("Client", self))
        return None if self.late and not outcome.passed else outcome


@pytest.fixture(autouse=True)
def _plays(monkeypatch: pytest.MonkeyPatch) -> None:
    def play(story: Scenario, client: Any, mode: Mode, seed: int) -> StoryOutcome:
        client.played.append((set(client.active), story.path.name))
        failure = client.fails(client, story.path.name)
        failures = () if failure is None else (StoryFailure(failure),)
        return StoryOutcome(story.name, story.path, mode, seed, failures)

    monkeypatch.setattr(stories, "play", play)


def surveyed() -> Survey:
    found = Survey(NAMED)
    for each in (FIRST, SECOND):
        found.reached[each] = found.differed[each] = frozenset({0})
        found.seconds[each] = 0.1
    return found


def alone(server: Stand) -> Verdict | None:
    return judge_alone(cast("WarmServer", server), surveyed(), 0, SITE, [FIRST, SECOND])


def test_a_story_sees_a_mutant_that_fails_with_it_and_passes_without() -> None:
    server = Stand(lambda server, name: "wrong" if server.active and name == "second" else None)
    assert alone(server) == Verdict(True, f"sync {STORY.name}", SECOND)
    assert server.played == [({0}, "first"), ({0}, "second"), (set(), "second")]


def test_what_an_earlier_mutant_left_behind_is_not_this_ones() -> None:
    server = Stand(lambda server, _: "wrong" if not server.restarts else None)
    assert alone(server) is None
    assert server.restarts == 1


def test_a_busy_machine_is_no_mutant() -> None:
    refusals = iter(["503 stream_unavailable"] * 2)
    server = Stand(lambda *_: next(refusals, None))
    assert alone(server) is None
    assert server.restarts == 0


def test_a_play_that_does_not_end_must_not_end_twice() -> None:
    server = Stand(lambda server, name: "late" if server.active and name == "second" else None, late=True)
    assert alone(server) == Verdict(True, f"sync {STORY.name} (it doesn't end)", SECOND)
    assert server.played[1:] == [({0}, "second"), ({0}, "second"), (set(), "second")]
    once = iter(["late"])
    assert alone(Stand(lambda *_: next(once, None), late=True)) is None


def test_of_mutants_together_each_that_is_seen_is_seen_alone() -> None:
    sites = {number: dataclasses.replace(SITE, line=number) for number in range(8)}
    server = Stand(lambda server, _: "wrong" if server.active & {2, 7} else None)
    found = surveyed()
    assert judge_together(cast("WarmServer", server), found, FIRST, sites).keys() == {2, 7}
    assert [numbers for numbers, _ in server.played if len(numbers) == 1] == [{2}, {3}, {6}, {7}]
    passing = Stand(lambda *_: None)
    assert judge_together(cast("WarmServer", passing), found, SECOND, sites) == {}
    assert passing.played == [(set(sites), "second")]


def test_mutants_that_only_fail_together_are_not_seen() -> None:
    sites = {number: dataclasses.replace(SITE, line=number) for number in range(2)}
    server = Stand(lambda server, _: "wrong" if server.active == {0, 1} else None)
    assert judge_together(cast("WarmServer", server), surveyed(), FIRST, sites) == {}


def test_a_mutant_that_works_at_the_start_gets_a_server_of_its_own() -> None:
    server = Stand(lambda server, _: "wrong" if 0 in server.active else None)
    assert judge_from_start(cast("WarmServer", server), surveyed(), 0).seen
    assert (server.restarts, server.active) == (2, frozenset())


def test_what_saw_others_of_the_function_is_played_first_then_what_saw_others_of_the_module_and_is_quick() -> None:
    plays: list[stories.Play] = [("sync", "a"), ("sync", "b"), ("shuffled", "c"), ("both", "c"), ("sync", "slow")]
    found = Survey({}, differed={each: frozenset({0}) for each in plays})
    found.seconds = dict.fromkeys(plays, 1.0) | {plays[4]: 9.0}
    site = dataclasses.replace(SITE, function="step")
    found.note(dataclasses.replace(SITE, function="prepare"), plays[1], 1.0, seen=True)
    found.note(site, plays[2], 1.0, seen=True)
    found.note(site, plays[3], 1.0, seen=False)
    assert found.plays(0, site) == [plays[2], plays[1], plays[0], plays[3], plays[4]]
    assert found.was_played(site, plays[3])


def test_kept_results_hold_while_the_story_and_the_module_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    every = every_site()
    step, match = (
        next(each for each in every if each.module == f"bq_server.game.{name}") for name in ("step", "match")
    )
    kept = KeptResults(path, [step, match], NAMED)
    kept.keep_verdict(step, Verdict(True, "why", FIRST))
    kept.keep_verdict(match, Verdict(True, "why", SECOND))
    kept.keep_verdict(match, Verdict(False, "nothing saw it"))
    kept.keep_passed(step, SECOND)
    kept.keep_passed(match, FIRST)
    kept.keep_reached(FIRST, Reached(b"\x02\x01", 0.5))
    again = KeptResults(path, [step, match], NAMED)
    assert again.seen(step) == Verdict(True, "why", FIRST)
    assert (again.passed(step), again.passed(match)) == (frozenset({SECOND}), frozenset({FIRST}))
    assert again.reached(FIRST) == Reached(b"\x02\x01", 0.5)
    other = {**NAMED, "first": replace(STORY, lines=(), story=STORY.story.model_copy(update={"name": "Other"}))}
    changed = KeptResults(path, [step, match], other)
    assert (changed.seen(step), changed.reached(FIRST)) == (None, None)
    assert changed.seen(match) == Verdict(True, "why", SECOND)
    assert changed.passed(step) == frozenset({SECOND})
    assert not changed.passed(match)
    path.write_text(path.read_text().replace('"module": "', '"module": "0').replace('"modules": "', '"modules": "0'))
    assert KeptResults(path, [step, match], NAMED).seen(step) is None
    assert KeptResults(path, [step, match], NAMED).reached(FIRST) is None


class WholeStand(Stand):
    """Enters and leaves as a server does, and reaches every site in every play."""

    def __enter__(self) -> "WholeStand":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def switch(self, *numbers: int) -> bytes:
        reached = bytes([DIFFERED, DIFFERED, DIFFERED, 1, 0]) if self.played else bytes(5)
        super().switch(*numbers)
        return reached


def run(server: WholeStand, sites: Sequence[MutationSite], monkeypatch: pytest.MonkeyPatch, path: Path) -> list[Any]:
    monkeypatch.setattr(mutation_run, "WarmServer", lambda _: server)
    monkeypatch.setattr(mutation_run, "every_story", lambda: NAMED)
    monkeypatch.setattr(mutation_run, "ALONE", 1)
    return list(MutationRun(sites, results=path).judged(sites))


def test_a_run_tells_of_every_mutant_what_saw_it_or_why_nothing_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites = [dataclasses.replace(SITE, line=number) for number in range(5)]
    fails = lambda server, name: (  # noqa: E731
        "wrong" if 0 in server.active or (1 in server.active and name == "second") else None
    )
    server = WholeStand(fails)
    told = run(server, sites, monkeypatch, tmp_path / "results")
    assert [(site.line, verdict.seen) for site, verdict in told[:2]] == [(0, True), (1, True)]
    assert [(site.line, verdict.why) for site, verdict in told[2:]] == [
        (2, "differed in 6 plays"), (3, "reached, with nothing that shows"), (4, "not reached"),
    ]  # fmt: skip
    again = WholeStand(fails)
    again.played.append((set(), "before"))
    assert {(site.line, verdict.seen) for site, verdict in run(again, sites, monkeypatch, tmp_path / "results")} == {
        (0, True), (1, True), (2, False), (3, False), (4, False),
    }  # fmt: skip
    assert not any(numbers & {0, 1} or not numbers for numbers, _ in again.played[1:])


def test_a_limit_is_beyond_a_multiple_of_what_a_play_takes() -> None:
    found = surveyed()
    found.seconds[FIRST] = 7.0
    assert judge._limited(found, FIRST)[0] == judge.LEAST_LIMIT_SECONDS + 28.0
