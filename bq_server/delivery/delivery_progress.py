"""Whether everything that is due has been sent."""

from bq_server.clock import Clocks
from bq_server.concurrency.notifier import Notifier
from bq_server.events import Scope
from bq_server.processing.broken_streaks import StreakWatch
from bq_server.store import webhooks
from bq_server.store.database import Database


class DeliveryProgress:
    """Knows what an environment still has to send."""

    def __init__(self, database: Database, clocks: Clocks, streaks: StreakWatch, progress: Notifier) -> None:
        """`progress` is signalled when something was sent."""
        self._database = database
        self._clocks = clocks
        self._streaks = streaks
        self.progress = progress

    async def is_quiet(self, scope: Scope) -> bool:
        """Whether nothing is due: whatever waits, waits for a later time of the environment's clock."""
        return not (await self._streaks.is_due(scope) or await self.due(scope))

    async def due(self, scope: Scope) -> int:
        """How many deliveries are due now, for enabled endpoints."""
        now = self._clocks.now(scope)
        async with self._database.read() as connection:
            return sum(
                [
                    await webhooks.count_due(connection, each.endpoint_id, now)
                    for each in await webhooks.every(connection)
                    if each.scope == scope and each.off_because is None
                ]
            )
