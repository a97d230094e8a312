"""One request to an endpoint: to the address that was looked at, without redirects, within 10 seconds."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bq_server import __version__
from bq_server.clock import Clock
from bq_server.delivery.addresses import AddressRefused, resolve
from bq_server.delivery.signing import headers
from bq_server.moments import SECOND
from bq_server.store.webhooks import Endpoint

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS = 10.0
"""For all of it, from the name to the last byte that is read of the answer."""

ANSWER_BYTES = 256
"""How much of an answer is kept; no more is read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request."""

    status: int | None
    """None where no answer came."""
    milliseconds: int
    text: str
    """The first bytes of the answer, or why there was none."""
    retry_after: str | None = None

    @property
    def delivered(self) -> bool:
        """Whether the endpoint has taken it."""
        return self.status is not None and 200 <= self.status < 300


class Sender:
    """Sends requests. A context manager: it opens no connection before the first."""

    def __init__(self, clock: Clock, *, private: bool) -> None:
        """`private`: whether addresses may be called that are not of the public Internet."""
        self.private = private
        self._clock = clock
        self._stack = AsyncExitStack()
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> "Sender":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def send(self, endpoint: Endpoint, message_id: str, body: bytes) -> Answer:
        """Send it once. Whatever goes wrong is an answer, too."""
        began = time.perf_counter()
        status, retry_after = None, None
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                status, text, retry_after = await self._post(endpoint, message_id, body)
        except TimeoutError:
            text = f"no answer within {TIMEOUT_SECONDS:.0f} seconds"
        except AddressRefused as error:
            text = str(error)
        except Exception as error:  # noqa: BLE001 - a receiver can break in any way, and that is its failure
            text = f"{type(error).__name__}: {error}"
        return Answer(status, round((time.perf_counter() - began) * 1000), text, retry_after)

    async def _post(self, endpoint: Endpoint, message_id: str, body: bytes) -> tuple[int, str, str | None]:
        now = self._clock()
        parts = urlsplit(endpoint.url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = await resolve(host, port, private=self.private)
        literal = f"[{address}]" if address.version == 6 else str(address)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        own = {
            "host": parts.netloc.rpartition("@")[2],
            "content-type": "application/json",
            "user-agent": f"bq-server/{__version__}",
            **headers(endpoint.secrets(now), message_id, now // SECOND, body),
        }
        sni = {"sni_hostname": host} if parts.scheme == "https" else {}
        async with self._opened().stream(
            "POST", f"{parts.scheme}://{literal}:{port}{path}", content=body, headers=own, extensions=sni
        ) as response:
            read = b""
            async for piece in response.aiter_raw(ANSWER_BYTES):
                read += piece
                if len(read) >= ANSWER_BYTES:
                    break
            text = read[:ANSWER_BYTES].decode("utf-8", "replace").replace("\0", "\ufffd")
            return response.status_code, text, response.headers.get("retry-after")

    def _opened(self) -> "httpx.AsyncClient":
        if self._client is None:
            import httpx  # takes long to load: a server without endpoints does without

            limits = httpx.Limits(max_connections=None, max_keepalive_connections=32)
            self._client = httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_SECONDS, limits=limits)
            self._stack.push_async_callback(self._client.aclose)
        return self._client
