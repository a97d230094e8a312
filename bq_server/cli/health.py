"""`bq-server health`."""

import typer

from bq_server.cli.options import fail, with_settings
from bq_server.settings import Settings

TIMEOUT_SECONDS = 5.0


@with_settings(
    {
        "host": "Address that the server listens on.",
        "port": "TCP port that the server listens on.",
        "tls_cert": "Certificate of a server that speaks HTTPS; it is not verified.",
        "tls_key": "Its key; it is not read.",
    }
)
def health(settings: Settings) -> None:
    """Ask the server on this machine whether it is ready (`/readyz`); exits 1 if it isn't. For health checks."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    # A server that listens on all addresses is asked on this machine's.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    if settings.tls_cert is None:
        connection = HTTPConnection(host, settings.port, timeout=TIMEOUT_SECONDS)
    else:
        import ssl

        # Its certificate is not verified: it names another host than the one asked here.
        unverified = ssl._create_unverified_context()  # noqa: S323, SLF001 - see above
        connection = HTTPSConnection(host, settings.port, timeout=TIMEOUT_SECONDS, context=unverified)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        fail(f"no server is ready at {host} port {settings.port}: {error}")
    finally:
        connection.close()
    if answer.status != 200:
        fail(f"not ready: {text}")
    typer.echo("ready")
