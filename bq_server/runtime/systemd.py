"""Notifying the service manager of the server's state: systemd's protocol (sd_notify)."""

import os
import socket

import structlog

log = structlog.get_logger("bq_server")


def notify(state: str) -> None:
    """Send a state such as `READY=1` to the service manager, if there is one.

    A failure is logged: the service manager will then give up on the server, and the log says why.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # an abstract name in the kernel, not in the file system
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            sending.sendto(state.encode(), address)
    except OSError as error:
        log.warning("service_manager.not_told", state=state, reason=str(error))
