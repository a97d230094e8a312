"""Schemas of `/api/v1/gamify/participants/{id}/alias`: a name that stands for a participant."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class AliasIn(BaseModel):
    """Which name is the participant's from now on, and for the past."""

    model_config = ConfigDict(extra="forbid", strict=True, title="Alias", populate_by_name=True)

    alias: str = Field(
        alias="from",
        min_length=1,
        max_length=255,
        description="The other name, such as the anonymous id of before a login. It may be new here.",
    )
    reason: str | None = Field(None, max_length=500, description="Stored with the fact.")


class AliasAnswer(BaseModel):
    """The name stands for the participant."""

    model_config = ConfigDict(serialize_by_alias=True, populate_by_name=True)

    participant_id: str = Field(
        description="In whose story its facts are: the participant of the path, or whom that one stands for."
    )
    alias: str = Field(alias="from")
    fact_id: str = Field(description="The fact that says so. To undo it, void this fact.")
    already_aliased: bool


ALIAS_BODY: dict[str, Any] = {"from": "anonymous-5f3c"}
