"""The game: pure functions from facts to progress, awards and rankings. No I/O, no clock, no randomness.

A caller compiles a game once, and for every batch of facts does its I/O between four phases: `match`, `cells_needed`
(load them), `prepare` (answer `StepPlan.requests`), `step` (write `StepResult`). `fold` and `InMemoryGame` run the same
phases over dictionaries.
"""

from bq_server.game.challenge_states import read_challenge, read_challenges
from bq_server.game.compiled_game import CompiledGame, compile_game, prefixes
from bq_server.game.document.check import CheckedDocument, Mistake, check
from bq_server.game.document.definitions import Game, game_schema
from bq_server.game.effects import EFFECTS, Effect, Explanation, PointsChanged, RuleWarning
from bq_server.game.facts import (
    BADGE_AWARDED,
    CHALLENGE_ENROLLED,
    FREEZE_BOUGHT,
    FREEZE_USED,
    POINTS_AWARDED,
    POINTS_DEDUCTED,
    SYSTEM_PROPERTIES,
    TIMEZONE_CHANGED,
    Fact,
)
from bq_server.game.in_memory import Fold, InMemoryGame, fold
from bq_server.game.match import Matches, cells_needed, match, touch
from bq_server.game.mechanics.leaderboards import BoardScore
from bq_server.game.mechanics.rule import LedgerEntry
from bq_server.game.read_calendar import read_calendar
from bq_server.game.read_models import read_badges, read_points, read_tier, state_keys
from bq_server.game.step import HistoryRequest, Past, StepPlan, StepResult, prepare, step
from bq_server.game.streak_states import read_streaks
from bq_server.game.verification import Difference, KeptAward, Verification, verify

__all__ = [
    "BADGE_AWARDED",
    "CHALLENGE_ENROLLED",
    "EFFECTS",
    "FREEZE_BOUGHT",
    "FREEZE_USED",
    "POINTS_AWARDED",
    "POINTS_DEDUCTED",
    "SYSTEM_PROPERTIES",
    "TIMEZONE_CHANGED",
    "BoardScore",
    "CheckedDocument",
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
    "PointsChanged",
    "RuleWarning",
    "StepPlan",
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
    "read_calendar",
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
