"""The audit asks about every pinned package, and an audit that could not ask is none."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AUDIT = ROOT / "packaging" / "audit.py"


@contextmanager
def source(vulnerable: str, answer: bytes | None = None) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """A source of advisories that knows of one package, and what it was asked."""
    asked: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            asked.extend(queries)
            known = {"vulns": [{"id": "GHSA-1", "modified": "2026-01-01T00:00:00Z"}]}
            results = [known if each["package"]["name"] == vulnerable else {} for each in queries]
            body = json.dumps({"results": results}).encode() if answer is None else answer
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def audit(url: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, AUDIT, url], capture_output=True, text=True, check=False, timeout=60)


def test_every_pinned_package_is_asked_about_and_an_advisory_is_named() -> None:
    with source("redis") as (url, asked):
        found = audit(url)
    names = {json.dumps(each["package"], sort_keys=True) for each in asked}
    assert {'{"ecosystem": "PyPI", "name": "starlette"}', '{"ecosystem": "npm", "name": "fastify"}'} <= names
    assert found.returncode == 1
    assert "GHSA-1, pinned in requirements/" in found.stdout
    assert "redis" in found.stdout
    with source("none of ours") as (url, _):
        found = audit(url)
    assert (found.returncode, "no advisories" in found.stdout) == (0, True)


@pytest.mark.parametrize("answer", [b"<html>", b"{}", b'{"results": []}'])
def test_a_source_that_answers_something_else_has_checked_nothing(answer: bytes) -> None:
    with source("redis", answer) as (url, _):
        found = audit(url)
    assert (found.returncode, found.stdout) == (3, "")
    assert "NOTHING WAS CHECKED" in found.stderr


def test_without_a_source_nothing_was_checked() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as taken:
        port = taken.server_port
    found = audit(f"http://127.0.0.1:{port}")
    assert found.returncode == 3
    assert "can't be asked" in found.stderr
