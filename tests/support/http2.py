"""An HTTP/2 client that may do what no honest one does."""

import socket
from collections import Counter, defaultdict
from collections.abc import Iterable
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings


class Http2Wire:
    """One connection, begun without TLS and without asking."""

    def __init__(self, url: str, *, window: int | None = None) -> None:
        """`window`: how much of an answer the server may send before it is asked for more; 65,535 by default."""
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname or "", address.port or 0), timeout=20)
        config = h2.config.H2Configuration(client_side=True, validate_outbound_headers=False)
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()
        if window is not None:
            self.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.statuses: Counter[str] = Counter()
        self.finished = 0
        self.bodies: defaultdict[int, bytes] = defaultdict(bytes)
        """What has come of each answer; only what is taken makes room for more."""
        self.error: int | None = None
        """What the server ended the connection with."""
        self.ended = False
        self.flush()

    def flush(self) -> None:
        """Send what is to be sent."""
        try:
            self._socket.sendall(self.connection.data_to_send())
        except OSError:
            self.ended = True

    def send(self, data: bytes) -> None:
        """Send bytes as they are, which need not be what an HTTP/2 client may send."""
        try:
            self._socket.sendall(data)
        except OSError:
            self.ended = True

    def begin(self, method: str, path: str, headers: Iterable[tuple[str, str]] = (), *, ends: bool = True) -> int:
        """Begin a request; its stream."""
        stream = self.connection.get_next_available_stream_id()
        fields = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "x"), *headers]
        self.connection.send_headers(stream, fields, end_stream=ends)
        return stream

    def read(self) -> bool:
        """Take what has come; whether the connection is still there."""
        try:
            data = self._socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            self.ended = True
            return False
        try:
            events = self.connection.receive_data(data)
        except h2.exceptions.ProtocolError:
            self.ended = True
            return False
        for event in events:
            if isinstance(event, h2.events.ResponseReceived):
                self.statuses[dict(event.headers)[b":status"].decode()] += 1
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] += event.data
            elif isinstance(event, h2.events.StreamEnded):
                self.finished += 1
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.error = int(event.error_code or 0)
        self.flush()
        return True

    def close(self) -> None:
        self._socket.close()
