"""Schemas of `/api/v1/webhooks/endpoints`: webhook endpoints and deliveries."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from bq_server.api.schemas.values import Moment, Query, RequestBody
from bq_server.ingest.models import Timestamp
from bq_server.processing.event_types import EventType

Url = Annotated[str, Field(min_length=1, max_length=2000, description="http:// or https://.")]
EventTypes = Annotated[list[EventType], Field(min_length=1, max_length=100, description="The events that it is sent.")]
Description = Annotated[str, Field(max_length=500)]
TopRanks = Annotated[
    int,
    Field(ge=1, le=100, strict=True, description="How many of the first ranks `leaderboard.rank_changed` covers."),
]
VendorHeaders = Annotated[
    bool, Field(strict=True, description="Requests also carry the headers of the vendor's webhooks, `X-Bricqs-*`.")
]


class EndpointIn(RequestBody):
    """A new endpoint."""

    url: Url
    event_types: EventTypes
    description: Description = ""
    top_ranks: TopRanks = 10
    vendor_headers: VendorHeaders = False


class EndpointPatch(RequestBody):
    """What to change; omitted fields stay."""

    url: Url | None = None
    event_types: EventTypes | None = None
    description: Description | None = None
    top_ranks: TopRanks | None = None
    vendor_headers: VendorHeaders | None = None
    enabled: bool | None = Field(None, strict=True, description="Enables or disables it.")


class RotateIn(RequestBody):
    """How long the old secret stays valid."""

    overlap_seconds: int = Field(
        86_400, ge=0, le=30 * 86_400, strict=True, description="How long requests are also signed with the old secret."
    )


class ReplayIn(RequestBody):
    """The time range, by `created_at`."""

    since: Timestamp | None = None
    until: Timestamp | None = None


class EndpointAnswer(BaseModel):
    """An endpoint, without its secret."""

    endpoint_id: str
    url: str
    event_types: list[str]
    description: str
    top_ranks: int
    vendor_headers: bool
    enabled: bool
    off_because: str | None = Field(description="Why it is disabled; null while it is enabled.")
    failing_since: Moment | None = Field(description="Since when every try has failed.")
    waiting: int = Field(description="Deliveries that are waiting.")
    created_at: Moment


class NewEndpointAnswer(EndpointAnswer):
    """An endpoint with its secret, which is shown only now."""

    secret: str = Field(description="Base64 after `whsec_`, according to Standard Webhooks.")


class EndpointsAnswer(BaseModel):
    """The endpoints of the environment, oldest first."""

    endpoints: list[EndpointAnswer]


class RemovedAnswer(BaseModel):
    """It was removed with all its deliveries."""

    removed: Literal[True] = True


class TryAnswer(BaseModel):
    """One request to the endpoint."""

    tried_at: Moment
    status: int | None = Field(description="Null if there was no answer.")
    milliseconds: int
    answer: str = Field(description="The first bytes of the answer, or why there was none.")


class DeliveryAnswer(BaseModel):
    """A delivery and its tries."""

    delivery_id: str = Field(description="The `webhook-id` of every try.")
    event_type: str
    participant_id: str
    fact_id: str | None
    state: Literal["waiting", "delivered", "aside"] = Field(description="`aside`: every try failed.")
    created_at: Moment
    next_try_at: Moment | None = Field(description="For a waiting delivery that isn't due yet.")
    tries: list[TryAnswer]


class DeliveriesAnswer(BaseModel):
    """One page of deliveries, newest first."""

    deliveries: list[DeliveryAnswer]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last page.")


class DeliveriesQuery(Query):
    """Which deliveries."""

    state: Literal["waiting", "delivered", "aside"] | None = None
    limit: int = Field(50, ge=1, le=200)
    cursor: int | None = Field(None, ge=1, description="`next_cursor` of the previous page.")


class QueuedAnswer(BaseModel):
    """A delivery will be sent."""

    delivery_id: str


class ReplayAnswer(BaseModel):
    """Deliveries will be sent again, under the same ids."""

    deliveries: int
