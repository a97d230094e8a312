"""The door: the keys that let requests in, and the first of them."""

import secrets

from bq_server.api.auth import Keyring
from bq_server.server.composition import Site, StoreRoom
from bq_server.server.lifecycle import background
from bq_server.store import keys as api_keys
from bq_server.store.database import Connection


async def open_door(site: Site, store: StoreRoom) -> Keyring:
    """The keys that let requests in; where there is none at all, one is made for the banner.

    Last of what can fail: a key that is shown only once must not be made by a start that comes to nothing.
    """
    settings, clock = site.settings, site.clock
    async with store.database.transaction() as connection:
        site.running.new_key = await _first_key(connection, site)
    dev_key = settings.dev_key and api_keys.of_setting(settings.dev_key.get_secret_value(), clock())
    keyring = Keyring(store.database, clock, [dev_key] if dev_key else [])
    await keyring.refresh()
    await site.stack.enter_async_context(background(keyring.keep_fresh()))
    return keyring


async def _first_key(connection: Connection, site: Site) -> str | None:
    """Make a key with every scope, and return it, where there is none at all and the settings name none."""
    now = site.clock()
    await api_keys.revoke_kept_dev_keys(connection, now)
    kept = [key for key in await api_keys.every(connection) if key.name != api_keys.DEV_KEY]
    if kept or site.settings.dev_key is not None:
        return None
    key = api_keys.generate("test", secrets.token_bytes)
    await api_keys.add(connection, key, api_keys.EVERY_SCOPE, "first key", site.ids, now)
    return key
