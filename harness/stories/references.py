"""What a story names but none of its games has: otherwise a misspelt code would be expected to be absent, and pass."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from bq_server.game import Game
from bq_server.game.document.parser import Path as Location
from harness.stories.expectations import Expect, ExpectedEnvironment, ExpectedParticipant
from harness.stories.scenario import PlayedStory
from harness.stories.steps import Enroll, EnterContest, Freeze, Give, Take, Transfer

Dangling = tuple[Location, str]


def dangling(story: PlayedStory, games: Sequence[Game]) -> Iterator[Dangling]:
    """Each code that no game of the story has, and where it is. What must be refused may name anything."""
    for index, step in enumerate(story.steps):
        here: Location = ("steps", index)
        match step:
            case Enroll(enroll=enrolment, refused=None):
                yield from _unknown(games, "challenges", [((*here, "enroll", "challenge"), enrolment.challenge)])
            case Give(give=gift, refused=None) if gift.badge is not None:
                yield from _unknown(games, "badges", [((*here, "give", "badge"), gift.badge)])
            case (
                Give(give=about, refused=None) | Take(take=about, refused=None) | Transfer(transfer=about, refused=None)
            ) if about.currency is not None:
                verb = type(step).__name__.lower()
                yield from _unknown(games, "currencies", [((*here, verb, "currency"), about.currency)])
            case EnterContest(enter=entry, refused=None):
                yield from _unknown(games, "contests", [((*here, "enter", "contest"), entry.contest)])
            case Freeze(freeze=freeze, refused=None):
                yield from _unknown(games, "streaks", [((*here, "freeze", "streak"), freeze.streak)])
            case Expect(expect=ExpectedParticipant() as expected):
                yield from _of_participant((*here, "expect"), expected, games)
            case Expect(expect=ExpectedEnvironment() as expected):
                yield from _of_environment((*here, "expect"), expected, games)


def _of_participant(here: Location, expected: ExpectedParticipant, games: Sequence[Game]) -> Iterator[Dangling]:
    badges = [((*here, "badges", place), code) for place, code in enumerate(expected.badges or ())]
    badges += [((*here, "badge_counts", code), code) for code in expected.badge_counts]
    yield from _unknown(games, "badges", badges)
    if expected.tier is not None:
        yield from _unknown(games, "tiers", [((*here, "tier"), expected.tier)])
    for kind in ("challenges", "streaks", "leaderboards", "rewards", "currencies"):
        yield from _unknown(games, kind, [((*here, kind, code), code) for code in getattr(expected, kind)])
    for code, challenge in expected.challenges.items():
        known = {
            objective.code
            for game in games
            for each in game.challenges
            if each.code == code
            for objective in each.objectives
        }
        within = (*here, "challenges", code, "objectives")
        if known:
            yield from _missing(
                f"the challenge {code}", "objective", known, [((*within, o), o) for o in challenge.objectives]
            )


def _of_environment(here: Location, expected: ExpectedEnvironment, games: Sequence[Game]) -> Iterator[Dangling]:
    if expected.leaderboard is not None:
        yield from _unknown(games, "leaderboards", [((*here, "leaderboard", "code"), expected.leaderboard.code)])
    if expected.contest is not None:
        yield from _unknown(games, "contests", [((*here, "contest", "code"), expected.contest.code)])
    for place, told in enumerate(expected.webhooks or ()):
        within = (*here, "webhooks", place)
        kind = {"badge.awarded": "badges", "tier.changed": "tiers"}.get(told.type)
        if told.type.startswith("streak."):
            kind = "streaks"
        if kind is not None and told.code is not None:
            yield from _unknown(games, kind, [((*within, "code"), told.code)])
        for name in ("challenge", "leaderboard"):
            code = getattr(told, name)
            if code is not None:
                yield from _unknown(games, f"{name}s", [((*within, name), code)])


def _unknown(games: Sequence[Game], kind: str, named: Iterable[tuple[Location, str]]) -> Iterator[Dangling]:
    known = {each.code for game in games for each in getattr(game, kind)}
    yield from _missing("the game", "currency" if kind == "currencies" else kind.removesuffix("s"), known, named)


def _missing(owner: str, what: str, known: set[str], named: Iterable[tuple[Location, str]]) -> Iterator[Dangling]:
    for where, code in named:
        if code not in known:
            close = get_close_matches(code, known, 1)
            yield where, f"{owner} has no {what} {code}" + (f"; did you mean {close[0]}?" if close else "")
