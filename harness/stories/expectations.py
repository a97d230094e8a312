"""The expectations of a scenario: what must be true by now."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

Count = Annotated[int, Field(ge=0)]
Number = float | int

T = TypeVar("T")


def _something(value: dict[str, T]) -> dict[str, T]:
    if not value:
        raise ValueError("expects nothing")
    return value


ByCode = Annotated[dict[str, T], AfterValidator(_something), Field(json_schema_extra={"minProperties": 1})]
"""What is expected of things, by their codes. An empty one would look like an expectation but expect nothing."""


class ExpectedPart(BaseModel):
    """A part of the document: only known fields, of the right types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    MAY_BE_NULL: ClassVar[frozenset[str]] = frozenset()
    """Keys for which null means something. For any other, it would look like an expectation but expect nothing."""

    @field_validator("*", mode="before")
    @classmethod
    def _says_something(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.field_name not in cls.MAY_BE_NULL:
            raise ValueError("has no value: say what it is, or leave it out")
        return value


class ExpectedFigures(ExpectedPart):
    """What is expected of one thing. An empty one would look like an expectation but expect nothing."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("expects nothing")
        return self


class Points(ExpectedFigures):
    """Figures of the ledger."""

    balance: int | None = None
    total_earned: int | None = None
    total_spent: int | None = None
    total_expired: int | None = None
    total_received: int | None = None
    owed: int | None = None


class ExpectedGroup(ExpectedFigures):
    """The group with which the participant shares a challenge now."""

    name: str | None = None
    value: Number | None = Field(None, description="What its members have added up, beyond the target, too")
    members: Count | None = Field(None, description="Who have added something")
    contributed: Number | None = Field(None, description="What this participant has")


class ExpectedChallenge(ExpectedFigures):
    """Progress through a challenge."""

    status: Literal["not_enrolled", "upcoming", "active", "completed", "expired"] | None = None
    progress: Number | None = None
    objectives: ByCode[Number] = Field({}, description="The values of objectives, by code")
    milestones: list[Number] | None = Field(None, description="Exactly these are reached")
    completions: Count | None = Field(None, description="Rounds of a recurring challenge")
    current_streak: Count | None = Field(None, description="Rounds in a row, up to this one or the one before")
    longest_streak: Count | None = None
    group: ExpectedGroup | None = Field(None, description="Of a challenge that groups share")


class ExpectedStreak(ExpectedFigures):
    """A streak; one never recorded has length 0."""

    current: int | None = None
    longest: int | None = None
    at_risk: StrictBool | None = None
    times: int | None = Field(None, description="Events that count of the period that now is")
    freezes: int | None = Field(None, description="Freezes at hand")


class ExpectedPlace(ExpectedFigures):
    """A place on a leaderboard, in the current period of its first window; of a leaderboard of teams, the team's."""

    rank: int | None = None
    score: Number | None = None
    team: str | None = None


class ExpectedParticipant(ExpectedPart):
    """A participant's state. What is left out may be anything."""

    MAY_BE_NULL = frozenset({"tier"})

    participant: str = Field(min_length=1)
    exists: StrictBool | None = Field(None, description="false: no event ever named this participant")
    facts: Count | None = Field(None, description="Facts of the participant's own events")
    points: int | Points | None = Field(None, description="The balance, or figures of the ledger")
    currencies: ByCode[int | Points] = Field({}, description="The same of each currency, the default too")
    badges: list[str] | None = Field(None, description="Exactly these are held, in any order")
    badge_counts: ByCode[Count] = Field(
        {}, description="How often repeatable badges were earned, or the level of others"
    )
    rewards: ByCode[Count] = Field({}, description="How many claims of each stand; cancelled ones don't")
    tier: str | None = None
    challenges: ByCode[ExpectedChallenge] = {}
    streaks: ByCode[ExpectedStreak] = {}
    leaderboards: ByCode[ExpectedPlace | None] = Field({}, description="null: no place")
    timezone: str | None = None
    attributes: dict[str, Any] | None = Field(None, description="Exactly these, as they are now")

    @model_validator(mode="after")
    def _there(self) -> Self:
        if self.exists is False and len(self.model_fields_set) > 2:
            raise ValueError("nothing else can be expected of a participant who isn't there")
        return self


class ExpectedEntry(ExpectedPart):
    """A place in a ranking."""

    MAY_BE_NULL = frozenset({"change"})

    participant: str | None = None
    team: str | None = Field(None, description="On a leaderboard of teams, in place of a participant")
    rank: int | None = None
    score: Number | None = None
    members: Count | None = Field(None, description="Of a team, how many of its members have a score")
    change: Literal["up", "same", "down", "new"] | None = Field(
        None, description="Since the period before; null: there is none before"
    )

    @model_validator(mode="after")
    def _of_somebody(self) -> Self:
        if (self.participant is None) == (self.team is None):
            raise ValueError("name a participant or a team")
        return self


class Ranking(ExpectedPart):
    """A leaderboard, from the top."""

    code: str
    window: Literal["daily", "weekly", "monthly", "yearly", "all_time", "season"] | None = None
    period: str | None = Field(None, description="One by its name, such as 2026-W15; without it the one that is now")
    around: str | None = Field(None, description="Only this participant and the nearest above and below")
    entries: list[ExpectedEntry] = Field(description="Exactly these, in this order")


class ExpectedContest(ExpectedPart):
    """A contest: how far it is, and who leads or has won, from the top."""

    code: str
    status: Literal["scheduled", "active", "scoring", "completed"] | None = None
    entries: list[ExpectedEntry] | None = Field(None, description="Exactly these, in this order")


WebhookType = Literal[
    "points.changed",
    "badge.awarded",
    "award.revoked",
    "challenge.progressed",
    "challenge.completed",
    "milestone.reached",
    "streak.extended",
    "streak.broken",
    "streak.milestone",
    "tier.changed",
    "leaderboard.rank_changed",
    "fact.created",
    "message.dead",
]
WEBHOOK_TYPES: tuple[WebhookType, ...] = get_args(WebhookType)


class ExpectedWebhook(ExpectedPart):
    """A webhook, with any of the fields of its data and its effect."""

    MAY_BE_NULL = frozenset({"rank", "previous_rank"})

    type: WebhookType
    participant: str | None = None
    code: str | None = Field(None, description="Of a badge, a streak, or what has a milestone")
    challenge: str | None = None
    leaderboard: str | None = None
    amount: int | None = None
    balance: int | None = None
    currency: str | None = None
    current: int | None = None
    longest: int | None = None
    progress: Number | None = None
    at: Number | None = Field(None, description="The milestone")
    rank: int | None = None
    previous_rank: int | None = None
    score: Number | None = None
    event_name: str | None = None


class ExpectedEnvironment(ExpectedFigures):
    """The state of the whole environment. What is left out may be anything."""

    facts: Count | None = None
    duplicates: Count | None = None
    dead: Count | None = None
    leaderboard: Ranking | None = None
    contest: ExpectedContest | None = None
    warnings: list[str] | None = Field(None, description="Exactly these definitions have warnings")
    webhooks: list[ExpectedWebhook] | None = Field(
        None, description="These were sent by now, in any order and among others; an empty list: none was"
    )


class ExpectedRehearsal(ExpectedPart):
    """What an event would do if it were sent now. A dry run tells, and sends nothing."""

    event: dict[str, Any]
    verdicts: list[dict[str, Any]] = Field(
        min_length=1, description="What these definitions make of it, with any of the fields of a dry run"
    )


# Tags appear in the locations of errors, where they must not be taken for keys of the document.
def _of_whom(value: Any) -> str:
    if isinstance(value, ExpectedRehearsal) or (isinstance(value, Mapping) and "event" in value):
        return "of a dry run"
    named = isinstance(value, ExpectedParticipant) or (isinstance(value, Mapping) and "participant" in value)
    return "of a participant" if named else "of the environment"


class Expect(ExpectedPart):
    """What must be true by now."""

    expect: Annotated[
        Annotated[ExpectedParticipant, Tag("of a participant")]
        | Annotated[ExpectedEnvironment, Tag("of the environment")]
        | Annotated[ExpectedRehearsal, Tag("of a dry run")],
        Discriminator(_of_whom),
    ]
