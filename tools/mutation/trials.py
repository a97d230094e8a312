"""What a mutant of the pure game changes: random games are played in memory with it and without.

Each is played twice: through the step, in batches in any order of arrival, and fact by fact on time. What is compared
is all that anybody is told: effects, verdicts, warnings, places in rankings, entries of the ledger, and what the read
models say of everyone at several moments. What is merely kept, read for nothing or written as it was, isn't compared.

Imported before any module of the game, after `tools.mutation.mutated.install_all`.
"""

import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy, one_of, tuples

from bq_server.game import read_badges, read_challenges, read_points, read_streaks, read_tier
from bq_server.game.facts import Fact
from bq_server.game.in_memory import InMemoryGame
from bq_server.game.mechanics import checkpoints, limits, ordered_quest, runs
from bq_server.game.mechanics.leaderboards import BoardScore
from tests.game.definition_strategies import START
from tests.game.fact_strategies import dense_histories, histories, histories_with_voids
from tests.game.on_time_game import OnTimeGame
from tests.game.participant_strategies import games_about_participants, histories_with_attributes
from tests.game.recipient_strategies import games_with_recipients, naming, naming_positive
from tests.game.strategies import (
    Rules,
    chained_games,
    games,
    limited_games,
    ordered_games,
    revocable_games,
)
from tools.mutation import switch
from tools.mutation.switch import DIFFERED

_SHORT: Mapping[tuple[Any, str], int] = {
    (ordered_quest, "TAIL"): 3,
    (ordered_quest, "LATENESS"): -1,
    (runs, "KEPT_PERIODS"): 3,
    (checkpoints, "SPACING"): 2,
    (checkpoints, "KEPT"): 3,
    (checkpoints, "MAX_ALL_MEMBERS"): 6,
    (ordered_quest, "MAX_MEMBERS"): 4,
    (limits, "_MANY"): 2,
}
"""How little may be kept: what is otherwise met after hundreds of facts is then met after a few."""

DAY = 86_400_000_000
LOOKS = (START + 3 * DAY, START + 9 * DAY + 1, START + 40 * DAY)
"""When the read models are asked, in microseconds."""

LIMIT_SECONDS = 10
"""A trial that takes longer never ends, which differs from one that does."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A game and the facts that play it, in order of their `seq`."""

    rules: Rules
    facts: Sequence[Fact]
    seed: int
    """Of the order of arrival and the size of batches."""
    short: bool
    """Whether little of the past is kept, so that facts fall before that as often as not."""


@dataclass(slots=True)
class Trials:
    """Trials with what was told in each without a mutant."""

    trials: Sequence[Trial]
    told: dict[int, Any] = field(default_factory=dict)
    came_by: Counter[int] = field(default_factory=Counter)
    """By site, in how many trials its code runs."""
    reached: dict[int, list[int]] = field(default_factory=dict)
    """By site, the trials in which its mutant would have come to something else; the shortest trials first."""

    def survey(self) -> None:
        """Play all of them without a mutant."""
        for number in sorted(range(len(self.trials)), key=lambda each: len(self.trials[each].facts)):
            switch.switch()
            self.told[number] = told(self.trials[number])
            for site, value in enumerate(switch.switch()):
                self.came_by[site] += value > 0
                if value >= DIFFERED:
                    self.reached.setdefault(site, []).append(number)

    def differs(self, site: int, most: int) -> int | None:
        """The first trial in which a mutant changes what is told, of so many; none where it never does."""
        try:
            for number in self.reached.get(site, [])[:most]:
                switch.switch(site)
                try:
                    with _within(LIMIT_SECONDS):
                        found = told(self.trials[number])
                except Exception:  # noqa: BLE001 - whatever it is, it isn't what is told without the mutant
                    return number
                if found != self.told[number]:
                    return number
        finally:
            switch.switch()
        return None


def drawn(count: int, first: int = 1) -> list[Trial]:
    """So many random trials of each kind of game; the same for the same seed."""
    kinds: list[tuple[SearchStrategy[Rules], SearchStrategy[list[Fact]]]] = [
        (games(), histories(size=24)),
        (games(), histories_with_voids(size=24)),
        (revocable_games(), histories_with_voids()),
        (ordered_games(), dense_histories()),
        (chained_games(), dense_histories()),
        (limited_games(), histories(participants=1, size=24)),
        (games_with_recipients(), histories(3, 18, naming)),
        (games_with_recipients(revocable=True), histories_with_voids(3, 18, one_of(naming, naming_positive))),
        (games_about_participants(), histories_with_attributes(size=24)),
    ]
    found: list[Trial] = []
    for kind, strategies in enumerate(kinds):
        pairs = _examples(tuples(*strategies), count, first + kind)
        found += [Trial(rules, facts, number, number % 2 == 0) for number, (rules, facts) in enumerate(pairs)]
    return found


def told(trial: Trial) -> list[Any]:
    """All that anybody is told, in order."""
    with _memory(short=trial.short):
        return [*_told_by_step(trial), *_told_on_time(trial)]


def _told_by_step(trial: Trial) -> Iterator[Any]:
    chance = Random(trial.seed)  # noqa: S311 - no secret
    arrivals = [*trial.facts, *chance.sample(list(trial.facts), len(trial.facts) // 3)]
    if trial.seed % 4:
        chance.shuffle(arrivals)
    memory = InMemoryGame(trial.rules.compile())
    places: dict[tuple[str, ...], tuple[Any, ...]] = {}
    while arrivals:
        size = chance.choice([1, 1, 2, 5, len(arrivals)])
        result = memory.process(arrivals[:size])
        del arrivals[:size]
        yield result.effects, result.explanations, result.warnings
        for each in result.board_scores:
            places[each.participant_id, each.board, each.window, each.period] = _place(each)
        yield {ranking: place for ranking, place in places.items() if place[0] is not None}
    yield from _reads(memory, trial)
    yield memory.refold(memory.game.rules).effects
    yield from _reads(memory, trial)


def _place(told: BoardScore) -> tuple[Any, ...]:
    """Who has completed a challenge stands where that was first known: as with awards, late facts need not move it."""
    completed = told.board.startswith("challenge/") and told.score == 1
    return told.score, None if completed else told.reached_at, told.exact


def _told_on_time(trial: Trial) -> Iterator[Any]:
    memory = OnTimeGame(trial.rules.compile())
    # No fact is processed that a game had already found.
    facts = [fact for fact in trial.facts if fact.seq > trial.rules.applied_seq]
    ordered = sorted(facts, key=lambda fact: fact.moment) if trial.seed % 3 else facts
    if not memory.game.has_received:
        for fact in ordered:
            yield memory.take([fact])
    yield from _reads(memory, trial)


def _reads(memory: InMemoryGame, trial: Trial) -> Iterator[Any]:
    game = memory.game
    # Little of the past is kept to read of, too, which otherwise is months of it.
    newest = max((fact.occurred_at for fact in trial.facts), default=0)
    looks = [now for now in LOOKS if now >= newest or not trial.short]
    for participant_id in memory.participants:
        cells = memory.cells(participant_id)
        yield read_points(game, cells), read_badges(game, cells), read_tier(game, cells), memory.ledger(participant_id)
        for now in looks:
            yield read_challenges(game, cells, now), read_streaks(game, cells, now)


def _examples(strategy: SearchStrategy[Any], count: int, first: int) -> list[Any]:
    found: list[Any] = []

    @settings(
        max_examples=count, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @seed(first)
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found


@contextmanager
def _memory(*, short: bool) -> Iterator[None]:
    """How much of the past is kept."""
    wanted: Mapping[tuple[Any, str], int] = _SHORT if short else {}
    before = {(module, name): getattr(module, name) for module, name in wanted}
    try:
        for (module, name), value in wanted.items():
            setattr(module, name, value)
        yield
    finally:
        for (module, name), value in before.items():
            setattr(module, name, value)


@contextmanager
def _within(seconds: int) -> Iterator[None]:
    def end(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
