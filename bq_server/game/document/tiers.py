"""Tiers as the document has them."""

from pydantic import Field

from bq_server.game.document.fields import Code, DocumentPart, OfCurrency


class Tier(DocumentPart):
    """A rank by lifetime points; a participant never falls from one."""

    code: Code
    name: str = Field(min_length=1, max_length=255)
    level: int = Field(ge=0, le=1_000_000)
    min_points: int = Field(ge=0, le=10**15)
    color: str | None = Field(default=None, max_length=50)
    benefits: list[str] = Field(default=[], max_length=100)
    currency: OfCurrency = None
