"""Schemas of `/api/v1/admin/activity`: the last quarter of an hour."""

from pydantic import BaseModel, Field

from bq_server.api.schemas.values import Moment


class ActivityInterval(BaseModel):
    """What the server did in an interval."""

    at: Moment = Field(description="Its end.")
    accepted: int = Field(description="Events accepted, through both paths.")
    facts: int = Field(description="Facts made.")
    refused: dict[str, int] = Field(description="Refused requests, by the codes of docs/errors.md.")
    accept_p99_ms: float | None = Field(description="Of `POST /ingest/events`; null if there was none.")
    lag_p50_ms: float | None = Field(description="From the stream to a fact; null if nothing was settled.")
    lag_p99_ms: float | None
    waiting: int | None = Field(description="Messages not settled at its end; null if the stream couldn't be queried.")


class ActivityAnswer(BaseModel):
    """What the whole server did, whatever environment the key belongs to."""

    interval_seconds: int = Field(description="Of each interval except the last, which ends now.")
    intervals: list[ActivityInterval] = Field(description="Oldest first; from the start, if that is more recent.")
    waiting: int | None = Field(description="Accepted messages that are not settled.")
    oldest_seconds: float | None = Field(description="Age of the one that has waited longest.")
    dead_letters: int | None
    queue_limit: int
