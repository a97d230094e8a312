"""What the console can't be made to do: run what an event carries, or harm a live environment by a slip."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import HOSTILE, Opened, create_key, give_up, play, visit
from tests.support.process import ServerProcess
from tests.support.receiver import receiving

PLACES = ["#/participants", "#/game/catalogue", "#/game/leaderboards", "#/sandbox", "#/operation/keys"]


def test_a_hostile_name_is_only_a_text(played: ServerProcess, opened: Opened) -> None:
    page = opened(played, played.key)
    for where in PLACES:
        page.evaluate("where => { location.hash = where }", where)
        page.wait_for_load_state("networkidle")
        assert page.locator("img, main script").count() == 0, where
        assert "taken" not in page.title()
    visit(page, "#/participants", "Participants")
    page.get_by_role("searchbox").fill("<img")
    page.get_by_role("link", name=HOSTILE).click()
    expect(page.get_by_role("heading", name=HOSTILE, level=1)).to_be_visible()
    tabs = page.get_by_role("navigation", name="Of the participant")
    for tab in ("Timeline", "Points", "Why?", "Overview"):
        tabs.get_by_role("link", name=tab).click()
        page.wait_for_load_state("networkidle")
        assert page.locator("img, main script").count() == 0, tab
        assert page.evaluate("document.title").startswith(HOSTILE), (
            "the title is that text, and no script made it another"
        )
    tabs.get_by_role("link", name="Timeline").click()
    expect(page.get_by_role("heading", name=HOSTILE, level=2)).to_be_visible()


def test_what_webhooks_answer_and_keys_and_rules_are_called_is_only_a_text(data_dir: Path, opened: Opened) -> None:
    with receiving() as receiver, ServerProcess(data_dir) as server:
        receiver.reply, receiver.text = lambda _: (500, {}), HOSTILE
        code = HOSTILE.replace("/", "")[:50]
        rules = {
            "points": [{"code": code, "on": HOSTILE, "award": "properties.none"}],
            "badges": [{"code": code, "name": HOSTILE, "description": HOSTILE, "criteria": {"on": "e", "target": 1}}],
            "leaderboards": [{"code": code, "name": HOSTILE, "metric": "points"}],
        }
        put = server.request("PUT", "/gamify/admin/game", json=rules)
        assert put.status_code == 200, put.text
        made = server.request(
            "POST",
            "/webhooks/endpoints",
            json={"url": receiver.url, "event_types": ["badge.awarded"], "description": HOSTILE},
        ).json()
        server.request("POST", "/admin/keys", json={"name": HOSTILE, "scopes": ["read"]})
        for event_name in ("e", HOSTILE):
            event = {"event_name": event_name, "participant_id": HOSTILE, "properties": {HOSTILE: HOSTILE}}
            assert server.request("POST", "/ingest/events/sync", json=event).status_code == 200
        server.request("POST", "/sandbox/drain", json={"webhooks": True})
        give_up(server, HOSTILE, HOSTILE, HOSTILE)
        page = opened(server, server.key)
        for where, shown in (
            ("#/game/document", "Such as"),
            ("#/game/leaderboards", HOSTILE),
            ("#/operation/keys", HOSTILE),
            ("#/operation/dead-letters", HOSTILE),
            ("#/operation/audit-log", HOSTILE),
            ("#/operation/webhooks", HOSTILE),
            (f"#/operation/webhooks/{made['endpoint_id']}", HOSTILE),
        ):
            page.evaluate("where => { location.hash = where }", where)
            expect(page.get_by_role("main").get_by_text(shown).locator("visible=true").first).to_be_visible()
            assert page.locator("img, main script").count() == 0, where
            assert "taken" not in page.title()
        visit(page, "#/operation/dead-letters", "Operations")
        page.get_by_role("button", name="Drop…").click()
        expect(page.get_by_role("dialog", name=HOSTILE)).to_be_visible()
        assert page.locator("dialog img, dialog script").count() == 0
        assert server.stop() == 0


def test_a_name_cannot_turn_a_question_around(data_dir: Path, opened: Opened) -> None:
    """A mark of direction in a name would let what is agreed to read otherwise than it is."""
    with ServerProcess(data_dir) as server:
        give_up(server, "\u202egnihton", "login", "a bug")
        page = opened(server, server.key)
        visit(page, "#/operation/dead-letters", "Operations")
        page.get_by_role("button", name="Drop…").click()
        expect(page.get_by_role("dialog")).to_contain_text("of \ufffdgnihton is removed for good")
        assert server.stop() == 0


def test_the_policy_stops_what_would_be_markup(played: ServerProcess, opened: Opened, context: BrowserContext) -> None:
    """Whatever the code does: even a mistake in it couldn't run a text."""
    page = context.new_page()  # of which the complaints are wanted
    page.goto(f"{played.url}/console")
    refused = """text => {
        try { document.body.innerHTML = text; return false } catch (error) { return error instanceof TypeError }
    }"""
    assert page.evaluate(refused, HOSTILE)
    unstyled = """() => {
        const style = document.createElement('style');
        style.textContent = 'body { opacity: 0 }';
        document.head.append(style);
        return getComputedStyle(document.body).opacity;
    }"""
    assert page.evaluate(unstyled) == "1"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, str]]:
    """A server with the game in its live environment, and a key that may do everything there."""
    with ServerProcess(tmp_path_factory.mktemp("live") / "data") as server:
        key = create_key(server, "live", "admin")
        play(server, key)
        yield server, key
        assert server.stop() == 0


def rules(live: tuple[ServerProcess, str]) -> list[str]:
    """The kinds of rules in force."""
    server, key = live
    return list(server.request("GET", "/gamify/admin/game", key).json()["game"])


def write(page: Page, text: str) -> None:
    """Paste a document over the one in the editor."""
    editor = page.get_by_role("textbox", name="Game document (YAML)")
    editor.click()
    page.keyboard.press("ControlOrMeta+a")
    paste = """(element, text) => {
        const clipboardData = new DataTransfer();
        clipboardData.setData('text/plain', text);
        element.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
    }"""
    editor.evaluate(paste, text)


def test_a_live_environment_is_changed_only_by_a_word_and_by_name(
    live: tuple[ServerProcess, str], opened: Opened
) -> None:
    before = rules(live)
    page = opened(*live, "#/game/document")
    visit(page, "#/game/document", "Game")
    write(page, "points:\n  - {code: spend, on: purchase_completed, award: 1}\n")
    page.get_by_role("button", name="Plan").click()
    page.get_by_role("button", name="Apply").click()
    dialog = page.get_by_role("dialog", name="Apply this game")
    for said in (
        "Live environment",
        "− badge/barista, removed",
        "~ points/spend, changed",
        "participants recomputed",
    ):
        expect(dialog).to_contain_text(said)
    expect(dialog.get_by_role("button", name="Apply")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert rules(live) == before
    page.get_by_role("button", name="Apply").click()
    dialog.get_by_label("Type live to confirm").fill("live")
    dialog.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("Version 2 is in force.")).to_be_visible()
    assert rules(live) == ["points"] != before


def test_every_other_change_of_a_live_environment_is_asked_for(live: tuple[ServerProcess, str], opened: Opened) -> None:
    page = opened(*live)
    expect(page.get_by_role("link", name="Sandbox", exact=True)).to_be_hidden()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method) if request.method != "GET" else None)
    visit(page, "#/operation/keys", "Operations")
    page.get_by_label("Name").fill("shop")
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("dialog")).to_contain_text("A new live key with ingest")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Revoke live admin").click()
    expect(page.get_by_role("dialog")).to_contain_text("signed in with it")
    page.get_by_role("button", name="Cancel").click()
    visit(page, "#/operation/webhooks", "Operations")
    page.get_by_label("URL").fill("https://shop.example/hooks")
    page.get_by_role("button", name="Create endpoint").click()
    expect(page.get_by_role("dialog")).to_contain_text("https://shop.example/hooks is sent")
    page.get_by_role("button", name="Cancel").click()
    assert sent == []


def test_a_test_environment_asks_for_what_cannot_be_undone(data_dir: Path, opened: Opened) -> None:
    with ServerProcess(data_dir) as server:
        server.request("POST", "/ingest/events/sync", json={"event_name": "e", "participant_id": "p"})
        page = opened(server, server.key)
        visit(page, "#/sandbox", "Sandbox")
        page.get_by_role("button", name="Reset the environment").click()
        dialog = page.get_by_role("dialog", name="Reset the test environment")
        expect(dialog).to_contain_text("Every fact, participant and award")
        page.get_by_role("button", name="Cancel").click()
        assert len(server.request("GET", "/facts").json()["facts"]) == 1
        page.get_by_role("button", name="Reset the environment").click()
        dialog.get_by_role("button", name="Reset", exact=True).click()
        expect(page.get_by_text("The environment was reset")).to_be_visible()
        assert server.request("GET", "/facts").json()["facts"] == []
        assert server.stop() == 0
