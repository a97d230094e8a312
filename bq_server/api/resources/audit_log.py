"""`/api/v1/admin/audit-log`: administrative actions, who did them and when."""

from starlette.responses import Response

from bq_server.api.call import Call
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.schemas.audit_log import AUDIT_LOG_EXAMPLE, AuditEntryAnswer, AuditLogAnswer, AuditLogQuery
from bq_server.moments import format_timestamp
from bq_server.store import audit_log
from bq_server.store.audit_log import AuditEntry, AuditFilter
from bq_server.store.database import Database
from bq_server.store.facts import EARLIEST, LATEST

PATH = "/api/v1/admin/audit-log"
TAG = "Audit log"


class AuditLogResource:
    """Lists the audit log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @operation(
        "listAuditLog",
        "GET",
        PATH,
        TAG,
        {200: DocumentedAnswer(AuditLogAnswer, "One page.", AUDIT_LOG_EXAMPLE)},
        scope="admin",
        query=AuditLogQuery,
    )
    async def list(self, call: Call[AuditLogQuery]) -> Response:
        """Administrative actions in the environment, and those that concern all environments, newest first."""
        query = call.query
        wanted = AuditFilter(
            query.action,
            query.key_id,
            EARLIEST if query.since is None else query.since,
            LATEST if query.until is None else query.until,
            LATEST if query.cursor is None else int(query.cursor),
        )
        async with self._database.read() as connection:
            found = await audit_log.newest(connection, call.scope, wanted, query.limit + 1)
        page = found[: query.limit]
        answer = AuditLogAnswer(
            entries=[_answer(each) for each in page],
            next_cursor=str(page[-1].position) if len(found) > len(page) else None,
        )
        return json_response(answer)


def _answer(entry: AuditEntry) -> AuditEntryAnswer:
    return AuditEntryAnswer(
        at=format_timestamp(entry.at),
        environment=None if entry.scope is None else entry.scope.environment,
        action=entry.action,
        key_id=entry.actor.key_id,
        command=entry.actor.command,
        address=entry.actor.address,
        request_id=entry.actor.request_id,
        about=dict(entry.about),
    )
