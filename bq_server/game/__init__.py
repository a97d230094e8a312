"""The game: pure functions from facts to progress, awards and standings. No I/O, no clock, no randomness.

A caller compiles a game once, and for every batch of facts does its I/O between four phases: `match`, `cells_needed`
(load them), `prepare` (answer `Plan.requests`), `step` (write `StepResult`). `fold` and `InMemoryGame` run the same
phases over dictionaries.
"""

from bq_server.game.checking import Checked, Mistake, check
from bq_server.game.compiled import CompiledGame, compile_game, prefixes
from bq_server.game.definitions import Game, game_schema
from bq_server.game.effects import EFFECTS, Effect, Explanation, PointsChanged, RuleWarning
from bq_server.game.facts import (
    BADGE_AWARDED,
    CHALLENGE_ENROLLED,
    POINTS_AWARDED,
    POINTS_DEDUCTED,
    SYSTEM_PROPERTIES,
    TIMEZONE_CHANGED,
    Fact,
)
from bq_server.game.folding import Fold, InMemoryGame, fold
from bq_server.game.leaderboards import Standing
from bq_server.game.matching import Matches, cells_needed, match, touch
from bq_server.game.reading import (
    read_badges,
    read_challenge,
    read_challenges,
    read_points,
    read_streaks,
    read_tier,
    state_keys,
)
from bq_server.game.rules import LedgerEntry
from bq_server.game.stepping import HistoryRequest, Past, Plan, StepResult, prepare, step
from bq_server.game.verification import Difference, KeptAward, Verification, verify

__all__ = [
    "BADGE_AWARDED",
    "CHALLENGE_ENROLLED",
    "EFFECTS",
    "POINTS_AWARDED",
    "POINTS_DEDUCTED",
    "SYSTEM_PROPERTIES",
    "TIMEZONE_CHANGED",
    "Checked",
    "CompiledGame",
    "Difference",
    "Effect",
    "Explanation",
    "Fact",
    "Fold",
    "Game",
    "HistoryRequest",
    "InMemoryGame",
    "KeptAward",
    "LedgerEntry",
    "Matches",
    "Mistake",
    "Past",
    "Plan",
    "PointsChanged",
    "RuleWarning",
    "Standing",
    "StepResult",
    "Verification",
    "cells_needed",
    "check",
    "compile_game",
    "fold",
    "game_schema",
    "match",
    "prefixes",
    "prepare",
    "read_badges",
    "read_challenge",
    "read_challenges",
    "read_points",
    "read_streaks",
    "read_tier",
    "state_keys",
    "step",
    "touch",
    "verify",
]
