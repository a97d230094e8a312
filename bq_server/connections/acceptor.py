"""Accepting connections, with TLS or without: by hand, so that it goes on whatever it meets.

uvloop's own servers stop for good when there is no memory for a connection that came: libuv waits until it is taken.
And with TLS they tell of a connection once that is agreed: till then nobody would know how many there are.
"""

import asyncio
import socket
from contextlib import suppress
from typing import Protocol

import structlog

from bq_server.connections.tls import Certificate, Handshake, SecureHost

log = structlog.get_logger("bq_server.connections")

AT_ONCE = 64
"""Connections accepted before others have their turn."""

PAUSE_SECONDS = 1.0
"""After a connection could not be accepted."""


class ConnectionHost(SecureHost, Protocol):
    """Admits connections."""

    def protocol(self) -> asyncio.Protocol:
        """For a connection without TLS."""


class Acceptor:
    """Accepts connections from one listening socket."""

    def __init__(
        self, listening: socket.socket, host: ConnectionHost, certificate: Certificate | None, handshake_seconds: float
    ) -> None:
        """With a certificate every connection speaks TLS, which has to be agreed in `handshake_seconds`."""
        self._listening = listening
        self._host = host
        self._certificate = certificate
        self._seconds = handshake_seconds
        self._loop = asyncio.get_running_loop()
        self._following = None if certificate is None else self._loop.create_task(certificate.follow())
        self._entering: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None

    def start(self, backlog: int) -> None:
        """Begin."""
        self._listening.setblocking(False)
        self._listening.listen(backlog)
        self._go_on()

    def close(self) -> None:
        """Accept no more; connections that are there stay."""
        if self._following is not None:
            self._following.cancel()
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()

    def _go_on(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                accepted, peer = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # No descriptors or memory are left: some are freed as connections end.
                log.error("connections.not_accepted", reason=error.strerror)
                self._loop.remove_reader(self._listening)
                self._pause = self._loop.call_later(PAUSE_SECONDS, self._go_on)
                return
            accepted.setblocking(False)
            with suppress(OSError):
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._certificate is None:
                task = self._loop.create_task(self._enter(accepted))
                self._entering.add(task)
                task.add_done_callback(self._entering.discard)
            else:
                Handshake(self._host, accepted, peer).begin(self._certificate.context, self._seconds)

    async def _enter(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._host.protocol, accepted)
        except Exception as error:  # noqa: BLE001 - there may be no memory for it
            accepted.close()
            log.warning("connections.not_accepted", reason=repr(error))
