"""Requests to endpoints: to the address that was checked, without redirects, within 10 seconds.

They are made on a thread of their own, so that no event waits for them on the event loop.
"""

import asyncio
import os
import ssl
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import uvloop
from msgspec import Struct, field

from bq_server import __version__
from bq_server.clock import Clock
from bq_server.concurrency.worker_thread import begin_thread
from bq_server.delivery.addresses import AddressRefused, resolve
from bq_server.delivery.shortages import Shortage, is_shortage
from bq_server.delivery.signing import headers, vendor_headers
from bq_server.moments import SECOND
from bq_server.store.webhooks import Endpoint

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS = 10.0
"""For everything, from resolving the name to the last byte read of the answer."""

ANSWER_BYTES = 256
"""How much of an answer is kept; no more is read."""

BEGIN_SECONDS = 5.0
"""For the sending thread to begin; one that finds no memory never does."""

AT_ONCE = 8
"""Requests to one endpoint at the same time."""

AT_ONCE_IN_ALL = 32
"""Requests at a time to endpoints that answer quickly. As many again go to all others, which hold up none of these."""

QUICK_MILLISECONDS = 1000
"""Within which each answer of an endpoint's last round came that counts as quick."""

ROUND_SECONDS = 1.0
"""Seconds after which no further request of a round is started."""

CA_FILE = "SSL_CERT_FILE"
"""The environment variable that names a file of certificates to trust instead of the public ones."""


class Answer(Struct, frozen=True):
    """The result of a request."""

    status: int | None
    """None if there was no answer."""
    milliseconds: int
    text: str
    """The first bytes of the answer, or why there was none."""
    retry_after: str | None = None

    @property
    def delivered(self) -> bool:
        """Whether the endpoint accepted it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_quick(self) -> bool:
        """Whether it came, and soon."""
        return self.delivered and self.milliseconds <= QUICK_MILLISECONDS

    @property
    def result(self) -> str:
        """As the metrics count it."""
        return "delivered" if self.delivered else "no_answer" if self.status is None else "refused"


class WebhookRequest(Struct, frozen=True):
    """One request to make."""

    delivery_id: str
    event_type: str
    body: Callable[[], bytes | None]
    """Writes it; None if there is nothing left to send."""


class Sent(Struct):
    """The results of a round."""

    answers: list[list[Answer]]
    """For each line, the results of those that were sent, which may not be all."""
    lacked: str = ""
    """What this process lacked to send the others, if it did: that is no failure of theirs."""
    cpu_seconds: float = 0.0
    """Processor time that the thread took for it."""


class _Target(Struct, frozen=True):
    """Where a round goes, once its name was resolved."""

    urls: list[str]
    """With each address of the name; the one that answered last comes first."""
    headers: Mapping[str, str]
    extensions: dict[str, Any]


class _Round(Struct):
    endpoint: Endpoint
    target: _Target | str
    """Or why nothing can be sent there."""
    lines: Sequence[Sequence[WebhookRequest]]
    answers: list[list[Answer]]
    until: float
    slots: asyncio.Semaphore
    failures: int = 0
    delivered: int = 0
    lacked: str = ""
    _next: int = field(default=0)

    def line(self) -> int | None:
        """The next line to send, if another one should be started."""
        if self._next == len(self.lines) or not self.goes_on:
            return None
        self._next += 1
        return self._next - 1

    @property
    def goes_on(self) -> bool:
        """Whether another request is worthwhile."""
        if self.lacked:
            return False
        return time.monotonic() < self.until and (self.delivered > 0 or self.failures < AT_ONCE)


class Sender:
    """Sends requests. A context manager; it opens no connection, and starts no thread, before the first one."""

    def __init__(self, clock: Clock, *, private: bool) -> None:
        """`private`: whether addresses outside the public Internet may be called."""
        self.private = private
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beginning = asyncio.Lock()
        self._ended: Future[None] = Future()
        """Done when the sending thread has ended."""
        self._client: httpx.AsyncClient | None = None
        self._quick: set[str] = set()
        """Endpoints that answer quickly, by id."""
        self._quick_slots = asyncio.Semaphore(AT_ONCE_IN_ALL)
        self._slots = asyncio.Semaphore(AT_ONCE_IN_ALL)

    async def __aenter__(self) -> "Sender":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._loop is None:
            return
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._close(), self._loop))
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.wrap_future(self._ended)
        self._loop.close()

    async def send(self, endpoint: Endpoint, lines: Sequence[Sequence[WebhookRequest]]) -> Sent:
        """Send lines of letters in parallel, those of a line one after the other until one fails.

        Whatever goes wrong is a result too. Not all need be sent: see `Sent`. Raises `RuntimeError`, `TimeoutError` or
        `MemoryError` if the thread can't begin; the next call tries again.
        """
        async with self._beginning:
            if self._loop is None:
                self._loop = await self._begin()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._send(endpoint, lines), self._loop))

    async def _begin(self) -> asyncio.AbstractEventLoop:
        loop, here = uvloop.new_event_loop(), asyncio.get_running_loop()
        begun = asyncio.Event()

        def work() -> None:
            loop.call_soon(here.call_soon_threadsafe, begun.set)
            try:
                loop.run_forever()
            except BaseException as error:  # noqa: BLE001 - nobody else hears of it
                # As with a lost callback, whoever waits for this loop would wait for ever.
                here.call_exception_handler({"message": "webhooks stopped", "exception": error, "handle": None})
            finally:
                self._ended.set_result(None)

        loop.set_exception_handler(here.get_exception_handler())
        try:
            begin_thread(work)
        except BaseException:
            loop.close()
            raise
        async with asyncio.timeout(BEGIN_SECONDS):
            await begun.wait()
        return loop

    async def _send(self, endpoint: Endpoint, lines: Sequence[Sequence[WebhookRequest]]) -> Sent:
        began = time.thread_time()
        if self._client is None:
            self._client = _client()
        target = await self._target(endpoint.url)
        slots = self._quick_slots if endpoint.endpoint_id in self._quick else self._slots
        job = _Round(endpoint, target, lines, [[] for _ in lines], time.monotonic() + ROUND_SECONDS, slots)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(AT_ONCE, len(lines))):
                workers.create_task(self._work(job))
        if all(each.is_quick for own in job.answers for each in own):
            self._quick.add(endpoint.endpoint_id)
        else:
            self._quick.discard(endpoint.endpoint_id)
        return Sent(job.answers, job.lacked, time.thread_time() - began)

    async def _work(self, job: _Round) -> None:
        while (number := job.line()) is not None:
            for letter in job.lines[number]:
                try:
                    async with job.slots:
                        answer = await self._try(job, letter)
                except Shortage as shortage:
                    job.lacked = str(shortage)
                    break
                job.answers[number].append(answer)
                job.delivered += answer.delivered
                job.failures += not answer.delivered
                if not answer.delivered or not job.goes_on:
                    break

    async def _target(self, url: str) -> _Target | str:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                addresses = await resolve(host, port, private=self.private)
        except TimeoutError:
            return f"the name {host} was not resolved within {TIMEOUT_SECONDS:.0f} seconds"
        except AddressRefused as error:
            return str(error)
        literals = [f"[{each}]" if each.version == 6 else str(each) for each in addresses]
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        own = {
            "host": parts.netloc.rpartition("@")[2],
            "content-type": "application/json",
            "user-agent": f"bq-server/{__version__}",
        }
        extensions = {"sni_hostname": host} if parts.scheme == "https" else {}
        return _Target([f"{parts.scheme}://{each}:{port}{path}" for each in literals], own, extensions)

    async def _try(self, job: _Round, letter: WebhookRequest) -> Answer:
        if isinstance(job.target, str):
            return Answer(None, 0, job.target)
        began = time.perf_counter()
        status, retry_after = None, None
        try:
            body = letter.body()
            if body is None:
                return Answer(None, 0, "its fact is gone")
            async with asyncio.timeout(TIMEOUT_SECONDS):
                status, text, retry_after = await self._post_somewhere(job.endpoint, job.target, letter, body)
        except TimeoutError:
            text = f"no answer within {TIMEOUT_SECONDS:.0f} seconds"
        except Exception as error:
            if is_shortage(error):
                raise Shortage(f"{type(error).__name__}: {error}") from error
            # A receiver can break in any way, and that is its failure.
            text = f"{type(error).__name__}: {error}"[:ANSWER_BYTES]
        # Only what can be stored: a lone surrogate would fail there, and what isn't kept is sent again.
        text = text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
        return Answer(status, round((time.perf_counter() - began) * 1000), text, retry_after)

    async def _post_somewhere(
        self, endpoint: Endpoint, target: _Target, letter: WebhookRequest, body: bytes
    ) -> tuple[int, str, str | None]:
        """Send it to the first address of the name that accepts a connection."""
        import httpx

        for url in list(target.urls[:-1]):
            with suppress(httpx.ConnectError):
                return await self._post(endpoint, target, url, letter, body)
            if target.urls[0] == url:
                target.urls.append(target.urls.pop(0))
        return await self._post(endpoint, target, target.urls[0], letter, body)

    async def _post(
        self, endpoint: Endpoint, target: _Target, url: str, letter: WebhookRequest, body: bytes
    ) -> tuple[int, str, str | None]:
        now = self._clock()
        # A connection is verified for one name; the pool knows it by its address, which other endpoints may share.
        once = {"connection": "close"} if url.startswith("https:") else {}
        own = {**once, **target.headers, **headers(endpoint.secrets(now), letter.delivery_id, now // SECOND, body)}
        if endpoint.vendor_headers:
            tenant = endpoint.scope.project
            own |= vendor_headers(endpoint.secret, letter.delivery_id, letter.event_type, tenant, body)
        assert self._client is not None  # noqa: S101
        async with self._client.stream(
            "POST", url, content=body, headers=own, extensions=target.extensions
        ) as response:
            read = b""
            async for piece in response.aiter_raw(ANSWER_BYTES):
                read += piece
                if len(read) >= ANSWER_BYTES:
                    break
            text = read[:ANSWER_BYTES].decode("utf-8", "replace")
            return response.status_code, text, response.headers.get("retry-after")

    async def _close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


def _client() -> "httpx.AsyncClient":
    import httpx  # takes long to load: a server without endpoints doesn't need it

    if find_spec("sniffio") is None:
        # httpcore looks for it with every request, which searches the disk each time.
        sys.modules["sniffio"] = None  # type: ignore[assignment]
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=AT_ONCE_IN_ALL)
    trusted = os.environ.get(CA_FILE)
    verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=trusted) if trusted else True
    return httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_SECONDS, limits=limits, verify=verify)
