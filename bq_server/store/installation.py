"""The identity of one installation: a database and the stream whose messages become its facts."""

from bq_server.ids import IdSource
from bq_server.store import losses
from bq_server.store.database import Connection
from bq_server.store.queries import load

_queries = load("installation")


async def identify(connection: Connection, ids: IdSource, now: int) -> str:
    """This database's installation id (`inst_...`), created if there is none yet."""
    found: str | None = await _queries.installation_id(connection)
    if found is None:
        found = ids.new("inst")
        await _queries.insert_installation(connection, installation_id=found, created_at=now)
    return found


async def renew(connection: Connection, ids: IdSource, now: int) -> str:
    """Give this database a new installation id: it is a copy, and the original's stream is not its own."""
    await _queries.delete_installation(connection)
    await losses.forget_known(connection)
    return await identify(connection, ids, now)
