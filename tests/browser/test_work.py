"""What people do in the console, beyond looking: the game's editor, the clock, keys, webhooks, dead letters."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opened, give_up, visit
from tests.browser.test_safety import write
from tests.support.process import ServerProcess
from tests.support.receiver import receiving


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
    remarks = page.get_by_role("region", name="problem")
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
    expect(page.get_by_text("Frozen", exact=True).first).to_be_visible()
    page.get_by_role("button", name="+1 day").click()
    expect(page.locator(".clock-face")).to_contain_text("2026-04-03 09:00")
    expect(page.get_by_role("banner")).to_contain_text("Clock 2026-04-03 09:00")
    page.get_by_label("3 days ahead").fill("10")
    page.get_by_role("button", name="Jump").click()
    expect(page.locator(".clock-face")).to_contain_text("2026-04-13 09:00")
    assert fresh.request("GET", "/sandbox/clock").json()["now"].startswith("2026-04-13T09:00:00")
    page.get_by_role("button", name="Use the real clock").click()
    expect(page.get_by_text("Real clock")).to_be_visible()


def test_an_environment_is_taken_along(page: Page, fresh: ServerProcess) -> None:
    fresh.request("POST", "/ingest/events/sync", json={"event_name": "login", "participant_id": "eve"})
    visit(page, "#/sandbox", "Sandbox")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export", exact=True).click()
    story = download.value.path()
    page.get_by_role("button", name="Reset the environment").click()
    page.get_by_role("button", name="Reset", exact=True).click()
    expect(page.get_by_text("The environment was reset")).to_be_visible()
    page.get_by_label("File to import").set_input_files(
        {"name": "e.ndjson", "mimeType": "application/x-ndjson", "buffer": story.read_bytes()}
    )
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text(re.compile(r"\d+ facts? imported"))).to_be_visible()
    assert fresh.request("GET", "/facts", params={"participant_id": "eve"}).json()["facts"] != []


def test_keys_are_made_and_revoked(page: Page, fresh: ServerProcess) -> None:
    visit(page, "#/operation/keys", "Operations")
    page.get_by_label("Name").fill("shop")
    page.get_by_label("read reads").check()
    page.get_by_role("button", name="Create key").click()
    key = page.get_by_role("textbox", name="New key").input_value()
    assert fresh.request("GET", "/facts", key).status_code == 200
    page.get_by_role("button", name="Revoke shop").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("Revoked", exact=True)).to_be_visible()
    assert fresh.request("GET", "/facts", key).status_code == 401


def test_webhooks_and_their_deliveries(page: Page) -> None:
    visit(page, "#/operation/webhooks", "Operations")
    page.get_by_label("URL").fill("http://127.0.0.1:9/hooks")
    page.get_by_role("button", name="Create endpoint").click()
    assert page.get_by_role("textbox", name="Secret").input_value().startswith("whsec_")
    page.get_by_role("button", name="Send a test").click()
    page.get_by_role("link", name="Deliveries").click()
    expect(page.get_by_text("Waiting", exact=True).last).to_be_visible()
    expect(page.locator(".tries li").first).to_be_visible()
    page.get_by_role("link", name="All endpoints").click()
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("heading", name="No endpoints")).to_be_visible()


def test_each_try_of_a_delivery_is_shown_and_it_is_sent_again(page: Page, fresh: ServerProcess) -> None:
    with receiving() as receiver:
        receiver.reply, receiver.text = lambda _: (200, {}), "thank you"
        made = fresh.request(
            "POST", "/webhooks/endpoints", json={"url": receiver.url, "event_types": ["points.changed"]}
        ).json()
        fresh.request("POST", f"/webhooks/endpoints/{made['endpoint_id']}/test")
        visit(page, f"#/operation/webhooks/{made['endpoint_id']}", "Operations")
        tries = page.get_by_role("list", name="Tries")
        expect(tries).to_contain_text("thank you")
        expect(tries).to_contain_text("200")
        page.get_by_role("button", name="Send again", exact=True).click()
        expect(tries.get_by_role("listitem")).to_have_count(2)
        page.get_by_role("button", name="Send again…").click()
        dialog = page.get_by_role("dialog", name="Send again")
        expect(dialog).to_contain_text(receiver.url)
        dialog.get_by_role("button", name="Send again").click()
        expect(page.get_by_text("1 delivery will be sent again.")).to_be_visible()
        expect(tries.get_by_role("listitem")).to_have_count(3)
        fresh.request("DELETE", f"/webhooks/endpoints/{made['endpoint_id']}")


def test_a_dead_letter_is_seen_tried_again_and_dropped(page: Page, fresh: ServerProcess) -> None:
    give_up(fresh, "zoe", "login", "a bug")
    visit(page, "#/operation/dead-letters", "Operations")
    expect(page.get_by_text("a bug")).to_be_visible()
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("login of zoe is in the queue again.")).to_be_visible()
    expect(page.get_by_text("No dead letters")).to_be_visible()
    visit(page, "#/participants/zoe/timeline", "zoe")
    expect(page.get_by_role("heading", name="login")).to_be_visible()
    give_up(fresh, "zoe", "logout", "another bug")
    visit(page, "#/operation/dead-letters", "Operations")
    page.get_by_role("button", name="Drop…").click()
    page.get_by_role("dialog", name="Drop logout").get_by_role("button", name="Drop").click()
    done = page.get_by_text("logout of zoe was dropped.")
    expect(done).to_be_visible()
    expect(page.get_by_text("No dead letters")).to_be_visible()
    expect(done).to_be_focused()  # the button is gone, and the keyboard goes on from here


def test_the_audit_log_is_narrowed(page: Page, fresh: ServerProcess) -> None:
    fresh.request("PUT", "/sandbox/clock", json={"now": "2026-04-02T09:00:00Z"})
    fresh.request("DELETE", "/sandbox/clock")
    visit(page, "#/operation/audit-log", "Operations")
    rows = page.get_by_role("main").get_by_role("row").filter(has=page.get_by_role("cell"))
    expect(rows.filter(has_text="key created").first).to_be_visible()
    page.get_by_label("Action", exact=True).fill("clock set")
    expect(rows.filter(has_text="clock set").first).to_be_visible()
    expect(rows.filter(has_text="key created")).to_have_count(0)
    page.get_by_label("Before (UTC)").fill("2020-01-01T00:00")
    expect(page.get_by_text("No entry matches.")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(rows.filter(has_text="key created").first).to_be_visible()


def test_a_draft_outlives_a_look_at_another_view(page: Page) -> None:
    visit(page, "#/game/document", "Game")
    write(page, "badges:\n  - {code: kept, name: Kept, criteria: {on: login, target: 1}}\n")
    expect(page.get_by_text("Edited, not applied")).to_be_visible()
    visit(page, "#/participants", "Participants")
    visit(page, "#/game/document", "Game")
    editor = page.get_by_role("textbox", name="Game document (YAML)")
    expect(editor).to_contain_text("kept")
    page.get_by_role("button", name="Discard changes").click()
    expect(editor).not_to_contain_text("kept")


def test_what_is_applied_is_what_was_agreed_to(page: Page, fresh: ServerProcess) -> None:
    """Somebody else applies a game while the plan is looked at."""
    visit(page, "#/game/document", "Game")
    write(page, "badges:\n  - {code: mine, name: Mine, criteria: {on: login, target: 1}}\n")
    page.get_by_role("button", name="Plan").click()
    plan = page.get_by_role("region", name="What would change")
    expect(plan).to_contain_text("badge/mine")
    theirs = {"badges": [{"code": "theirs", "name": "Theirs", "criteria": {"on": "login", "target": 1}}]}
    assert fresh.request("PUT", "/gamify/admin/game", json=theirs).status_code == 200
    expect(page.get_by_text("was applied meanwhile")).to_be_visible()
    plan.get_by_role("button", name="Apply").click()
    dialog, alert = page.get_by_role("dialog"), page.get_by_role("alert")
    expect(dialog.or_(alert).first).to_be_visible()  # it asks first where the game there was before had definitions
    if dialog.is_visible():
        dialog.get_by_role("button", name="Apply").click()
    expect(alert).to_contain_text("nothing has been applied")
    expect(plan).to_contain_text("badge/theirs")
    (badge,) = fresh.request("GET", "/gamify/admin/game").json()["game"]["badges"]
    assert badge["code"] == "theirs"
    page.get_by_role("button", name="Discard changes").click()
    expect(page.get_by_role("textbox", name="Game document (YAML)")).to_contain_text("theirs")


def test_an_event_that_was_is_rehearsed_again(page: Page, fresh: ServerProcess) -> None:
    bought = {"event_name": "order_paid", "participant_id": "uma", "properties": {"amount": 12}}
    fresh.request("POST", "/ingest/events/sync", json=bought)
    visit(page, "#/participants/uma/timeline", "uma")
    page.get_by_text("Details").click()
    expect(page.get_by_text('"fact_type": "custom.order_paid"')).to_be_visible()
    page.get_by_role("link", name="Why? order_paid").click()
    expect(page.get_by_label("Event name")).to_have_value("order_paid")
    expect(page.get_by_label("Properties")).to_have_value(re.compile('"amount": 12'))
    page.get_by_role("button", name="Rehearse").click()
    expect(page.get_by_text("No rule of the game listens")).to_be_visible()


def test_the_catalogue_marks_the_rarer_of_two_like_names(page: Page, fresh: ServerProcess) -> None:
    for event_name in ("level_completed", "level_completed", "level_complete"):
        fresh.request("POST", "/ingest/events/sync", json={"event_name": event_name, "participant_id": "ben"})
    visit(page, "#/game/catalogue", "Game")
    rows = page.get_by_role("row")
    expect(rows.filter(has_text="Likely a typo of level_completed")).to_have_count(1)
    expect(rows.filter(has_text="also seen: level_complete")).to_have_count(1)


def test_names_that_a_browser_cannot_ask_for_are_said_to_be_so(page: Page, fresh: ServerProcess) -> None:
    """It would ask for something else: `fetch` takes dots for steps of the path, escaped or not."""
    fresh.request("POST", "/ingest/events/sync", json={"event_name": "login", "participant_id": ".."})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    visit(page, "#/participants", "Participants")
    page.get_by_role("link", name="..", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("A browser can't ask for")
    assert [url for url in asked if "/gamify/participants/" in url or url.endswith("/gamify/")] == []


def test_the_whole_way_by_keyboard(page: Page) -> None:
    for name in ("Participants", "Game", "Sandbox", "Operations"):
        link = page.get_by_role("navigation", name="Views").get_by_role("link", name=name)
        link.focus()
        page.keyboard.press("Enter")
        expect(link).to_have_attribute("aria-current", "page")
        expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_a_streak_shows_its_own_days_and_not_those_of_other_events(played: ServerProcess, opened: Opened) -> None:
    page = opened(played, played.key)
    visit(page, "#/participants/ada", "Ada Lovelace")
    calendar = page.get_by_role("img", name="A cup a day:")
    expect(calendar).to_be_visible()
    titles = calendar.locator("title").all_text_contents()
    assert "2026-04-10: recorded" in titles
    assert "2026-04-11: missed" in titles, "a review was written that day, and no cup bought"
    assert "2026-05-02: recorded" in titles


def test_a_leaderboard_goes_on_beyond_its_first_page(played: ServerProcess, opened: Opened) -> None:
    page = opened(played, played.key)
    visit(page, "#/game/leaderboards", "Game")
    board = page.get_by_role("region", name="Spenders of the week")
    expect(board.get_by_role("listitem")).to_have_count(10)
    board.get_by_role("button", name="Next").click()
    expect(board.get_by_role("listitem").first).to_contain_text("11")
    board.get_by_role("button", name="Previous").click()
    expect(board.get_by_role("listitem").first).to_contain_text("guest_05")
