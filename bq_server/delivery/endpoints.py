"""The endpoints of all environments, and changes to them."""

import asyncio
import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from bq_server.clock import Clocks
from bq_server.delivery.addresses import AddressRefused, resolve
from bq_server.delivery.schemas import TEST
from bq_server.delivery.signing import new_secret
from bq_server.events import Scope
from bq_server.ids import IdSource, RandomBytes
from bq_server.moments import SECOND
from bq_server.processing.announcements import forget_unheard
from bq_server.store import webhooks
from bq_server.store.audit_log import Act
from bq_server.store.database import Connection, Database, StoreUnavailable
from bq_server.store.webhooks import Endpoint

NAME = "webhook_endpoints"
"""Under which `Database.outbox` wakes who looks at them."""

MOST_ENDPOINTS = 20
"""Most endpoints of one environment, since each is sent everything separately."""

AT_ONCE = 2_000
"""Deliveries in one transaction: events wait for the store no longer than they would for a large batch."""

MOST_REPLAYED = 500_000
"""Deliveries that one request may have sent again. An endpoint for which too many wait is switched off."""

LOOKUP_SECONDS = 5.0
"""Longest wait for the name of a new address."""


class UnknownEndpoint(Exception):
    """The environment has no such endpoint."""


class TooManyEndpoints(Exception):
    """The environment has reached its limit of endpoints."""


class TooManyDeliveries(Exception):
    """More were delivered in the span than may be sent again at once."""


class UrlRefused(Exception):
    """An endpoint can't have this address. The message says why."""


class Endpoints:
    """Creates, changes and removes endpoints, and notifies the dispatcher."""

    def __init__(
        self, database: Database, ids: IdSource, clocks: Clocks, random_bytes: RandomBytes, *, private: bool
    ) -> None:
        """`private`: whether addresses outside the public Internet may be called."""
        self._database = database
        self._ids = ids
        self._clocks = clocks
        self._random_bytes = random_bytes
        self._private = private

    def changed(self) -> "asyncio.Future[None]":
        """Done when an endpoint was created, changed, enabled, disabled or removed. Take it before looking."""
        return self._database.outbox.next(NAME)

    def tell_changed(self) -> None:
        """Signal that one was."""
        self._database.outbox.beat([NAME])

    async def on(self) -> Mapping[str, Endpoint]:
        """The enabled endpoints of all environments, by id."""
        async with self._database.read() as connection:
            return {each.endpoint_id: each for each in await webhooks.every(connection) if each.off_because is None}

    async def waiting(self) -> int | None:
        """How many deliveries wait for enabled endpoints; None while that can't be read."""
        try:
            return sum(each.waiting for each in (await self.on()).values())
        except StoreUnavailable:
            return None

    async def every(self, scope: Scope) -> list[Endpoint]:
        """The endpoints of an environment, oldest first."""
        async with self._database.read() as connection:
            return [each for each in await webhooks.every(connection) if each.scope == scope]

    async def get(self, scope: Scope, endpoint_id: str) -> Endpoint:
        """The endpoint of that id. Raises `UnknownEndpoint`."""
        async with self._database.read() as connection:
            return await _one(connection, scope, endpoint_id)

    async def create(
        self,
        act: Act,
        scope: Scope,
        url: str,
        event_types: frozenset[str],
        description: str = "",
        *,
        top_ranks: int = 10,
        vendor_headers: bool = False,
    ) -> Endpoint:
        """Create an endpoint, which is sent what happens from now on. Raises `UrlRefused` and `TooManyEndpoints`."""
        await self._look_at(url)
        endpoint = Endpoint(
            self._ids.new("we"),
            scope,
            url,
            event_types,
            description,
            new_secret(self._random_bytes),
            self._clocks.real(),
            top_ranks,
            vendor_headers,
        )
        async with self._database.transaction() as connection:
            if sum(each.scope == scope for each in await webhooks.every(connection)) >= MOST_ENDPOINTS:
                raise TooManyEndpoints
            await connection.run(partial(forget_unheard, scope=scope))
            await webhooks.add(connection, endpoint)
            await act.keep(connection, endpoint_id=endpoint.endpoint_id)
            connection.wakes.add(NAME)
        return endpoint

    async def change(
        self, act: Act, scope: Scope, endpoint_id: str, changed: Mapping[str, Any], *, enabled: bool | None
    ) -> Endpoint:
        """Change the given fields. Raises `UnknownEndpoint` and `UrlRefused`."""
        if "url" in changed:
            await self._look_at(changed["url"])
        async with self._database.transaction() as connection:
            endpoint = await _one(connection, scope, endpoint_id)
            off = endpoint.off_because
            if enabled is not None:
                off = None if enabled else off or "it was disabled by hand"
            await connection.run(partial(forget_unheard, scope=scope))
            await webhooks.change(connection, dataclasses.replace(endpoint, **changed, off_because=off))
            if (off is None and endpoint.off_because is not None) or changed.get("url", endpoint.url) != endpoint.url:
                await webhooks.bring_forward(connection, endpoint_id)
            await act.keep(connection, endpoint_id=endpoint_id)
            found = await _one(connection, scope, endpoint_id)
            connection.wakes.add(NAME)
        return found

    async def rotate(self, act: Act, scope: Scope, endpoint_id: str, overlap_seconds: int) -> Endpoint:
        """Give it a new secret; both sign for that long. Raises `UnknownEndpoint`."""
        until = self._clocks.real() + overlap_seconds * SECOND
        async with self._database.transaction() as connection:
            await _one(connection, scope, endpoint_id)
            await webhooks.rotate(connection, endpoint_id, new_secret(self._random_bytes), until)
            await act.keep(connection, endpoint_id=endpoint_id)
            return await _one(connection, scope, endpoint_id)

    async def remove(self, act: Act, scope: Scope, endpoint_id: str) -> None:
        """Remove it with all its deliveries. Raises `UnknownEndpoint`.

        A failure midway leaves it disabled with some of them; asking again removes the rest.
        """
        left = first = True
        while left:
            async with self._database.transaction() as connection:
                await _one(connection, scope, endpoint_id)
                if first:
                    await act.keep(connection, endpoint_id=endpoint_id)
                await webhooks.switch_off(connection, endpoint_id, "it is being removed")
                left = await webhooks.remove_some(connection, endpoint_id, AT_ONCE) == AT_ONCE
                if not left:
                    await webhooks.remove(connection, endpoint_id)
                connection.wakes.add(NAME)
            first = False

    async def replay(self, act: Act, scope: Scope, endpoint_id: str, since: int | None, until: int | None) -> int:
        """Send everything delivered or set aside in a time range again, by `created_at`; returns how many.

        What is waiting is sent with it, so that order is kept. Raises `UnknownEndpoint`, and `TooManyDeliveries`, in
        which case nothing is sent.
        """
        positions: list[int] = []
        more = True
        while more:
            async with self._database.read() as connection:
                after = positions[-1] if positions else 0
                page = await webhooks.done(connection, endpoint_id, since, until, after, AT_ONCE)
            positions += page
            if len(positions) > MOST_REPLAYED:
                raise TooManyDeliveries
            more = len(page) == AT_ONCE
        count = 0
        for start in range(0, max(len(positions), 1), AT_ONCE):
            some = positions[start : start + AT_ONCE]
            async with self._database.transaction() as connection:
                await _one(connection, scope, endpoint_id)
                if start == 0:
                    await act.keep(connection, endpoint_id=endpoint_id, deliveries=len(positions))
                count += await webhooks.replay(connection, endpoint_id, some)
                if start + AT_ONCE >= len(positions):
                    await webhooks.bring_forward(connection, endpoint_id)
        return count

    async def test(self, scope: Scope, endpoint_id: str) -> str:
        """Queue a test delivery; returns its id. Raises `UnknownEndpoint`."""
        delivery_id, now = self._ids.new("msg"), self._clocks.now(scope)
        async with self._database.transaction() as connection:
            await _one(connection, scope, endpoint_id)
            await webhooks.enqueue(connection, endpoint_id, delivery_id, ("", TEST, None, now, None), now)
        return delivery_id

    async def _look_at(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise UrlRefused(str(error)) from None
        if parts.scheme not in ("http", "https") or not host:
            raise UrlRefused("must be http:// or https:// and name a host")
        if parts.username is not None or parts.fragment:
            raise UrlRefused("must not contain a user name, password or fragment")
        if not url.isascii() or not url.isprintable() or " " in url:
            raise UrlRefused("must be ASCII without spaces")
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                await resolve(host, port or 443, private=self._private)
        except TimeoutError:
            raise UrlRefused(f"the name {host} was not resolved within {LOOKUP_SECONDS:.0f} seconds") from None
        except AddressRefused as error:
            raise UrlRefused(str(error)) from None


async def _one(connection: Connection, scope: Scope, endpoint_id: str) -> Endpoint:
    """The endpoint of the environment. Raises `UnknownEndpoint`."""
    found = await webhooks.one(connection, endpoint_id)
    if found is None or found.scope != scope:
        raise UnknownEndpoint(endpoint_id)
    return found
