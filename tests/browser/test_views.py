"""Each view in both themes and two widths: a picture, nothing wider than the window, and no finding of axe."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PICTURES, ROOT, SECONDS, sign_in, visit
from tests.support.process import ServerProcess

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
    View("now", "#/now", "Now", "Events and facts a second"),
    View("participants", "#/participants", "Participants", "Ada Lovelace"),
    View("participant", "#/participants/ada", "Ada Lovelace", "Espresso marathon"),
    View("timeline", "#/participants/ada/timeline", "Ada Lovelace", "Challenge spring completed"),
    View("points", "#/participants/ada/points", "Ada Lovelace", "Balance"),
    View("why", "#/participants/ada/why", "Ada Lovelace", "Rehearse an event"),
    View("game", "#/game/document", "Game", "Version 1"),
    View("leaderboards", "#/game/leaderboards", "Game", "Globetrotters"),
    View("catalogue", "#/game/catalogue", "Game", "store_visited"),
    View("sandbox", "#/sandbox", "Sandbox", "Real clock"),
    View("keys", "#/operation/keys", "Operation", "first key"),
    View("dead-letters", "#/operation/dead-letters", "Operation", "No dead letters"),
    View("audit-log", "#/operation/audit-log", "Operation", "game applied"),
    View("webhooks", "#/operation/webhooks", "Operation", "http://127.0.0.1:9/hooks"),
]


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


def look(page: Page, name: str, width: int, theme: str) -> None:
    """Keep a picture, and hold the page against what holds for every view."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}-{width}-{theme}.png", full_page=True, animations="disabled")
    assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width} px"
    assert findings(page) == []


def prepare(page: Page, name: str) -> None:
    """What a person would do in the view before looking."""
    if name == "why":
        page.get_by_label("Event name").fill("purchase_completed")
        expect(page.get_by_label("Properties")).not_to_have_value("{}")
        page.get_by_role("button", name="Rehearse").click()
        expect(page.get_by_text("Rule by rule")).to_be_visible()
    if name == "game":
        expect(page.get_by_role("textbox", name="Game document (YAML)")).to_be_visible()
        page.get_by_role("button", name="Plan").click()
        expect(page.get_by_text("No definition changes.")).to_be_visible()


@pytest.fixture(scope="module")
def shown(played: ServerProcess) -> ServerProcess:
    """The server with an endpoint for webhooks, so that there is something to see."""
    with played.client() as client:
        made = client.post(
            "/webhooks/endpoints", json={"url": "http://127.0.0.1:9/hooks", "event_types": ["badge.awarded"]}
        )
        assert made.status_code == 201, made.text
    return played


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_view(shown: ServerProcess, chromium: Browser, width: int, theme: Literal["light", "dark"]) -> None:
    size: Any = {"width": width, "height": WIDTHS[width]}
    with chromium.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce") as context:
        context.set_default_timeout(SECONDS * 1000)
        page = context.new_page()
        page.goto(f"{shown.url}/console")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        look(page, "sign-in", width, theme)
        sign_in(page, shown.key)
        for view in VIEWS:
            visit(page, view.where, view.heading)
            expect(page.get_by_role("main").get_by_text(view.shown).first).to_be_visible()
            prepare(page, view.name)
            look(page, view.name, width, theme)


def test_there_is_a_picture_for_the_documentation() -> None:
    picture = Path(ROOT / "docs" / "console.png")
    assert 0 < picture.stat().st_size < 150_000
