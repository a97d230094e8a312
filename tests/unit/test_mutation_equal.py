"""Mutants that change nothing: every entry names one, and random games refute an entry that is wrong."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tools.mutation.equal import reasons
from tools.mutation.operators import MutationSite, every_site

REPOSITORY = Path(__file__).parents[2]
SITES = [
    MutationSite("bq_server.game.step", 3, 4, 0, "< -> <=", "Course.push", "one < other"),
    MutationSite("bq_server.game.step", 3, 9, 0, "and -> or", "Course.push", "one and other"),
    MutationSite("bq_server.game.step", 9, 4, 0, "< -> <=", "", "one < other"),
]


def listed(text: str) -> list[tuple[int, str]]:
    found = reasons(SITES, text)
    return [(place, found[site]) for place, site in enumerate(SITES) if site in found]


def test_every_entry_names_a_mutant_and_gives_a_reason() -> None:
    assert all(why.strip() for why in reasons(every_site()).values())


def test_an_entry_names_one_expression_or_a_whole_function() -> None:
    assert listed('[step."Course.push"]\n"one < other  < -> <=" = "why"') == [(0, "why")]
    assert listed('[step."Course.push"]\n"*" = "why"') == [(0, "why"), (1, "why")]
    assert listed('[step.""]\n"one < other  < -> <=" = "why"') == [(2, "why")]


@pytest.mark.parametrize(
    "text",
    [
        '[step."Course.push"]\n"one < another  < -> <=" = "why"',
        '[step."Course.push"]\n"one < other  <= -> <" = "why"',
        '[step."Course.pull"]\n"*" = "why"',
        '[match."Course.push"]\n"*" = "why"',
    ],
)
def test_an_entry_that_names_none_is_an_error(text: str) -> None:
    with pytest.raises(LookupError, match="no mutant is"):
        listed(text)


PLAYED = """
import sys
from tools.mutation.mutated import install_all
install_all()
from tools.mutation.operators import every_site
from tools.mutation.trials import Trials, drawn
trials = Trials(drawn(12))
trials.survey()
for name in sys.argv[1:]:
    (number,) = [n for n, s in enumerate(every_site()) if f"{s.module}|{s.function}|{s.code}|{s.mistake}" == name]
    print(trials.differs(number, 100) is not None)
"""


def differ(names: Sequence[str]) -> list[str]:
    command = [sys.executable, "-c", PLAYED, *names]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.slow
def test_random_games_tell_a_mutant_that_changes_something_from_one_that_does_not() -> None:
    mechanics = "bq_server.game.mechanics"
    assert differ([
        f"{mechanics}.quests|Progress.count|value >= quest.targets[part]|>= -> >",
        "bq_server.game.on_time.quests|QuestTrack._numerator|value > 0|> -> >=",
        f"{mechanics}.points|Payout._climb|len(history) > known|> -> >=",
    ]) == ["True", "False", "False"]  # fmt: skip
