"""HTTPS by flag: both HTTP versions, a certificate that changes, clients that never agree."""

import json
import shutil
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.lane.corpus import encoded
from tests.support.client import event
from tests.support.process import ServerProcess, run, until
from tests.support.wire import request

FIXTURES = Path(__file__).parents[1] / "fixtures" / "tls"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Where the server looks for its certificate and its key."""
    found = tmp_path / "shown.pem", tmp_path / "shown.key.pem"
    show(found, "one")
    return found


def show(files: tuple[Path, Path], name: str) -> None:
    for path, kept in zip(files, (f"{name}.pem", f"{name}.key.pem"), strict=True):
        new = path.with_suffix(".new")
        shutil.copy(FIXTURES / kept, new)
        new.rename(path)


def flags(files: tuple[Path, Path]) -> list[str]:
    return ["--tls-cert", str(files[0]), "--tls-key", str(files[1])]


@pytest.fixture
def server(data_dir: Path, files: tuple[Path, Path]) -> Iterator[ServerProcess]:
    with ServerProcess(data_dir, *flags(files)) as process:
        yield process


def place(server: ServerProcess) -> tuple[str, int]:
    parts = urlsplit(server.url)
    return parts.hostname or "", parts.port or 0


def connected(server: ServerProcess, name: str = "one") -> ssl.SSLSocket:
    """A connection that trusts this certificate and no other."""
    context = ssl.create_default_context(cafile=str(FIXTURES / f"{name}.pem"))
    return context.wrap_socket(socket.create_connection(place(server), timeout=20), server_hostname="127.0.0.1")


def test_both_versions_of_http_are_spoken_over_tls(server: ServerProcess) -> None:
    assert server.url.startswith("https://")
    trusted = ssl.create_default_context(cafile=str(FIXTURES / "one.pem"))
    for http2 in (False, True):
        with httpx.Client(
            base_url=server.url, http2=http2, verify=trusted, headers={"X-API-Key": server.key}
        ) as client:
            for path, body in (("", event()), ("/batch", {"events": [event(), event()]}), ("/sync", event())):
                answer = client.post(f"/api/v1/ingest/events{path}", json=body)
                assert answer.status_code in (200, 202), answer.text
                assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
            assert client.get("/api/v1/facts").status_code == 200
            assert client.post("/api/v1/ingest/events", json=[]).status_code == 422
    with server.client() as client:
        until("all are facts", lambda: len(client.get("/facts").json()["facts"]) == 8)


def test_the_lane_answers_what_comes_in_pieces_and_hands_over_the_rest(server: ServerProcess) -> None:
    good = request(encoded(event()), key=server.key.encode())
    elsewhere = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    with connected(server) as wire:
        wire.sendall(good * 3)
        for cut in range(0, len(good), 50):
            wire.sendall(good[cut : cut + 50])
        wire.sendall(good[:70])
        wire.sendall(good[70:] + elsewhere + elsewhere.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answers = b""
        while data := wire.recv(1 << 16):
            answers += data
    assert answers.count(b"HTTP/1.1 202 ") == 5
    assert answers.count(b"HTTP/1.1 200 ") == 2


def test_who_ends_tls_before_the_answer_loses_that_alone(server: ServerProcess) -> None:
    """An end of one half is an end of both; see docs/operations.md, Connections."""
    with connected(server) as wire:
        wire.sendall(request(encoded(event()), key=server.key.encode()))
        with suppress(OSError):
            wire.unwrap()
    with server.client() as client:
        until("the event is a fact", lambda: len(client.get("/facts").json()["facts"]) == 1)
    assert server.stop() == 0
    assert "eof_received" not in server.log
    assert "Traceback" not in server.log


def test_a_large_answer_and_a_large_body_pass(server: ServerProcess) -> None:
    large = {"events": [event(properties={"text": "x" * 20_000}) for _ in range(60)]}
    with server.client() as client:
        assert client.post("/ingest/events/batch", json=large).status_code == 202
        assert client.post("/sandbox/drain", json={"timeout_ms": 30_000}).status_code == 200
        assert len(client.get("/sandbox/export").text) > 1_000_000


def test_a_new_certificate_is_shown_without_a_restart(server: ServerProcess, files: tuple[Path, Path]) -> None:
    with connected(server) as wire:
        show(files, "two")
        until("it is read", lambda: "tls.reloaded" in server.log)
        with connected(server, "two"):
            pass
        with pytest.raises(ssl.SSLCertVerificationError):
            connected(server, "one")
        wire.sendall(request(encoded(event()), key=server.key.encode()))
        assert wire.recv(1 << 16).startswith(b"HTTP/1.1 202 "), "what was agreed stays"
        files[0].write_text("no certificate")
        until("it is refused", lambda: "tls.not_reloaded" in server.log)
        with connected(server, "two"):
            pass
    assert "Traceback" not in server.log


def test_a_connection_counts_before_tls_is_agreed(data_dir: Path, files: tuple[Path, Path]) -> None:
    with (
        ServerProcess(data_dir, *flags(files), "--max-connections", "16", "--read-timeout-seconds", "2") as server,
        ExitStack() as stack,
    ):
        silent = [stack.enter_context(socket.create_connection(place(server), timeout=20)) for _ in range(16)]
        until("all count", lambda: _turned_away(server))
        for each in silent:
            assert each.recv(1) == b"", "it is ended when the time for the handshake is over"
        until("there is room again", lambda: httpx.get(f"{server.url}/livez", verify=False).status_code == 200)
        for sent in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\0" * 100):
            with socket.create_connection(place(server), timeout=20) as wire:
                wire.sendall(sent)
                wire.shutdown(socket.SHUT_WR)
                while wire.recv(1 << 10):
                    pass
        assert httpx.get(f"{server.url}/livez", verify=False).status_code == 200
        assert server.stop() == 0
        assert "Traceback" not in server.log
        assert "connections.full" in server.log


def _turned_away(server: ServerProcess) -> bool:
    with socket.create_connection(place(server), timeout=20) as one_more:
        one_more.settimeout(0.2)
        try:
            return one_more.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True


def test_it_stops_in_order_with_connections_open(data_dir: Path, files: tuple[Path, Path]) -> None:
    with ServerProcess(data_dir, *flags(files)) as server, connected(server) as wire:
        with socket.create_connection(place(server), timeout=20):
            wire.sendall(request(encoded(event()), key=server.key.encode()))
            assert wire.recv(1 << 16).startswith(b"HTTP/1.1 202 ")
            assert server.stop() == 0
        assert "Traceback" not in server.log


def test_what_is_no_certificate_ends_the_start_with_what_is_wrong(data_dir: Path, files: tuple[Path, Path]) -> None:
    other = FIXTURES / "two.key.pem"
    for chain, key, said in (
        (files[0], other, "are not a certificate and its key"),
        (files[1], files[1], "are not a certificate and its key"),
        (data_dir / "none.pem", files[1], "none.pem can't be read"),
    ):
        answer = run(
            "serve", "--port", "0", "--data-dir", str(data_dir), "--tls-cert", str(chain), "--tls-key", str(key)
        )
        assert answer.returncode == 1
        assert said in answer.stderr
        assert "Traceback" not in answer.stderr
    half = run("serve", "--port", "0", "--data-dir", str(data_dir), "--tls-cert", str(files[0]))
    assert (half.returncode, "must be given together" in half.stderr) == (2, True)
    assert not data_dir.exists(), "nothing was begun"


def test_health_asks_over_tls(server: ServerProcess, files: tuple[Path, Path]) -> None:
    _, port = place(server)
    assert run("health", "--port", str(port), *flags(files)).stdout == "ready\n"
    assert run("health", "--port", str(port)).returncode == 1


@pytest.mark.parametrize(
    ("more", "warns"),
    [((), True), (("--behind-proxy",), False), (("--trusted-proxies", "10.0.0.0/8"), False), (("tls",), False)],
)
def test_listening_beyond_loopback_in_clear_warns(
    data_dir: Path, files: tuple[Path, Path], more: tuple[str, ...], warns: bool
) -> None:
    chosen = flags(files) if more == ("tls",) else list(more)
    with ServerProcess(data_dir, "--host", "0.0.0.0", *chosen) as server:
        assert server.stop() == 0
        events = [json.loads(line)["event"] for line in server.log.splitlines()]
        assert ("server.in_clear" in events) == warns
        assert ("no TLS" in server.banner) == warns
