"""`/api/v1/admin/keys`: the API keys of the environment that the caller's key acts on."""

import secrets
from contextlib import suppress
from datetime import timedelta
from typing import cast

from starlette.responses import Response

from bq_server.api.auth import Keyring
from bq_server.api.call import Call
from bq_server.api.operations import DocumentedAnswer, json_response, operation
from bq_server.api.request_parser import RequestParser
from bq_server.api.schemas.keys import (
    KEY_BODY,
    KEY_ROTATE_BODY,
    KeyAnswer,
    KeyIn,
    KeyRevokedAnswer,
    KeyRotateIn,
    KeysAnswer,
    NewKeyAnswer,
)
from bq_server.clock import Clock
from bq_server.ids import IdSource
from bq_server.moments import format_timestamp
from bq_server.refusals import Code, Refusal
from bq_server.store import keys
from bq_server.store.database import Connection, Database, StoreUnavailable
from bq_server.store.keys import ApiKey, Environment

PATH = "/api/v1/admin/keys"
ONE = f"{PATH}/{{key_id}}"
TAG = "Keys"


class KeysResource:
    """Creates, lists, rotates and revokes keys, only in the caller's own environment."""

    def __init__(
        self, keyring: Keyring, database: Database, parser: RequestParser, ids: IdSource, clock: Clock
    ) -> None:
        self._keyring = keyring
        self._database = database
        self._parser = parser
        self._ids = ids
        self._clock = clock

    @operation(
        "listKeys",
        "GET",
        PATH,
        TAG,
        {200: DocumentedAnswer(KeysAnswer, "All keys, including those that have ended.")},
        scope="admin",
    )
    async def list_keys(self, call: Call) -> Response:
        """The keys of the environment, without their secrets."""
        async with self._database.read() as connection:
            found = await _of(connection, call)
        now = self._clock()
        return json_response(KeysAnswer(keys=[_answer(key, now) for key in reversed(found)]))

    @operation(
        "createKey",
        "POST",
        PATH,
        TAG,
        {201: DocumentedAnswer(NewKeyAnswer, "Created; it is valid from now on.")},
        scope="admin",
        body=KeyIn,
        body_example=KEY_BODY,
    )
    async def create_key(self, call: Call) -> Response:
        """Create a key."""
        sent, _ = await self._parser.model(call, KeyIn)
        now, key = self._clock(), _generated(call)
        expires_at = None if sent.expires_in is None else now + _microseconds(sent.expires_in)
        async with self._database.transaction() as connection:
            scopes = tuple(dict.fromkeys(sent.scopes))
            made = await keys.add(connection, key, scopes, sent.name, self._ids, now, call.scope.project, expires_at)
            await call.act("key_created").keep(connection, **keys.described(made))
        return await self._shown(key, made)

    @operation(
        "rotateKey",
        "POST",
        f"{ONE}/rotate",
        TAG,
        {201: DocumentedAnswer(NewKeyAnswer, "The new key. The old one stays valid for the overlap.")},
        scope="admin",
        body=KeyRotateIn,
        body_example=KEY_ROTATE_BODY,
        codes=(Code.NOT_FOUND,),
    )
    async def rotate_key(self, call: Call) -> Response:
        """Create a key with the scopes of another, and let the other expire."""
        sent, _ = await self._parser.model(call, KeyRotateIn)
        now, key = self._clock(), _generated(call)
        async with self._database.transaction() as connection:
            old = await self._one(connection, call)
            lasts = None if sent.expires_in is None else _microseconds(sent.expires_in)
            made = await keys.rotate(connection, old, key, self._ids, now, _microseconds(sent.overlap), lasts)
            if made is None:
                raise Refusal(Code.NOT_FOUND, f"The key {old.key_id} is no longer valid: create a new one.")
            await call.act("key_rotated").keep(connection, **keys.described(made), in_place_of=old.key_id)
        return await self._shown(key, made)

    @operation(
        "revokeKey",
        "DELETE",
        ONE,
        TAG,
        {200: DocumentedAnswer(KeyRevokedAnswer, "Revoked; it is refused from now on.")},
        scope="admin",
        codes=(Code.NOT_FOUND,),
    )
    async def revoke_key(self, call: Call) -> Response:
        """Revoke a key; it may be the caller's own."""
        async with self._database.transaction() as connection:
            key = await self._one(connection, call)
            if key.revoked_at is None:
                await keys.revoke(connection, key.key_id, self._clock())
                await call.act("key_revoked").keep(connection, **keys.described(key))
        await self._keyring.refresh()
        return json_response(KeyRevokedAnswer(key_id=key.key_id))

    async def _shown(self, key: str, made: ApiKey) -> Response:
        with suppress(StoreUnavailable):  # the key exists, and is shown only now; it is looked up when it is used
            await self._keyring.refresh()
        ends = None if made.expires_at is None else format_timestamp(made.expires_at)
        return json_response(NewKeyAnswer(key=key, key_id=made.key_id, expires_at=ends), 201)

    async def _one(self, connection: Connection, call: Call) -> ApiKey:
        """The key that the path names. Raises `Refusal`."""
        key_id = call.parameter("key_id")
        found = next((key for key in await _of(connection, call) if key.key_id == key_id), None)
        if found is None:
            raise call.missing("key", key_id)
        return found


async def _of(connection: Connection, call: Call) -> list[ApiKey]:
    """The keys of the environment, oldest first."""
    return [key for key in await keys.every(connection) if key.scope == call.scope]


def _generated(call: Call) -> str:
    return keys.generate(_environment(call.scope.environment), secrets.token_bytes)


def _environment(name: str) -> Environment:
    return cast("Environment", name)


def _microseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


def _answer(key: ApiKey, now: int) -> KeyAnswer:
    def told(moment: int | None) -> str | None:
        return None if moment is None else format_timestamp(moment)

    return KeyAnswer(
        key_id=key.key_id,
        environment=_environment(key.scope.environment),
        scopes=sorted(key.scopes),
        name=key.name,
        created_at=format_timestamp(key.created_at),
        last_used_at=told(key.last_used_at),
        expires_at=told(key.expires_at),
        revoked_at=told(key.revoked_at),
        valid=key.is_valid(now),
    )
