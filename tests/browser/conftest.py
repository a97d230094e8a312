"""A real server with a game that was played, and a real Chromium to look at it."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, expect, sync_playwright

from bq_server.events import Event, Scope
from tests.support.process import ServerProcess, run, until

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build" / "pictures"
SECONDS = 30
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
]

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
"""A name that would act if it became markup. The tests look for what it would do."""

Opened = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "needs Chromium: apt-get install chromium"
    expect.set_options(timeout=SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


def create_key(server: ServerProcess, env: str, *scopes: str) -> str:
    """A new key of the server."""
    wanted = [word for scope in scopes for word in ("--scope", scope)]
    made = run(
        "keys",
        "create",
        "--env",
        env,
        *wanted,
        "--name",
        f"{env} {' '.join(scopes)}",
        "--data-dir",
        str(server.data_dir),
    )
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    until("the key is known", lambda: session_of(server, **{"X-API-Key": key}).status_code != 401)
    return key


def send(client: httpx.Client, event: Mapping[str, Any]) -> None:
    """Have an event processed, once: the stream of a busy machine may refuse it at first, or be late to take it."""
    answers: list[httpx.Response] = []
    keyed = {"idempotency_key": uuid4().hex, **event}

    def is_answered() -> bool:
        answers.append(client.post("/ingest/events/sync", json=keyed))
        return answers[-1].status_code != 503

    until("the stream takes an event", is_answered)
    assert answers[-1].status_code == 200, answers[-1].text


def play(server: ServerProcess, key: str) -> None:
    """The shipped example, with participants whose names are hostile, and events nobody's rule listens to."""
    examples = files("bq_server.examples")
    with server.client(key) as client:
        game = (examples / "coffee.yaml").read_text("utf-8")
        put = client.put("/gamify/admin/game", content=game, headers={"Content-Type": "application/yaml"})
        assert put.status_code == 200, put.text
        for line in (examples / "coffee.ndjson").read_text("utf-8").splitlines():
            send(client, json.loads(line))
        client.post("/gamify/participants", json={"participant_id": "ada", "display_name": "Ada Lovelace"})
        for number in range(30):
            bought = {"amount": 3 + number, "currency": "EUR", "shop": "Chiado", "product": "espresso"}
            event = {
                "event_name": "purchase_completed",
                "participant_id": f"guest_{number % 12:02}",
                "properties": bought,
            }
            send(client, event)
        event = {"event_name": HOSTILE, "participant_id": HOSTILE, "properties": {HOSTILE: HOSTILE}}
        send(client, event)
        named = {"participant_id": HOSTILE, "display_name": HOSTILE, "attributes": {HOSTILE: HOSTILE}}
        assert client.post("/gamify/participants", json=named).status_code == 201


def give_up(server: ServerProcess, participant_id: str, event_name: str, reason: str) -> str:
    """A dead letter of an accepted event, as the consumer leaves one."""
    with redis.Redis(unix_socket_path=str(server.data_dir / "stream" / "valkey.sock")) as stream:
        message_id = f"1700000000000-{stream.hlen('bq:dead')}"
        properties = json.dumps({"amount": 40, "note": HOSTILE})
        accepted = Event(f"evt_of_{message_id}", Scope("default", "test"), event_name, participant_id, properties, 1, 1)
        letter = {"reason": reason, "died_at": 1_700_000_000_000_000, "payload": accepted.to_payload().hex()}
        stream.hset("bq:dead", message_id, json.dumps(letter))
    return message_id


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose test environment was played in. Tests that change it use one of their own."""
    with ServerProcess(tmp_path_factory.mktemp("console") / "data") as server:
        play(server, server.key)
        yield server
        assert server.stop() == 0


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser that knows nothing yet, and may ask nobody but this machine."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
    context.set_default_timeout(SECONDS * 1000)
    context.route(lambda url: not url.startswith(("http://127.0.0.1:", "blob:", "data:")), _refuse)
    yield context
    context.close()


def _refuse(route: Route) -> None:
    raise AssertionError(f"the console asked for {route.request.url}")


@pytest.fixture
def opened(context: BrowserContext) -> Iterator[Opened]:
    """Opens the console in a tab. At the end no tab may have complained: of its policy, for example."""
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # A refusal that a test provokes is told here too.
        if message.type in ("error", "warning") and "the server responded with a status of" not in message.text:
            complaints.append(message.text)

    def open_page(server: ServerProcess, key: str | None = None, where: str = "") -> Page:
        page = context.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{server.url}/console{where}")
        if key is not None:
            sign_in(page, key)
        return page

    yield open_page
    assert complaints == []


def sign_in(page: Page, key: str) -> None:
    """With a key."""
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation", name="Views")).to_be_visible()


def visit(page: Page, where: str, heading: str) -> None:
    """A view, by its address; back when its heading is there."""
    page.evaluate("where => { location.hash = where }", where)
    expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()


def session_of(server: ServerProcess, **headers: str) -> httpx.Response:
    """What the server tells of whoever sends these headers."""
    return httpx.get(f"{server.url}/api/v1/console/session", headers=headers, verify=False)
