"""TLS: the certificate, which may change while the server runs, and the handshake."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any, Protocol, cast

import structlog

log = structlog.get_logger("bq_server.connections")

LOOK_SECONDS = 2.0
"""How often the files are checked: a new certificate is used within this time."""

SHUTDOWN_SECONDS = 5.0
"""How long a closed connection may take to confirm it."""


class CertificateUnusable(Exception):
    """There is no certificate with its key in these files. The message says what is wrong."""


class Certificate:
    """What the server presents: a certificate with its chain, and its key, both PEM.

    Raises `CertificateUnusable` when it is made.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain = chain
        self._key = key
        self._stamp = self._stamped()
        self.context = self._load()
        """For new connections."""

    async def follow(self) -> None:
        """Reload the files whenever they change, until cancelled. What can't be used is logged and ignored."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Reload the files if they have changed."""
        if (stamp := self._stamped()) == self._stamp:
            return
        self._stamp = stamp
        try:
            self.context = self._load()
        except CertificateUnusable as error:
            log.error("tls.not_reloaded", reason=str(error), advice="the previous certificate stays in use")
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
    """What admits connections."""

    def admit(self, transport: "Handshake", guest: "Handshake") -> bool:
        """Whether it may stay; if not, the host closes it."""

    def secured(self, before: "Handshake", transport: asyncio.Transport) -> None:
        """The handshake is done: from now on the connection is this transport, from which nothing has been read."""

    def release(self, transport: "Handshake") -> None:
        """The connection is closed."""


class Handshake(asyncio.Protocol):
    """A connection during its handshake. To its host it is the connection's transport, on which nothing is sent."""

    def __init__(self, host: SecureHost, accepted: socket.socket, peer: Any) -> None:
        self._host = host
        self._socket = accepted
        self._peer = peer
        self._task: asyncio.Task[None] | None = None

    def begin(self, context: ssl.SSLContext, seconds: float) -> None:
        """Do the handshake within so many seconds, if the host admits the connection."""
        if self._host.admit(self, self):
            self._task = asyncio.get_running_loop().create_task(self._agree(context, seconds))
        else:
            self._socket.close()

    async def _agree(self, context: ssl.SSLContext, seconds: float) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self,
                self._socket,
                ssl=context,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
        except OSError as error:  # this includes what ssl raises, and the timeout
            log.debug("tls.not_agreed", reason=str(error))
        finally:
            self._host.release(self)  # unless it continues with another transport, it is closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called when the handshake is done."""
        self._host.secured(self, cast("asyncio.Transport", transport))  # uvloop's is no subclass

    def abort(self) -> None:
        """Close it."""
        if self._task is not None:
            self._task.cancel()

    def get_extra_info(self, name: str) -> Any:
        """What a transport knows about itself: here, whose it is."""
        return self._peer if name == "peername" else None

    def get_write_buffer_size(self) -> int:
        """How much waits to be sent."""
        return 0

    def sweep(self) -> None:
        """Nothing: the handshake has its own timeout."""

    def stop(self) -> None:
        """Called when the server stops."""
        self.abort()
