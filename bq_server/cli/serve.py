"""`bq-server serve`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bq_server.cli.options import fail, with_settings
from bq_server.runtime import collector, outputs
from bq_server.settings import Settings

if TYPE_CHECKING:
    import socket

    from bq_server.server.server_state import ServerState


@with_settings()
def serve(settings: Settings) -> None:
    """Run the server until SIGINT or SIGTERM."""
    with collector.paused():  # until the server is ready
        from bq_server.runtime.logs import configure
        from bq_server.server.run import StartFailed, run

        configure(settings.log_format, settings.log_level)
        try:
            run(settings, announce)
        except StartFailed as error:
            fail(str(error))


def _print(lines: Sequence[str]) -> None:
    """Print a banner. Whoever reads it may have left, which is no reason not to serve."""
    try:
        print("\n".join(lines), flush=True)  # noqa: T201
    except OSError as error:
        import structlog

        outputs.give_up_stdout()
        structlog.get_logger("bq_server").warning("banner.not_printed", reason=error.strerror)


def announce(settings: Settings, listening: "socket.socket", running: "ServerState") -> None:
    """Print the banner: where the server and its data are, and a first request that works when pasted."""
    from bq_server.server.run import IN_CLEAR_ADVICE, is_exposed

    host, port = listening.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    url = f"{'http' if settings.tls_cert is None else 'https'}://{shown}:{port}"
    if settings.role == "worker":
        announce_worker(settings, url, running)
        return
    lines = [
        "",
        f"  bq-server  {url}/api/v1",
        f"  console    {url}/console",
        f"  docs       {url}/docs",
        f"  data       {settings.data_dir.resolve()}",
        *([] if running.store is None else [f"  store      {running.store}"]),
        f"  durability {running.promise()}",
        *(f"  elsewhere  {said}" for said in running.elsewhere),
        *([f"  no TLS     {IN_CLEAR_ADVICE}"] if is_exposed(settings) else []),
        "",
    ]
    key = running.new_key
    if key is not None:
        lines += [
            f"  A first key for the test environment, shown only now:  {key}",
            "  Send a first event with it:",
        ]
    elif settings.dev_key is not None:
        key = "$BQ_DEV_KEY"
        lines.append("  The test environment honours BQ_DEV_KEY. Send an event with it:")
    else:
        key = "$BQ_API_KEY"
        lines.append("  Environments: live and test, by key. Send an event with one of `bq-server keys create`:")
    lines += [
        "",
        f"curl -X POST {url}/api/v1/ingest/events/sync \\",
        f'  -H "X-API-Key: {key}" -H "Content-Type: application/json" \\',
        """  -d '{"event_name": "level_completed", "participant_id": "user_123", "properties": {"level": 5}}'""",
        "",
        "  and read the fact it became:",
        "",
        f'curl {url}/api/v1/facts -H "X-API-Key: {key}"',
        "",
    ]
    _print(lines)


def announce_worker(settings: Settings, url: str, running: "ServerState") -> None:
    """Print the banner of a process that answers no requests but those about itself."""
    lines = [
        "",
        "  bq-server  worker: processes events, and answers only for itself",
        f"  data       {settings.data_dir.resolve()}",
        f"  store      {running.store}",
        f"  durability {running.promise()}",
        *(f"  elsewhere  {said}" for said in running.elsewhere),
        f"  ready      {url}/readyz",
        "",
    ]
    _print(lines)
