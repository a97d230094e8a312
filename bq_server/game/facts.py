"""Facts as the game sees them, and the system facts that change state without a client's event."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo, reset_tzpath

from msgspec import Struct, field
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bq_server.moments import FIRST_MOMENT, LAST_MOMENT

# The zones of the `tzdata` package and no others: a name that only this host knows (`localtime`, `posix/...`), or whose
# rules are older here, would make another game of the same facts elsewhere.
reset_tzpath(())

CUSTOM_PREFIX = "custom."
CHALLENGE_ENROLLED = "system.challenge_enrolled"
TIMEZONE_CHANGED = "system.timezone_changed"
ATTRIBUTES_CHANGED = "system.attributes_changed"
POINTS_AWARDED = "system.points_awarded"
POINTS_DEDUCTED = "system.points_deducted"
POINTS_EXPIRED = "system.points_expired"
POINTS_TRANSFERRED = "system.points_transferred"
REWARD_CLAIMED = "system.reward_claimed"
REWARD_FULFILLED = "system.reward_fulfilled"
BADGE_AWARDED = "system.badge_awarded"
VISIBILITY_CHANGED = "system.visibility_changed"
FREEZE_BOUGHT = "system.streak_freeze_bought"
FREEZE_USED = "system.streak_freeze_used"
FACT_VOIDED = "system.fact_voided"
PARTICIPANT_ALIASED = "system.participant_aliased"
CONTEST_ENTERED = "system.contest_entered"
CONTEST_PLACED = "system.contest_placed"
SHARED_CHALLENGE_REACHED = "system.shared_challenge_reached"
REFERRAL_CODE_MADE = "system.referral_code_made"
PARTICIPANT_REFERRED = "system.participant_referred"

MAX_MANUAL_POINTS = 1_000_000
"""Most points that one manual award may give (vendor notes, 1.4)."""

MAX_POINTS = 10**15
"""More than anybody has: sums of these still fit where they are stored."""


class Moment(NamedTuple):
    """A fact's position in the fold: by event time, with ties in the order of processing."""

    at: int
    """Event time, microseconds since the epoch, UTC."""
    seq: int


class Fact(Struct, frozen=True):
    """The immutable, deduplicated record of an event. Times are microseconds since the epoch, UTC."""

    fact_id: str
    seq: int
    """Order of processing, unique; decides between facts with the same event time."""
    fact_type: str
    """`custom.<event_name>`, or one of the `system.*` types above."""
    event_name: str
    participant_id: str
    properties: Mapping[str, Any]
    occurred_at: int
    received_at: int
    idempotency_key: str | None = None
    voids: str | None = None
    """The idempotency key of the fact that a client's event voids; see `bq_server.game.voids`."""
    sender: str | None = None
    """Whose fact it is, where it stands in a recipient's story; see `bq_server.game.recipients`."""
    aliases: Mapping[str, str] | None = None
    """Of the names in its properties those that stand for somebody else, and for whom; None where none does."""

    @property
    def author(self) -> str:
        """Whose fact it is."""
        return self.participant_id if self.sender is None else self.sender

    @property
    def moment(self) -> Moment:
        """The fact's position in its participant's story."""
        return Moment(self.occurred_at, self.seq)

    def meant(self, name: str) -> str:
        """Whom a name in its properties stands for."""
        return name if self.aliases is None else self.aliases.get(name, name)


class FactInContext(Fact, frozen=True):
    """A fact with what conditions on it read about its participant."""

    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Those that held at the fact."""
    tier: str | None = None
    """The code of the tier that the facts before have given; none for no tier."""
    badges: tuple[str, ...] = ()
    """The codes of the badges that they have given."""


@lru_cache(maxsize=1024)
def timezone(name: str) -> ZoneInfo:
    """The IANA zone of this name. Raises `ValueError`, with a sentence for the sender, if there is none."""
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise ValueError("must be an IANA time zone such as Europe/Paris") from None


def _known_timezone(name: str) -> str:
    timezone(name)
    return name


TimezoneName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_known_timezone)]


CurrencyCode = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,29}$", description="Lower-case letters, digits and _")]
"""The code of a currency. It is a part of causes, and so has no colon and no slash."""

InCurrency = Annotated[CurrencyCode | None, Field(description="Of the game's currencies; the default otherwise")]
"""Which currency points are of; None is the default."""


class _Properties(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ChallengeEnrolled(_Properties):
    """Properties of `system.challenge_enrolled`."""

    challenge_code: str = Field(min_length=1, max_length=50)


class TimezoneChanged(_Properties):
    """Properties of `system.timezone_changed`: the zone that applies from the fact's event time on."""

    timezone: TimezoneName


class AttributesChanged(_Properties):
    """Properties of `system.attributes_changed`."""

    attributes: dict[str, Any]
    """What is merged into those that held before, from the fact's event time on; null removes one (RFC 7396)."""


class PointsAwarded(_Properties):
    """Properties of `system.points_awarded`; `reason` and `metadata` are only stored with the fact."""

    amount: int = Field(gt=0, le=MAX_MANUAL_POINTS)
    reason: str | None = Field(default=None, max_length=500)
    metadata: dict[str, Any] = {}
    currency: InCurrency = None


class PointsDeducted(PointsAwarded):
    """Properties of `system.points_deducted`. Whether the balance suffices is checked before it becomes a fact."""


class PointsTransferred(PointsAwarded):
    """Properties of `system.points_transferred`: the fact's participant spends, the recipient is paid.

    Whether the balance suffices is checked before it becomes a fact.
    """

    recipient_id: str = Field(min_length=1, max_length=255)


class PointsExpired(_Properties):
    """Properties of `system.points_expired`: how many of the points given had expired at its event time, unspent."""

    amount: int = Field(gt=0, le=MAX_POINTS)
    currency: InCurrency = None


class RewardClaimed(_Properties):
    """Properties of `system.reward_claimed`: what was claimed, what it cost, and the code that came with it."""

    reward_code: str = Field(min_length=1, max_length=50)
    cost: int = Field(ge=0, le=MAX_POINTS)
    code_value: str | None = Field(default=None, max_length=255)
    currency: InCurrency = None


class RewardFulfilled(_Properties):
    """Properties of `system.reward_fulfilled`: which claim, by the id of its fact."""

    claim_id: str = Field(min_length=1, max_length=100)


class BadgeAwarded(_Properties):
    """Properties of `system.badge_awarded`."""

    badge_code: str = Field(min_length=1, max_length=50)
    metadata: dict[str, Any] = {}


class VisibilityChanged(_Properties):
    """Properties of `system.visibility_changed`; `reason` is kept with the fact only."""

    hidden: bool
    """Whether the participant has no place on any leaderboard from then on."""
    reason: str | None = Field(default=None, max_length=500)


class FreezeBought(_Properties):
    """Properties of `system.streak_freeze_bought`. Whether there is room and the balance suffices is asked before."""

    streak_code: str = Field(min_length=1, max_length=50)
    price: int = Field(ge=0, le=MAX_MANUAL_POINTS)
    """In points."""


class FreezeUsed(_Properties):
    """Properties of `system.streak_freeze_used`."""

    streak_code: str = Field(min_length=1, max_length=50)
    starts_at: int = Field(ge=FIRST_MOMENT, le=LAST_MOMENT)
    """When the period that is to be covered begins, in microseconds since the epoch, UTC."""


class FactVoided(_Properties):
    """Properties of `system.fact_voided`: which fact counts as if it had never been."""

    fact_id: str = Field(min_length=1, max_length=100)
    reason: str | None = Field(default=None, max_length=500)


class ParticipantAliased(_Properties):
    """Properties of `system.participant_aliased`: from now on, and for the past, the name is that of its participant.

    It changes no state by itself: it says in whose story facts stand.
    """

    alias: str = Field(min_length=1, max_length=255)
    reason: str | None = Field(default=None, max_length=500)


class ContestEntered(_Properties):
    """Properties of `system.contest_entered`."""

    contest_code: str = Field(min_length=1, max_length=50)


class ContestPlaced(_Properties):
    """Properties of `system.contest_placed`: a place in the frozen result of a contest, and the prize."""

    contest_code: str = Field(min_length=1, max_length=50)
    rank: int = Field(ge=1)
    score: float
    reached_at: int | None
    """When the score was reached, in microseconds since the epoch, UTC; None for one that nothing changed."""
    points: int = Field(default=0, ge=0, le=MAX_MANUAL_POINTS)
    badge: str | None = Field(default=None, min_length=1, max_length=50)


class SharedChallengeReached(_Properties):
    """Properties of `system.shared_challenge_reached`: how far the group had come, to which the participant added."""

    challenge_code: str = Field(min_length=1, max_length=50)
    group: str = Field(min_length=1, max_length=255)
    at: float = Field(gt=0, le=1)
    """The fraction of the challenge: that of a milestone, or 1 for all of it."""


class ReferralCodeMade(_Properties):
    """Properties of `system.referral_code_made`: a code by which its participant refers others."""

    code: str = Field(min_length=1, max_length=50)
    campaign_id: str | None = Field(default=None, max_length=255)


class ParticipantReferred(_Properties):
    """Properties of `system.participant_referred`: who referred its participant, by which code."""

    referrer_id: str = Field(min_length=1, max_length=255)
    code: str = Field(min_length=1, max_length=50)
    campaign_id: str | None = Field(default=None, max_length=255)


SystemProperties = (
    ChallengeEnrolled
    | TimezoneChanged
    | AttributesChanged
    | PointsAwarded
    | PointsDeducted
    | PointsExpired
    | PointsTransferred
    | RewardClaimed
    | RewardFulfilled
    | BadgeAwarded
    | VisibilityChanged
    | FreezeBought
    | FreezeUsed
    | FactVoided
    | ParticipantAliased
    | ContestEntered
    | ContestPlaced
    | SharedChallengeReached
    | ReferralCodeMade
    | ParticipantReferred
)

SYSTEM_PROPERTIES: dict[str, type[SystemProperties]] = {
    CHALLENGE_ENROLLED: ChallengeEnrolled,
    TIMEZONE_CHANGED: TimezoneChanged,
    ATTRIBUTES_CHANGED: AttributesChanged,
    POINTS_AWARDED: PointsAwarded,
    POINTS_DEDUCTED: PointsDeducted,
    POINTS_EXPIRED: PointsExpired,
    POINTS_TRANSFERRED: PointsTransferred,
    REWARD_CLAIMED: RewardClaimed,
    REWARD_FULFILLED: RewardFulfilled,
    BADGE_AWARDED: BadgeAwarded,
    VISIBILITY_CHANGED: VisibilityChanged,
    FREEZE_BOUGHT: FreezeBought,
    FREEZE_USED: FreezeUsed,
    FACT_VOIDED: FactVoided,
    PARTICIPANT_ALIASED: ParticipantAliased,
    CONTEST_ENTERED: ContestEntered,
    CONTEST_PLACED: ContestPlaced,
    SHARED_CHALLENGE_REACHED: SharedChallengeReached,
    REFERRAL_CODE_MADE: ReferralCodeMade,
    PARTICIPANT_REFERRED: ParticipantReferred,
}
"""The model of each system fact's properties: what the API validates against and the game reads."""


def type_named(name: str) -> str:
    """The type of the facts that a definition means by a name in `on`: those of clients' events, or referrals."""
    return name if name == PARTICIPANT_REFERRED else CUSTOM_PREFIX + name


def can_be_named(fact_type: str) -> bool:
    """Whether a definition can name facts of a type in `on`."""
    return fact_type == PARTICIPANT_REFERRED or fact_type.startswith(CUSTOM_PREFIX)


def system_properties(fact: Fact) -> SystemProperties | None:
    """The properties of a system fact, or none if they don't have its type's shape or it isn't one."""
    model = SYSTEM_PROPERTIES.get(fact.fact_type)
    if model is None:
        return None
    try:
        return model.model_validate(dict(fact.properties))
    except ValidationError:
        return None
