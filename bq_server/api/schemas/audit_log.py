"""Schemas of `/api/v1/admin/audit-log`: administrative actions."""

from typing import Any

from pydantic import BaseModel, Field

from bq_server.api.schemas.values import Moment, Query, QueryMoment


class AuditEntryAnswer(BaseModel):
    """What was done, by whom and when."""

    at: Moment = Field(description="By the server's clock.")
    environment: str | None = Field(description="Null if it concerns all environments.")
    action: str
    key_id: str | None = Field(description="The key that did it; null for a command on the data directory.")
    command: str | None = Field(description="The command, without its arguments; null for a key.")
    address: str | None = Field(description="Where the request came from.")
    request_id: str | None
    about: dict[str, Any] = Field(description="Further details, depending on the action.")


class AuditLogAnswer(BaseModel):
    """One page of the audit log, newest first."""

    entries: list[AuditEntryAnswer]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last page.")


class AuditLogQuery(Query):
    """Which entries."""

    action: str | None = Field(None, description="Only this action, such as game_applied.")
    key_id: str | None = Field(None, description="Only what this key did.")
    since: QueryMoment | None = Field(None, description="Only what was done at this time or later.")
    until: QueryMoment | None = Field(None, description="Only what was done before this time.")
    limit: int = Field(100, ge=1, le=1000)
    cursor: str | None = Field(None, pattern="^[0-9]{1,18}$", description="`next_cursor` of the previous page.")


AUDIT_LOG_EXAMPLE: dict[str, Any] = {
    "entries": [
        {
            "at": "2026-04-10T10:30:00Z",
            "environment": "live",
            "action": "points_awarded",
            "key_id": "key_01jr5n6d8v3q0w2e4r6t8y0u1i",
            "command": None,
            "address": "203.0.113.9",
            "request_id": "req_01jr5n6d8v3q0w2e4r6t8y0u1j",
            "about": {"amount": 50, "fact_id": "fact_def456"},
        }
    ],
    "next_cursor": None,
}
