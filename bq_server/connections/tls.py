"""TLS before anything else: the certificate, which may change while the server runs, and the handshake."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

import structlog

log = structlog.get_logger("bq_server.connections")

LOOK_SECONDS = 2.0
"""How often the files are looked at: a new certificate is shown within this."""

SHUTDOWN_SECONDS = 5.0
"""How long a connection that was closed may take to say so."""

MOST_HELD = 64 << 10
"""Bytes that may come with the end of the handshake, before anybody reads."""


class CertificateUnusable(Exception):
    """There is no certificate with its key in these files. The message says what is wrong."""


class Certificate:
    """What the server shows: a certificate with its chain, and the key to it, both PEM.

    Raises `CertificateUnusable` when it is made.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain = chain
        self._key = key
        self._stamp = self._stamped()
        self.context = self._load()
        """For connections that begin now."""

    async def follow(self) -> None:
        """Read the files again whenever they change, until cancelled. What can't be used is logged, and not used."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Read the files again if they have changed."""
        if (stamp := self._stamped()) == self._stamp:
            return
        self._stamp = stamp
        try:
            self.context = self._load()
        except CertificateUnusable as error:
            log.error("tls.not_reloaded", reason=str(error), advice="the certificate before stays in use")
        else:
            log.info("tls.reloaded", certificate=str(self._chain))

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["h2", "http/1.1"])
        try:
            context.load_cert_chain(self._chain, self._key, password="")  # so that nobody is asked for one
        except (OSError, ssl.SSLError) as error:
            for path in (self._chain, self._key):
                try:
                    path.read_bytes()
                except OSError as unread:
                    raise CertificateUnusable(f"{path} can't be read: {unread.strerror}") from error
            raise CertificateUnusable(
                f"{self._chain} and {self._key} are not a certificate and its key, PEM and without a password: {error}"
            ) from error
        return context

    def _stamped(self) -> list[tuple[int, int, int] | None]:
        found: list[tuple[int, int, int] | None] = []
        for path in (self._chain, self._key):
            try:
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size, status.st_ino))
            except OSError:
                found.append(None)
        return found


class SecureHost(Protocol):
    """Whoever let the connection in."""

    def admit(self, transport: asyncio.Transport, guest: "Handshake") -> bool:
        """Whether it may stay; if not, the host sees to it."""

    def secured(self, before: asyncio.Transport, transport: asyncio.Transport, data: bytes, *, ended: bool) -> None:
        """TLS is agreed: from now on the connection is spoken to by another transport, by which this has come."""

    def release(self, transport: asyncio.Transport) -> None:
        """The connection is gone."""


class Handshake(asyncio.Protocol):
    """A connection until TLS is agreed. It counts as open from its first moment."""

    def __init__(self, host: SecureHost, context: ssl.SSLContext, seconds: float) -> None:
        """`seconds`: in which it has to be agreed."""
        self._host = host
        self._context = context
        self._seconds = seconds
        self._held = bytearray()
        self._ended = False
        self._tcp: asyncio.Transport
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the transport of TCP; the one of TLS says nothing."""
        self._tcp = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        if self._host.admit(self._tcp, self):
            self._task = asyncio.get_running_loop().create_task(self._agree())

    def data_received(self, data: bytes) -> None:
        """Called by the transport of TLS, for what came with the end of the handshake."""
        self._held += data
        if len(self._held) > MOST_HELD:
            self._tcp.abort()

    def eof_received(self) -> bool:
        """Called by the transport of TLS."""
        self._ended = True
        return True

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the signature is given
        """Called by whichever transport is lost before somebody else has the connection."""
        self._host.release(self._tcp)

    def sweep(self) -> None:
        """Nothing: the handshake has its own time."""

    def stop(self) -> None:
        """Called when the server stops."""
        self._tcp.abort()

    async def _agree(self) -> None:
        loop = asyncio.get_running_loop()
        start: Callable[..., Any] = loop.start_tls
        try:
            tls = await start(
                self._tcp,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._seconds,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
        except (OSError, EOFError) as error:  # also what ssl raises, and the time that is over
            log.debug("tls.not_agreed", reason=str(error))
            self._tcp.abort()
            self._host.release(self._tcp)
            return
        if tls is None or tls.is_closing():
            self._host.release(self._tcp)
            return
        self._host.secured(self._tcp, tls, bytes(self._held), ended=self._ended)
