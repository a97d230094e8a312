"""The keyring of the server, and the first key."""

import secrets
from functools import partial

from bq_server.api.addresses import Proxies
from bq_server.api.admission import Admission
from bq_server.api.auth import Keyring
from bq_server.api.rate_limits import RateLimits
from bq_server.server.lifecycle import background
from bq_server.server.rooms import Site, StoreRoom
from bq_server.settings import networks_of, rate_limit_of
from bq_server.store import keys as api_keys
from bq_server.store.audit_log import Act, Actor, Follower
from bq_server.store.database import Connection
from bq_server.store.keys import described


async def open_door(site: Site, store: StoreRoom) -> Admission:
    """What admits requests; if there is no key at all, one is created for the banner.

    The last step that can fail: a key that is shown only once must not be created by a start that fails.
    """
    settings, clock = site.settings, site.clock
    follower = Follower(store.database)
    await follower.look()
    if settings.role != "worker":
        async with store.database.transaction() as connection:
            site.running.new_key = await _first_key(connection, site)
    dev_key = settings.dev_key and api_keys.of_setting(settings.dev_key.get_secret_value(), clock())
    keyring = Keyring(store.database, clock, [dev_key] if dev_key else [])
    await keyring.refresh()
    if store.peers is not None:
        store.peers.learn_with(keyring.refresh)
    await site.stack.enter_async_context(background(keyring.keep_fresh))
    await site.sole.start(partial(background, follower.run))
    limits = RateLimits(
        clock,
        rate_limit_of(settings.rate_limit_per_key),
        rate_limit_of(settings.rate_limit_per_address),
        rate_limit_of(settings.wrong_keys_per_address),
        per_participant=rate_limit_of(settings.rate_limit_per_participant),
    )
    return Admission(keyring, limits, Proxies(networks_of(settings.trusted_proxies), settings.forwarded_header))


async def _first_key(connection: Connection, site: Site) -> str | None:
    """Create and return a key with every scope, if there is none at all and the settings name none."""
    now = site.clock()
    actor = Actor(command="serve")
    for old in await api_keys.revoke_kept_dev_keys(connection, now):
        await Act("key_revoked", old.scope, actor, site.clock).keep(connection, **described(old))
    kept = [key for key in await api_keys.every(connection) if key.name != api_keys.DEV_KEY]
    if kept or site.settings.dev_key is not None:
        return None
    key = api_keys.generate("test", secrets.token_bytes)
    added = await api_keys.add(connection, key, api_keys.EVERY_SCOPE, "first key", site.ids, now)
    await Act("key_created", added.scope, actor, site.clock).keep(connection, **described(added))
    return key
