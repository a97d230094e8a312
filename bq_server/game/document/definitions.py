"""The game document: every definition of one environment, as its author writes it."""

from typing import Any, Self

from pydantic import Field, ValidationInfo, model_validator

from bq_server.game.document.badges import Badge
from bq_server.game.document.challenges import Challenge
from bq_server.game.document.contests import Contest
from bq_server.game.document.fields import DocumentPart
from bq_server.game.document.leaderboards import Leaderboard
from bq_server.game.document.points import Currency, Overdraft, PointsExpiry, PointsRule
from bq_server.game.document.rewards import ClaimableReward
from bq_server.game.document.streaks import Streak
from bq_server.game.document.tiers import Tier


class Game(DocumentPart):
    """All definitions of one environment."""

    points: list[PointsRule] = Field(default=[])
    badges: list[Badge] = Field(default=[])
    challenges: list[Challenge] = Field(default=[])
    streaks: list[Streak] = Field(default=[])
    tiers: list[Tier] = Field(default=[])
    leaderboards: list[Leaderboard] = Field(default=[])
    rewards: list[ClaimableReward] = Field(default=[])
    contests: list[Contest] = Field(default=[])
    currencies: list[Currency] = Field(
        default=[], max_length=20, description="The first is the default: what names none is of it"
    )
    overdraft: Overdraft = Field(
        default="owed", description="Whether a void may make a balance negative, or what is missing is owed"
    )

    points_expire: PointsExpiry | None = Field(default=None, description="Without it, points never expire")
    transfers: bool = Field(default=False, description="Whether participants may give each other points")

    @model_validator(mode="before")
    @classmethod
    def _unnamed_default(cls, document: Any) -> Any:
        from bq_server.game.document.currencies import without_default

        return without_default(document)

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        from bq_server.game.document.consistency import refuse_inconsistencies

        if not (info.context or {}).get("inconsistent"):
            refuse_inconsistencies(self)
        return self


def game_schema() -> dict[str, Any]:
    """The JSON Schema of the game document, for editors that complete it."""
    return Game.model_json_schema() | {
        "title": "bq-server game",
        "$schema": "https://json-schema.org/draft/2020-12/schema",
    }
