"""What people do in the console, beyond looking: the game's editor, the clock, keys, webhooks, dead letters."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opened, visit
from tests.browser.test_safety import write
from tests.support.process import ServerProcess


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server nobody used."""
    with ServerProcess(tmp_path_factory.mktemp("work") / "data") as server:
        yield server
        assert server.stop() == 0


@pytest.fixture
def page(fresh: ServerProcess, opened: Opened) -> Page:
    """The console of that server, signed in."""
    return opened(fresh, fresh.key)


def choose(page: Page, typed: str, wanted: str) -> None:
    """Type the beginning of a word, and take the whole from the list."""
    page.keyboard.type(typed)
    page.keyboard.press("Control+Space")
    page.get_by_role("listbox").get_by_role("option", name=wanted).click()


def test_a_game_is_written_with_help_planned_and_applied(page: Page, fresh: ServerProcess) -> None:
    visit(page, "#/game/document", "Game")
    expect(page.get_by_text("No game yet")).to_be_visible()
    write(page, "badges:\n  - code: first\n    name: First\n    rarity: shiny\n")
    remarks = page.get_by_role("region", name="remark")
    expect(remarks).to_contain_text("Line 4")
    expect(remarks).to_contain_text("rarity")
    expect(page.locator(".cm-lintRange-error")).to_have_text("shiny")
    page.get_by_role("button", name="Line 4").click()
    page.keyboard.press("End")
    for _ in "shiny":
        page.keyboard.press("Backspace")
    choose(page, "", "legendary")
    page.keyboard.press("Enter")
    choose(page, "cri", "criteria")
    page.keyboard.type("{on: login, ")
    choose(page, "tar", "target")
    page.keyboard.type("2}")
    expect(remarks).to_be_hidden()
    page.get_by_role("button", name="Plan").click()
    plan = page.get_by_role("region", name="What would change")
    expect(plan).to_contain_text("badge/first")
    plan.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("Version 1 is in force.")).to_be_visible()
    (badge,) = fresh.request("GET", "/gamify/admin/game").json()["game"]["badges"]
    assert (badge["rarity"], badge["criteria"]["target"]) == ("legendary", 2)


def test_the_document_read_back_is_the_same_game(played: ServerProcess, opened: Opened) -> None:
    page = opened(played, played.key)
    visit(page, "#/game/document", "Game")
    page.get_by_role("button", name="Plan").click()
    expect(page.get_by_text("No definition changes.")).to_be_visible()


def test_the_keyboard_gets_out_of_the_editor(page: Page) -> None:
    visit(page, "#/game/document", "Game")
    page.get_by_role("textbox", name="Game document (YAML)").click()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Plan")).to_be_focused()


def test_the_clock_jumps(page: Page, fresh: ServerProcess) -> None:
    visit(page, "#/sandbox", "Sandbox")
    page.get_by_label("Set to (UTC)").fill("2026-04-02T09:00")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_text("Stands still", exact=True).first).to_be_visible()
    page.get_by_role("button", name="+1 day").click()
    expect(page.locator(".clock-face")).to_contain_text("2026-04-03 09:00")
    expect(page.get_by_role("banner")).to_contain_text("Clock 2026-04-03 09:00")
    page.get_by_label("3 days ahead").fill("10")
    page.get_by_role("button", name="Jump").click()
    expect(page.locator(".clock-face")).to_contain_text("2026-04-13 09:00")
    assert fresh.request("GET", "/sandbox/clock").json()["now"].startswith("2026-04-13T09:00:00")
    page.get_by_role("button", name="Read the real clock again").click()
    expect(page.get_by_text("Real clock")).to_be_visible()


def test_an_environment_is_taken_along(page: Page, fresh: ServerProcess) -> None:
    fresh.request("POST", "/ingest/events/sync", json={"event_name": "login", "participant_id": "eve"})
    visit(page, "#/sandbox", "Sandbox")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export", exact=True).click()
    story = download.value.path()
    page.get_by_role("button", name="Empty the environment").click()
    page.get_by_role("button", name="Empty it").click()
    expect(page.get_by_text("The environment is empty.")).to_be_visible()
    page.get_by_label("Export to import").set_input_files(
        {"name": "e.ndjson", "mimeType": "application/x-ndjson", "buffer": story.read_bytes()}
    )
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text(re.compile(r"\d+ facts? imported"))).to_be_visible()
    assert fresh.request("GET", "/facts", params={"participant_id": "eve"}).json()["facts"] != []


def test_keys_are_made_and_revoked(page: Page, fresh: ServerProcess) -> None:
    visit(page, "#/operation/keys", "Operation")
    page.get_by_label("Name").fill("shop")
    page.get_by_label("read, and rehearse").check()
    page.get_by_role("button", name="Make a key").click()
    key = page.get_by_role("textbox", name="New key").input_value()
    assert fresh.request("GET", "/facts", key).status_code == 200
    page.get_by_role("button", name="Revoke shop").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("Revoked", exact=True)).to_be_visible()
    assert fresh.request("GET", "/facts", key).status_code == 401


def test_webhooks_and_their_deliveries(page: Page) -> None:
    visit(page, "#/operation/webhooks", "Operation")
    page.get_by_label("URL").fill("http://127.0.0.1:9/hooks")
    page.get_by_role("button", name="Make an endpoint").click()
    assert page.get_by_role("textbox", name="Secret").input_value().startswith("whsec_")
    page.get_by_role("button", name="Send a test").click()
    page.get_by_role("link", name="Deliveries").click()
    expect(page.get_by_text("Waiting", exact=True).last).to_be_visible()
    expect(page.locator(".tries li").first).to_be_visible()
    page.get_by_role("link", name="All endpoints").click()
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No endpoint is told")).to_be_visible()


def test_the_whole_way_by_keyboard(page: Page) -> None:
    for name in ("Participants", "Game", "Sandbox", "Operation"):
        link = page.get_by_role("navigation", name="Views").get_by_role("link", name=name)
        link.focus()
        page.keyboard.press("Enter")
        expect(link).to_have_attribute("aria-current", "page")
        expect(page.get_by_role("heading", level=1)).to_be_focused()
