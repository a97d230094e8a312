"""Schemas of `/api/v1/events/catalog`: the event names an environment has seen."""

from typing import Any

from pydantic import BaseModel, Field

from bq_server.api.schemas.values import Moment, Query


class PropertySeen(BaseModel):
    """A property, and the share of its event's facts that carried it with each JSON type."""

    name: str
    share: float = Field(description="The share of the event's facts that have it, 0 to 1.")
    types: dict[str, float] = Field(description="For each JSON type seen, the share of the event's facts with it.")


class CatalogEntry(BaseModel):
    """An event name and its use."""

    event_name: str
    first_seen_at: Moment
    last_seen_at: Moment
    count: int
    properties: list[PropertySeen]
    similar_to: list[str] = Field(
        description="Names that look like a misspelling of each other, most frequent first; at most ten."
    )


class LeftOut(BaseModel):
    """What the catalogue doesn't list because it is full. The events became facts all the same."""

    events: int = Field(description="Events with names that are not listed.")
    properties: int = Field(description="Values of properties that are not listed.")


class CatalogAnswer(BaseModel):
    """One page of the event names this environment has seen, in alphabetical order."""

    events: list[CatalogEntry]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last page.")
    names: int = Field(description="How many names are listed in total.")
    left_out: LeftOut | None = Field(description="Null if nothing is.")


class CatalogQuery(Query):
    """Which page."""

    limit: int = Field(100, ge=1, le=1000, description="At most this many; fewer if names have many properties.")
    cursor: str | None = Field(None, max_length=1000, description="`next_cursor` of the previous page.")


CATALOG_ENTRY_EXAMPLE: dict[str, Any] = {
    "event_name": "purchase_complete",
    "first_seen_at": "2026-04-10T10:30:01Z",
    "last_seen_at": "2026-04-10T10:31:00Z",
    "count": 4,
    "properties": [{"name": "amount", "share": 1.0, "types": {"number": 0.75, "string": 0.25}}],
    "similar_to": ["purchase_completed"],
}
LIST_CATALOG_ANSWER: dict[str, Any] = {
    "events": [CATALOG_ENTRY_EXAMPLE],
    "next_cursor": None,
    "names": 1,
    "left_out": None,
}
