"""The steps of a story: what happens, and what is expected then."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    StrictBool,
    Tag,
    WithJsonSchema,
    model_validator,
)

from bq_server.moments import is_duration, parse_timestamp
from harness.stories.expectations import Count, Expect, ExpectedPart

Json = dict[str, Any]


def _moment(text: str) -> str:
    parse_timestamp(text)
    return text


def _duration(text: str) -> str:
    if not is_duration(text):
        raise ValueError("must be an ISO 8601 duration of weeks, days, hours, minutes or seconds, such as P1D or PT90S")
    return text


Moment = Annotated[str, AfterValidator(_moment), Field(json_schema_extra={"format": "date-time"})]
Duration = Annotated[str, AfterValidator(_duration), Field(json_schema_extra={"format": "duration"})]
# Finding what is wrong with an event is up to the server: a story may send it on purpose.
Event = Annotated[
    Json,
    WithJsonSchema(
        {
            "type": "object",
            "description": "An event, sent exactly as written here, valid or not",
            "properties": {
                "event_name": {"type": "string"},
                "participant_id": {"type": "string"},
                "properties": {"type": "object"},
                "timestamp": {"type": "string", "format": "date-time"},
                "idempotency_key": {"type": "string"},
                "voids": {"type": "string"},
            },
        }
    ),
]
GameSource = Annotated[
    str | Json,
    WithJsonSchema(
        {"type": ["string", "object"], "description": "A path relative to this file, or the game document itself"}
    ),
]


class ExpectedRefusal(ExpectedPart):
    """How a request must be refused; what is left out may be anything."""

    status: int | None = None
    code: str | None = None
    field: str | None = Field(None, description="One of the invalid fields")


class Rejection(ExpectedPart):
    """An event of a batch that must be rejected."""

    index: Count = Field(description="Its index in the batch, from 0")
    field: str | None = None
    code: str | None = None


class _Refusable(ExpectedPart):
    refused: ExpectedRefusal | None = Field(None, description="The request is refused, in this way")


class Send(_Refusable):
    """An event to send, through the path of the mode."""

    send: Event
    times: int = Field(1, ge=1, le=1000, description="How many times the same request is sent")
    caused: list[Json] | None = Field(
        None, description="Effects that it had, with any of their fields; an empty list: it had none"
    )

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.refused is not None and self.caused is not None:
            raise ValueError("a refused event causes nothing: give either refused or caused")
        return self


class BatchOfEvents(_Refusable):
    """Events to send in one request; singly in the modes that need it."""

    batch: list[Event]
    rejected: list[Rejection] = Field([], description="Exactly these events are rejected")

    @model_validator(mode="after")
    def _in_the_batch(self) -> Self:
        if not self.batch and self.refused is None:
            raise ValueError("the batch has no event: only one that is refused may be empty")
        if self.refused is not None and self.rejected:
            raise ValueError("give refused, for the whole batch, or rejected, for events of it")
        for each in self.rejected:
            if each.index >= len(self.batch):
                raise ValueError(f"the batch has no event {each.index}: the last one is {len(self.batch) - 1}")
        return self


class Advance(ExpectedPart):
    """Move the clock ahead."""

    advance: Duration


class SetClock(ExpectedPart):
    """Set the stopped clock to this moment."""

    clock: Moment


class Enrolment(ExpectedPart):
    """Who enrols in which challenge."""

    participant: str
    challenge: str


class Enroll(_Refusable):
    """Enrol in a challenge."""

    enroll: Enrolment


class Profile(ExpectedPart):
    """Who, and their profile; null removes a value."""

    MAY_BE_NULL = frozenset({"display_name", "avatar_url", "attributes"})

    participant: str
    timezone: str | None = None
    display_name: str | None = None
    avatar_url: str | None = None
    attributes: Json | None = None


class PutProfile(_Refusable):
    """Create a participant, or edit one."""

    profile: Profile


class Gift(ExpectedPart):
    """A badge, or points, by hand."""

    participant: str
    badge: str | None = None
    points: int | None = None
    currency: str | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.badge is None) == (self.points is None):
            raise ValueError("give either points or a badge")
        if self.badge is not None and self.currency is not None:
            raise ValueError("a badge has no currency")
        return self


class Give(_Refusable):
    """Award points or a badge."""

    give: Gift


class Deduction(ExpectedPart):
    """Points, by hand."""

    participant: str
    points: int
    currency: str | None = None
    reason: str | None = None


class Take(_Refusable):
    """Deduct points, if there are enough."""

    take: Deduction


class PointsTransfer(ExpectedPart):
    """Points of one participant for another."""

    participant: str
    to: str
    points: int
    currency: str | None = None
    reason: str | None = None


class Transfer(_Refusable):
    """Give another participant points, if there are enough."""

    transfer: PointsTransfer


class Visibility(ExpectedPart):
    """Who is kept off leaderboards, or shown again."""

    participant: str
    hidden: StrictBool = True


class Hide(_Refusable):
    """Keep a participant off all leaderboards, or show one again."""

    hide: Visibility


class StreakFreeze(ExpectedPart):
    """A freeze of a streak."""

    participant: str
    streak: str
    action: Literal["buy", "use"]
    date: str | None = Field(None, description="With use: the period to cover")


class Freeze(_Refusable):
    """Buy a freeze with points, or cover a missed period with one."""

    freeze: StreakFreeze


class ClaimedReward(ExpectedPart):
    """A reward, and who claims it."""

    participant: str
    reward: str


class ClaimReward(_Refusable):
    """Claim a reward."""

    claim: ClaimedReward


class ContestEntry(ExpectedPart):
    """A contest, and who enters it."""

    participant: str
    contest: str


class EnterContest(_Refusable):
    """Enter a contest."""

    enter: ContestEntry


class VoidedFact(ExpectedPart):
    """A fact of a participant: that of an event, by its key, or the newest of a type."""

    participant: str
    key: str | None = None
    fact_type: str | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.key is None) == (self.fact_type is None):
            raise ValueError("give either a key or a fact_type")
        return self


class Void(_Refusable):
    """Have a fact count as if it had never been."""

    void: VoidedFact


class AliasName(ExpectedPart):
    """A participant, and another name whose facts are that one's."""

    participant: str
    source: str = Field(alias="from")


class Alias(_Refusable):
    """Let a name stand for a participant."""

    alias: AliasName


class ReferredBy(ExpectedPart):
    """Who came by the code of whom."""

    participant: str
    by: str


class Refer(_Refusable):
    """Record who referred a participant, by a code of that one's."""

    refer: ReferredBy


class PutGame(_Refusable):
    """Apply another game."""

    game: GameSource
    backfill: StrictBool = Field(False, description="Also count all existing facts")


Step = (
    Send
    | BatchOfEvents
    | Advance
    | SetClock
    | Enroll
    | PutProfile
    | Give
    | Take
    | Transfer
    | Hide
    | Freeze
    | ClaimReward
    | EnterContest
    | Void
    | Alias
    | Refer
    | PutGame
    | Expect
)

STEPS: Mapping[str, type[Step]] = {
    "send": Send,
    "batch": BatchOfEvents,
    "advance": Advance,
    "clock": SetClock,
    "enroll": Enroll,
    "profile": PutProfile,
    "give": Give,
    "take": Take,
    "transfer": Transfer,
    "hide": Hide,
    "freeze": Freeze,
    "claim": ClaimReward,
    "enter": EnterContest,
    "void": Void,
    "alias": Alias,
    "refer": Refer,
    "game": PutGame,
    "expect": Expect,
}
"""The kinds of steps, by their keys."""


def _kind(value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return None
    return next((f"{key} step" for key in STEPS if key in value), None)


TaggedStep = Annotated[
    Annotated[Send, Tag("send step")]
    | Annotated[BatchOfEvents, Tag("batch step")]
    | Annotated[Advance, Tag("advance step")]
    | Annotated[SetClock, Tag("clock step")]
    | Annotated[Enroll, Tag("enroll step")]
    | Annotated[PutProfile, Tag("profile step")]
    | Annotated[Give, Tag("give step")]
    | Annotated[Take, Tag("take step")]
    | Annotated[Transfer, Tag("transfer step")]
    | Annotated[Hide, Tag("hide step")]
    | Annotated[Freeze, Tag("freeze step")]
    | Annotated[ClaimReward, Tag("claim step")]
    | Annotated[EnterContest, Tag("enter step")]
    | Annotated[Void, Tag("void step")]
    | Annotated[Alias, Tag("alias step")]
    | Annotated[Refer, Tag("refer step")]
    | Annotated[PutGame, Tag("game step")]
    | Annotated[Expect, Tag("expect step")],
    Discriminator(_kind),
]
