"""Schemas of `/livez` and `/readyz`."""

from pydantic import BaseModel, Field


class LiveAnswer(BaseModel):
    """The process is alive."""

    status: str = "alive"


class ReadyAnswer(BaseModel):
    """Every part works."""

    status: str = "ready"
    checks: dict[str, str]
    warnings: dict[str, str] = Field(description="What works but needs attention, by part.")
    durability: str = Field(description="What an accepted event survives with the stream server's settings.")
    version: str
