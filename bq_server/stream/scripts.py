"""The Lua scripts: what must happen in the stream server in one step."""

from importlib.resources import files

import redis.asyncio as redis
from redis.commands.core import AsyncScript


def load(client: redis.Redis, name: str) -> AsyncScript:
    """The script `<name>.lua`, to be called with `keys` and `args`."""
    return client.register_script((files("bq_server.stream") / f"{name}.lua").read_text("utf-8"))
