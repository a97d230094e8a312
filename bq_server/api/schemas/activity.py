"""Schemas of `/api/v1/admin/activity`: the last quarter of an hour."""

from pydantic import BaseModel, Field

from bq_server.api.schemas.values import Moment


class ActivityInterval(BaseModel):
    """What the server did in an interval."""

    at: Moment = Field(description="Its end.")
    accepted: int = Field(description="Events accepted, by both paths.")
    facts: int = Field(description="Facts made.")
    refused: dict[str, int] = Field(description="Requests refused, by the code of docs/errors.md.")
    accept_p99_ms: float | None = Field(description="Of `POST /ingest/events`; null where there was none.")
    lag_p50_ms: float | None = Field(description="From the stream to a fact; null where nothing was settled.")
    lag_p99_ms: float | None
    waiting: int | None = Field(description="Messages not settled at its end; null while the stream can't be asked.")


class ActivityAnswer(BaseModel):
    """What the whole server did, whichever environment the key is of."""

    interval_seconds: int = Field(description="Of each but the last, which ends now.")
    intervals: list[ActivityInterval] = Field(description="Oldest first; since the start, where that is shorter ago.")
    waiting: int | None = Field(description="Accepted messages that are not settled.")
    oldest_seconds: float | None = Field(description="Age of the one that waits longest.")
    dead_letters: int | None
    queue_limit: int
