"""Values and queries that the schemas of several resources share."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bq_server.ingest.models import Timestamp

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""A moment in an answer: ISO 8601, in UTC."""


def _unspaced(value: Any) -> Any:
    return re.sub(r"(T.*) (\d\d:?\d\d)$", r"\1+\2", value) if isinstance(value, str) else value


QueryMoment = Annotated[Timestamp, BeforeValidator(_unspaced)]
"""A moment in a query, where an unescaped `+` arrives as a space."""


class Query(BaseModel):
    """The query of a route. An unknown parameter is refused: a misspelt filter must not select everything."""

    model_config = ConfigDict(extra="forbid")


class RequestBody(BaseModel):
    """A body. An unknown member is refused, as in a query."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(Query):
    """Which page of a list."""

    page: int = Field(1, ge=1, le=1_000_000)
    page_size: int = Field(20, ge=1, le=100)

    @property
    def offset(self) -> int:
        """How many items come before the page."""
        return (self.page - 1) * self.page_size
