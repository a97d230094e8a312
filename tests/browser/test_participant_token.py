"""The page of docs/examples that reads its visitor's own state, from another origin, with a token."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import create_key, play
from tests.support.process import ServerProcess
from tests.support.valkey import free_port

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@contextmanager
def backend(server: ServerProcess, key: str, port: int, visitor: str) -> Iterator[str]:
    """The example's backend, and its origin."""
    env = {**os.environ, "BQ_URL": server.url, "BQ_API_KEY": key, "VISITOR": visitor, "PORT": str(port)}
    command = [sys.executable, str(EXAMPLES / "token_backend.py")]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == f"listening on http://127.0.0.1:{port}\n"
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            program.terminate()


@pytest.fixture(scope="module")
def admitted() -> int:
    """The port of the origin that the server admits."""
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, admitted: int) -> Iterator[ServerProcess]:
    flags = ("--cors-origins", f"http://127.0.0.1:{admitted}")
    with ServerProcess(tmp_path_factory.mktemp("tokens") / "data", *flags) as served:
        play(served, served.key)
        yield served
        assert served.stop() == 0


@pytest.fixture(scope="module")
def read_key(server: ServerProcess) -> str:
    return create_key(server, "test", "read")


def balance(server: ServerProcess, who: str) -> int:
    with server.client() as client:
        found: int = client.get(f"/gamify/participants/{who}/points").json()["balance"]
        return found


def test_a_page_of_a_named_origin_shows_its_visitors_own_state(
    context: BrowserContext, server: ServerProcess, read_key: str, admitted: int
) -> None:
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    with backend(server, read_key, admitted, "ada") as origin:
        page.goto(origin)
        expect(page.get_by_role("status")).to_have_text(f"{balance(server, 'ada')} points")
        with server.client() as client:
            earned = client.get("/gamify/participants/ada/badges", params={"earned_only": "true"}).json()["badges"]
        assert earned
        expect(page.get_by_role("list", name="Badges").get_by_role("listitem")).to_have_text(
            [each["name"] for each in earned]
        )
        assert any(each.startswith(f"GET {server.url}/api/v1/gamify/participants/ada/state") for each in asked)
        assert read_key not in page.content()

        with server.client() as client:  # a token that has ended is replaced by another, and the page goes on
            assert client.request("DELETE", "/gamify/participants/ada/tokens").status_code == 200
            client.post("/gamify/points/award", json={"participant_id": "ada", "amount": 1000})
        page.get_by_role("button", name="Refresh").click()
        expect(page.get_by_role("status")).to_have_text(f"{balance(server, 'ada')} points")
        assert asked.count(f"POST {origin}/token") == 2

        status = page.evaluate(
            """async (server) => {
                const pass = await (await fetch('/token', {method: 'POST'})).json();
                const own = {headers: {Authorization: `Bearer ${pass.token}`}};
                const paths = ['ada/points', 'guest_00/points', 'ada', 'ada/events'];
                const all = paths.map((path) => fetch(`${server}/api/v1/gamify/participants/${path}`, own));
                return (await Promise.all(all)).map((answer) => answer.status);
            }""",
            server.url,
        )
        assert status == [200, 403, 403, 403]


def test_a_page_of_another_origin_sees_nothing(context: BrowserContext, server: ServerProcess, read_key: str) -> None:
    page = context.new_page()
    with backend(server, read_key, free_port(), "ada") as origin:
        page.goto(origin)
        expect(page.get_by_role("status")).to_have_text("Not now: Failed to fetch")
