"""Schemas of `/api/v1/referrals`: codes by which participants refer others (vendor notes, 1.11)."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bq_server.api.schemas.values import Moment


class ReferralCodeIn(BaseModel):
    """Who wants a code, and for which campaign."""

    model_config = ConfigDict(extra="forbid", strict=True, title="ReferralCodeRequest")

    participant_id: str = Field(min_length=1, max_length=255)
    campaign_id: str | None = Field(
        None, min_length=1, max_length=255, description="Yours: a participant has one code for each."
    )


class ReferralCodeAnswer(BaseModel):
    """A participant's code."""

    code: str
    referral_url: str = Field(description="The code as the query of a link: append it to the address of your page.")
    participant_id: str
    campaign_id: str | None
    created_at: Moment


class ReferralValidityAnswer(BaseModel):
    """Whether a code refers anybody."""

    valid: bool = Field(description="False for a code that was never made, is void, or is of somebody erased.")
    code: str
    referrer_id: str | None
    campaign_id: str | None


class ReferralIn(BaseModel):
    """Who came by which code."""

    model_config = ConfigDict(extra="forbid", strict=True, title="Referral")

    code: str = Field(min_length=1, max_length=50)
    referred_session_id: str = Field(
        min_length=1,
        max_length=255,
        description="The id of the participant who was referred. An anonymous one becomes a known one by an alias.",
    )


class ReferralAnswer(BaseModel):
    """By whom a participant is referred, from now on or before."""

    converted: bool = Field(description="False if somebody else referred the participant first: that one is named.")
    referrer_id: str
    conversion_id: str = Field(description="The fact that says so. To undo it, void this fact.")
    already_converted: bool = Field(description="Whether it was so before.")


class ReferralStatsAnswer(BaseModel):
    """How many a participant has referred, and by whom the participant is."""

    participant_id: str
    total_referrals: int
    conversions: int
    pending: int = Field(0, description="Always 0: a referral is recorded when it is converted.")
    referrer_id: str | None = Field(description="Who referred this participant.")


REFERRAL_CODE_BODY: dict[str, Any] = {
    "participant_id": "user_123",
    "campaign_id": "5b3f0c1e-8a57-4c1f-9d3a-2f1f6a0c9b11",
}
REFERRAL_BODY: dict[str, Any] = {"code": "7k2mqx9td4wz", "referred_session_id": "anonymous-5f3c"}
