"""Permits: what a worker that doesn't lead may do, and until when."""

from dataclasses import dataclass
from functools import partial

import pytest

from bq_server.processing.permits import Permits
from bq_server.store import processes
from bq_server.store.beside import Permit
from bq_server.store.database import Apart, Database, StoreUnavailable

pytestmark = pytest.mark.anyio
LEASE = "worker"


@dataclass
class Lease:
    """Who leads."""

    apart: Apart

    async def take(self, holder: str) -> None:
        taking = partial(processes.take_lease, name=LEASE, holder=holder, seconds=60.0)
        assert await self.apart.run(taking) is not None

    async def give_up(self, holder: str) -> None:
        await self.apart.run(partial(processes.give_up_lease, name=LEASE, holder=holder))

    async def permits(self, permit: Permit | None) -> bool:
        assert permit is not None
        return await self.apart.run(partial(processes.is_permitted, permit=permit, lease=LEASE))


@pytest.fixture
async def lease(database: Database) -> Lease:
    return Lease(await database.connect_apart())


async def test_a_permit_holds_until_it_is_revoked(lease: Lease) -> None:
    permits = Permits(lease.apart, "one", LEASE)
    await lease.take("one")
    await permits.begin()
    permit, other = await permits.of("helper"), await permits.of("other helper")
    assert await permits.of("helper") is permit, "once, not for each batch"
    assert await lease.permits(permit)
    permits.suspend("helper")
    assert await permits.revoke() == ["helper"]
    assert not await lease.permits(permit)
    assert await lease.permits(other)
    again = await permits.of("helper")
    assert await lease.permits(again)
    assert not await lease.permits(permit), "nor ever again"


async def test_a_permit_takes_the_place_of_the_one_before(lease: Lease) -> None:
    permits = Permits(lease.apart, "one", LEASE)
    await lease.take("one")
    before = await permits.of("helper")
    permits.renew("helper")
    after = await permits.of("helper")
    assert (await lease.permits(before), await lease.permits(after)) == (False, True)


async def test_only_who_leads_can_grant_and_a_permit_ends_with_its_lease(lease: Lease) -> None:
    permits, others = Permits(lease.apart, "one", LEASE), Permits(lease.apart, "other", LEASE)
    assert await permits.of("helper") is None
    await lease.take("one")
    assert await others.of("helper") is None
    permit = await permits.of("helper")
    await lease.give_up("one")
    assert not await lease.permits(permit)
    permits.renew("helper")
    assert await permits.of("helper") is None


async def test_a_lease_that_comes_back_brings_no_permit_of_its_first_time_back(lease: Lease) -> None:
    one, other = Permits(lease.apart, "one", LEASE), Permits(lease.apart, "other", LEASE)
    await lease.take("one")
    first = await one.of("helper")
    await lease.give_up("one")
    await lease.take("other")
    await one.begin()  # too late: another leads
    granted = await other.of("second helper")
    await other.begin()
    assert not await lease.permits(granted), "it begins before it grants"
    await lease.give_up("other")
    await lease.take("one")
    assert not await lease.permits(first)


async def test_who_lost_the_lease_revokes_nothing_of_its_successor(lease: Lease) -> None:
    one, other = Permits(lease.apart, "one", LEASE), Permits(lease.apart, "other", LEASE)
    await lease.take("one")
    await one.of("helper")
    await lease.give_up("one")
    await lease.take("other")
    await other.begin()
    granted = await other.of("helper")
    one.suspend("helper")
    assert await one.revoke() == ["helper"]
    await one.begin()
    assert await lease.permits(granted)


async def test_what_could_not_be_revoked_is_revoked_the_next_time(
    lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    permits = Permits(lease.apart, "one", LEASE)
    await lease.take("one")
    permit = await permits.of("helper")
    permits.suspend("helper")

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("it is away")

    with monkeypatch.context() as patch:
        patch.setattr(processes, "revoke_permit", away)
        with pytest.raises(StoreUnavailable):
            await permits.revoke()
    assert await lease.permits(permit)
    assert await permits.revoke() == ["helper"]
    assert not await lease.permits(permit)


async def test_a_permit_makes_no_process_a_leader(lease: Lease) -> None:
    for process_id in ("one", "helper"):
        report = partial(processes.report, process_id=process_id, place=process_id, role="worker", knows=0)
        await lease.apart.run(report)
    await lease.take("one")
    await Permits(lease.apart, "one", LEASE).of("helper")
    await lease.give_up("one")
    assert not any(each.leads for each in await lease.apart.run(processes.every))


async def test_who_leads_again_revokes_its_own_although_the_lease_has_just_expired(lease: Lease) -> None:
    permits = Permits(lease.apart, "one", LEASE)
    await lease.take("one")
    before = await permits.of("helper")
    await lease.give_up("one")
    await permits.begin()
    await lease.take("one")
    assert not await lease.permits(before)
