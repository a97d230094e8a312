"""The permits that a leading worker gives to others: without one, what a worker was handed becomes no fact."""

from collections.abc import Collection
from functools import partial
from itertools import count

from bq_server.store import processes
from bq_server.store.beside import Permit
from bq_server.store.database import Apart


class Permits:
    """Those of one process, for as long as it leads, and again whenever it does.

    A permit is stored, and each transaction that relies on it looks: see `processes.is_permitted`. A worker that was
    held up may go on after hours, or find what was left in its list. The leader has processed those messages itself
    by then, and the environment they belong to may have been reset. So before it takes a part back, it revokes.
    """

    def __init__(self, apart: Apart, holder: str, lease: str) -> None:
        """`holder`: this process. `lease`: what it has while it leads."""
        self._apart = apart
        self._holder = holder
        self._lease = lease
        self._terms = count(1)
        self._granted: dict[str, Permit] = {}
        """By the worker's process."""
        self._suspended: dict[str, Permit] = {}
        """Those to be revoked before anything else is processed."""

    async def begin(self) -> None:
        """Revoke what leaders before this one have granted. Raises `StoreUnavailable`.

        This process may have led before, and others meanwhile: their revoking is what ends permits of its own.
        """
        await self._apart.run(partial(processes.revoke_permits, holder=self._holder, lease=self._lease))
        self._granted.clear()
        self._suspended.clear()

    async def of(self, process_id: str) -> Permit | None:
        """A worker's permit; None where this process has lost its lease. Raises `StoreUnavailable`."""
        if process_id not in self._granted:
            grant = partial(
                processes.grant_permit,
                process_id=process_id,
                holder=self._holder,
                term=next(self._terms),
                lease=self._lease,
            )
            permit = await self._apart.run(grant)
            if permit is None:
                return None
            self._granted[process_id] = permit
        return self._granted[process_id]

    def renew(self, process_id: str) -> None:
        """Grant a worker another one when it is needed: it has nothing to do, and says that its own isn't in force."""
        self._granted.pop(process_id, None)

    def suspend(self, process_id: str) -> None:
        """A worker may still do what it was handed: `revoke` its permit before that is done by another."""
        permit = self._granted.pop(process_id, None)
        if permit is not None:
            self._suspended[process_id] = permit

    async def revoke(self) -> Collection[str]:
        """Revoke what is suspended; returns whose it was. Raises `StoreUnavailable`; then it is to be called again."""
        revoked = list(self._suspended)
        for process_id in revoked:
            await self._apart.run(partial(processes.revoke_permit, permit=self._suspended[process_id]))
            del self._suspended[process_id]
        return revoked
