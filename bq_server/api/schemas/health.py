"""Schemas of `/livez` and `/readyz`: alive; and ready, or which part is not."""

from pydantic import BaseModel, Field


class LiveAnswer(BaseModel):
    """The process answers."""

    status: str = "alive"


class ReadyAnswer(BaseModel):
    """Every part works."""

    status: str = "ready"
    checks: dict[str, str]
    warnings: dict[str, str] = Field(description="What works, but needs somebody to look into it; by its part.")
    durability: str = Field(description="What of an accepted event survives, as the stream server is set up.")
    version: str
