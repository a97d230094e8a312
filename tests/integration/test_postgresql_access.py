"""How a PostgreSQL server is reached: TLS as libpq names its modes, and passwords from wherever libpq takes them."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from bq_server.store.postgresql.server import PostgresServer
from bq_server.store.unavailable import StoreUnavailable
from harness.private_postgres import PrivatePostgres, programs
from tests.support.process import ServerProcess
from tests.support.store import asked, of_a_file

pytestmark = [of_a_file, pytest.mark.slow]  # they name another store themselves
TLS = Path(__file__).parents[1] / "fixtures" / "tls"
PASSWORD = r"s e%c/r@t:\x "
ESCAPED = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
"""As a password file has it."""
RULES = """
local   all all                trust
hostssl all app 127.0.0.0/8 scram-sha-256
"""


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    """Of a server that has a certificate for 127.0.0.1 and not for 127.0.0.2, and wants TLS and a password."""
    cluster = PrivatePostgres()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    cluster.settings |= {
        "listen_addresses": "127.0.0.1,127.0.0.2",
        "port": port,
        "ssl": "on",
        "ssl_cert_file": str(cluster.put("one.pem", (TLS / "one.pem").read_text())),
        "ssl_key_file": str(cluster.put("one.key.pem", (TLS / "one.key.pem").read_text())),
        "hba_file": str(cluster.put("hba.conf", RULES)),
    }
    with cluster:
        asked(cluster.url("postgres"), f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'")
        asked(cluster.url("postgres"), "CREATE DATABASE app OWNER app")
        yield port


def url(port: str, parameters: str = "", *, host: str = "127.0.0.1", password: str | None = PASSWORD) -> str:
    secret = "" if password is None else f":{quote(password, safe='')}"
    return f"postgresql://app{secret}@{host}:{port}/app?{parameters}"


def check(at: str) -> None:
    PostgresServer(at).check(may_write=True)


def trusting(name: str) -> str:
    return f"&sslrootcert={TLS / name}"


@pytest.mark.parametrize(
    ("host", "parameters"),
    [
        ("127.0.0.1", ""),
        ("127.0.0.1", "sslmode=allow"),
        ("127.0.0.1", "sslmode=prefer"),
        ("127.0.0.1", "sslmode=require"),
        ("127.0.0.1", "sslmode=verify-ca" + trusting("one.pem")),
        ("127.0.0.2", "sslmode=verify-ca" + trusting("one.pem")),
        ("127.0.0.1", "sslmode=verify-full" + trusting("one.pem")),
    ],
)
def test_a_mode_that_the_server_meets_connects(port: str, host: str, parameters: str) -> None:
    check(url(port, parameters, host=host))


@pytest.mark.parametrize(
    ("host", "parameters", "said"),
    [
        ("127.0.0.1", "sslmode=disable", "no encryption"),
        ("127.0.0.1", "sslmode=verify-ca" + trusting("two.pem"), "certificate is not trusted"),
        ("127.0.0.1", "sslmode=verify-full" + trusting("two.pem"), "see sslmode and sslrootcert in the URL"),
        ("127.0.0.2", "sslmode=verify-full" + trusting("one.pem"), "IP address mismatch"),
        ("127.0.0.1", "sslmode=verify-full" + trusting("none.pem"), "the certificates are there that the URL names"),
        ("127.0.0.1", "sslmode=verify_all", "must be one of: disable, allow, prefer, require, verify-ca, verify-full"),
    ],
)
def test_a_mode_that_it_does_not_meet_is_refused_with_a_word(port: str, host: str, parameters: str, said: str) -> None:
    with pytest.raises(StoreUnavailable) as refused:
        check(url(port, parameters, host=host))
    assert said in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_a_server_serves_over_tls_that_it_verifies(port: str, tmp_path: Path) -> None:
    env = {"BQ_STORE_URL": url(port, "sslmode=verify-full" + trusting("one.pem"))}
    with ServerProcess(tmp_path / "data", env=env) as server:
        assert server.request("POST", "/ingest/events/sync", json={"event_name": "e", "participant_id": "p"}).is_success
        assert quote(PASSWORD, safe="") not in server.banner + server.log
        assert server.stop() == 0


def test_a_password_comes_from_the_url_the_environment_or_a_file(
    port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = url(port, password=None)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    with pytest.raises(StoreUnavailable, match="PGPASSWORD or in a password file"):
        check(at)
    file = tmp_path / "passwords"
    file.write_text(f"other:*:*:*:wrong\n127.0.0.1:{port}:app:app:{ESCAPED}\n")
    file.chmod(0o600)
    check(f"{at}passfile={file}")
    as_libpq = [str(programs() / "psql"), f"{at}passfile={file}", "-Atc", "SELECT 1"]
    assert subprocess.run(as_libpq, capture_output=True, text=True, check=False).stdout == "1\n"
    monkeypatch.setenv("PGPASSFILE", str(file))
    check(at)
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(StoreUnavailable, match="password authentication failed"):
        check(at)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    check(at)
    with pytest.raises(StoreUnavailable, match="password authentication failed"):
        check(url(port, password="wrong"))
