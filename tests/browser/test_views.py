"""Each view in both themes and two widths: a picture, nothing wider than the window, and no finding of axe."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PICTURES, ROOT, SECONDS, create_key, give_up, play, send, sign_in, visit
from tests.browser.test_safety import write
from tests.support.process import ServerProcess
from tests.support.receiver import receiving

AXE = ROOT / "clients" / "console" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = {1440: 900, 390: 844}


@dataclass(frozen=True)
class View:
    """A view, and what shows that all of it is there."""

    name: str
    where: str
    heading: str
    shown: str


VIEWS = [
    View("now", "#/now", "Now", "Throughput"),
    View("participants", "#/participants", "Participants", "Ada Lovelace"),
    View("participant", "#/participants/ada", "Ada Lovelace", "missed"),
    View("timeline", "#/participants/ada/timeline", "Ada Lovelace", "Challenge spring completed"),
    View("points", "#/participants/ada/points", "Ada Lovelace", "Balance"),
    View("why", "#/participants/ada/why", "Ada Lovelace", "Rehearse an event"),
    View("game", "#/game/document", "Game", "Version 1"),
    View("leaderboards", "#/game/leaderboards", "Game", "guest_05"),
    View("catalogue", "#/game/catalogue", "Game", "store_visited"),
    View("sandbox", "#/sandbox", "Sandbox", "Real clock"),
    View("keys", "#/operation/keys", "Operations", "first key"),
    View("dead-letters", "#/operation/dead-letters", "Operations", "division by zero"),
    View("audit-log", "#/operation/audit-log", "Operations", "game applied"),
    View("webhooks", "#/operation/webhooks", "Operations", "Orders and badges of the shop"),
    View("deliveries", "#/operation/webhooks", "Operations", "Orders and badges of the shop"),
]
"""Of an environment in which things happened, and some went wrong."""

BEGINNINGS = [
    View("empty-now", "#/now", "Now", "No events yet"),
    View("empty-participants", "#/participants", "Participants", "No participants yet"),
    View("nobody", "#/participants/nobody", "nobody", "nobody"),
    View("empty-game", "#/game/document", "Game", "No game yet"),
    View("empty-leaderboards", "#/game/leaderboards", "Game", "no leaderboards"),
    View("empty-catalogue", "#/game/catalogue", "Game", "No events yet"),
    View("empty-sandbox", "#/sandbox", "Sandbox", "Send an event"),
    View("empty-dead-letters", "#/operation/dead-letters", "Operations", "No dead letters"),
    View("empty-webhooks", "#/operation/webhooks", "Operations", "No endpoints"),
]
"""Of an environment that nobody used."""


def findings(page: Page) -> list[str]:
    """What axe has to say that is serious."""
    # By the debugger, which no policy of the page's holds for.
    page.evaluate(AXE.read_text("utf-8") + "; 0")
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {json.dumps([node['target'] for node in each['nodes']])}"
        for each in found["violations"]
        if each["impact"] in SERIOUS
    ]


def look(page: Page, name: str, width: int, theme: str) -> list[str]:
    """Keep a picture, and tell what doesn't hold that holds for every view."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}-{width}-{theme}.png", full_page=True, animations="disabled")
    wide = [f"{name} is wider than {width} px"] if page.evaluate("document.documentElement.scrollWidth") > width else []
    return [*wide, *(f"{name}: {each}" for each in findings(page))]


def prepare(page: Page, name: str) -> None:
    """What a person would do in the view before looking."""
    if name == "why":
        page.get_by_label("Event name").fill("purchase_completed")
        expect(page.get_by_label("Properties")).not_to_have_value("{}")
        page.get_by_role("button", name="Rehearse").click()
        expect(page.get_by_text("Rule by rule")).to_be_visible()
    if name == "empty-game":
        expect(page.get_by_role("textbox", name="Game document (YAML)")).to_be_visible()
    if name == "game":
        expect(page.get_by_role("textbox", name="Game document (YAML)")).to_be_visible()
        page.get_by_role("button", name="Plan").click()
        expect(page.get_by_text("No definition changes.")).to_be_visible()
        expect(page.get_by_text("Such as review_written")).to_be_visible()
    if name == "deliveries":
        page.get_by_role("link", name="Deliveries").click()
        expect(page.get_by_text("Delivered", exact=True).last).to_be_visible()
        expect(page.get_by_text("500", exact=True).first).to_be_visible()
    if name == "catalogue":
        expect(page.get_by_text("Likely a typo of")).to_be_visible()


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with something to see in every view, of what goes wrong too."""
    with receiving() as receiver, ServerProcess(tmp_path_factory.mktemp("shown") / "data") as server:
        receiver.reply = lambda request: (500 if b'"zoe"' in request.raw else 200, {})
        receiver.text = "<html><body><h1>It works!</h1></body></html>"
        endpoint = {
            "url": receiver.url,
            "event_types": ["badge.awarded", "points.changed"],
            "description": "Orders and badges of the shop",
        }
        made = server.request("POST", "/webhooks/endpoints", json=endpoint)
        assert made.status_code == 201, made.text
        play(server, server.key)
        with server.client() as client:
            for event_name in ("purchase_complete", "review_written"):  # a typo, and a review without its text
                send(client, {"event_name": event_name, "participant_id": "ada"})
            bought = {"amount": 12, "currency": "EUR", "shop": "Chiado", "product": "beans"}
            send(client, {"event_name": "purchase_completed", "participant_id": "zoe", "properties": bought})
            client.post("/ingest/events", json={"event_name": "purchase_completed"})
            assert client.post("/sandbox/drain", json={"webhooks": True}).status_code == 200
        give_up(server, "ada", "purchase_completed", "failed 3 times: ZeroDivisionError('division by zero')")
        yield server
        assert server.stop() == 0


@pytest.fixture(scope="module")
def unused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server nobody used."""
    with ServerProcess(tmp_path_factory.mktemp("unused") / "data") as server:
        yield server
        assert server.stop() == 0


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_view(shown: ServerProcess, chromium: Browser, width: int, theme: Literal["light", "dark"]) -> None:
    size: Any = {"width": width, "height": WIDTHS[width]}
    with chromium.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce") as context:
        context.set_default_timeout(SECONDS * 1000)
        page, found = context.new_page(), list[str]()
        page.goto(f"{shown.url}/console")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        found += look(page, "sign-in", width, theme)
        sign_in(page, shown.key)
        for view in VIEWS:
            visit(page, view.where, view.heading)
            expect(page.get_by_role("main").get_by_text(view.shown).locator("visible=true").first).to_be_visible()
            prepare(page, view.name)
            found += look(page, view.name, width, theme)
        assert found == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_beginning(unused: ServerProcess, chromium: Browser, width: int, theme: Literal["light", "dark"]) -> None:
    size: Any = {"width": width, "height": WIDTHS[width]}
    with chromium.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce") as context:
        context.set_default_timeout(SECONDS * 1000)
        page, found = context.new_page(), list[str]()
        page.goto(f"{unused.url}/console")
        page.get_by_label("API key").fill("bq_test_of_another_server")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        found += look(page, "sign-in-refused", width, theme)
        sign_in(page, unused.key)
        for view in BEGINNINGS:
            visit(page, view.where, view.heading)
            expect(page.get_by_role("main").get_by_text(view.shown).locator("visible=true").first).to_be_visible()
            prepare(page, view.name)
            found += look(page, view.name, width, theme)
        page.get_by_role("link", name="Game").click()
        write(page, "badges:\n  - code: first\n    name: First\n    rarity: shiny\n    criteria: {on: login}\n")
        expect(page.get_by_role("region", name="problem")).to_be_visible()
        found += look(page, "game-problems", width, theme)
        assert found == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_question_of_a_live_environment(
    unused: ServerProcess, chromium: Browser, width: int, theme: Literal["light", "dark"]
) -> None:
    size: Any = {"width": width, "height": WIDTHS[width]}
    with chromium.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce") as context:
        context.set_default_timeout(SECONDS * 1000)
        page = context.new_page()
        page.goto(f"{unused.url}/console")
        sign_in(page, create_key(unused, "live", "admin"))
        visit(page, "#/game/document", "Game")
        write(page, "points:\n  - {code: spend, on: purchase_completed, award: 1}\n")
        page.get_by_role("button", name="Plan").click()
        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert look(page, "live-question", width, theme) == []


def test_there_is_a_picture_for_the_documentation() -> None:
    picture = Path(ROOT / "docs" / "console.png")
    assert 0 < picture.stat().st_size < 150_000
