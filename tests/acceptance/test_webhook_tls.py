"""Webhooks over https: to the address that was looked at, with the name for SNI, the certificate and `Host`."""

import contextlib
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.game import act
from tests.support.process import ServerProcess, until
from tests.support.receiver import Receiver, receiving

EVENTS = {"event_types": ["fact.created"]}


@dataclass(frozen=True)
class Certificates:
    """A certificate authority of our own, and what it certified."""

    authority: Path
    chain: Path


def openssl(*arguments: str, where: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=where, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Of `localhost`, and of no address."""
    where = tmp_path_factory.mktemp("certificates")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    authority = ("-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=an authority of our own", "-days", "2")
    openssl("req", "-x509", *key, *authority, where=where)
    openssl("req", *key, "-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=localhost", where=where)
    (where / "own.cnf").write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "own.cnf", "-days", "2")
    openssl("x509", "-req", "-in", "own.csr", "-out", "own.pem", *signed, where=where)
    chain = where / "chain.pem"
    chain.write_text((where / "own.pem").read_text() + (where / "own.key").read_text())
    return Certificates(where / "ca.pem", chain)


@contextlib.contextmanager
def receiving_tls(certificates: Certificates, names: list[str | None]) -> Iterator[Receiver]:
    """A receiver that speaks TLS; `names` gets the name of each client's hello."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.chain)
    context.sni_callback = lambda _, name, __: names.append(name)

    def wrap(server: ThreadingHTTPServer) -> None:
        server.socket = context.wrap_socket(server.socket, server_side=True)

    with receiving(wrap) as found:
        found.url = found.url.replace("http://127.0.0.1", "https://localhost")
        yield found


def test_the_certificate_is_verified_by_the_name_at_the_address_that_was_looked_at(
    data_dir: Path, certificates: Certificates
) -> None:
    names: list[str | None] = []
    trusting = {"SSL_CERT_FILE": str(certificates.authority)}
    with receiving_tls(certificates, names) as receiver, ServerProcess(data_dir, env=trusting) as server:
        made = server.request("POST", "/webhooks/endpoints", json={"url": receiver.url, **EVENTS}).json()
        wrong = receiver.url.replace("localhost", "127.0.0.1")
        other = server.request("POST", "/webhooks/endpoints", json={"url": wrong, **EVENTS}).json()
        server.request("POST", "/ingest/events/sync", json=act())
        path = "/webhooks/endpoints/{endpoint_id}"
        until("it is delivered", lambda: server.request("GET", path.format(**made)).json()["waiting"] == 0)
        assert "localhost" in names
        assert receiver.taken[0].headers["host"] == receiver.url.removeprefix("https://").removesuffix("/hook")
        until("the other was tried", lambda: tries(server, path.format(**other)) != [])
        [tried] = tries(server, path.format(**other))[:1]
        assert tried["status"] is None
        assert "CERTIFICATE_VERIFY_FAILED" in tried["answer"]
        assert len(receiver.taken) == 1
        assert server.stop() == 0


def test_an_authority_that_nobody_knows_is_refused(data_dir: Path, certificates: Certificates) -> None:
    with receiving_tls(certificates, []) as receiver, ServerProcess(data_dir) as server:
        made = server.request("POST", "/webhooks/endpoints", json={"url": receiver.url, **EVENTS}).json()
        server.request("POST", "/ingest/events/sync", json=act())
        path = f"/webhooks/endpoints/{made['endpoint_id']}"
        until("it was tried", lambda: tries(server, path) != [])
        assert "CERTIFICATE_VERIFY_FAILED" in tries(server, path)[0]["answer"]
        assert receiver.received == []
        assert server.stop() == 0


def tries(server: ServerProcess, path: str) -> list[dict[str, Any]]:
    """Those of the first delivery."""
    deliveries = server.request("GET", f"{path}/deliveries").json()["deliveries"]
    return [each for delivery in deliveries for each in delivery["tries"]]
