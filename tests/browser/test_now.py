"""Now: what comes in is seen as it happens, with what it caused, and the server's figures beside it."""

from playwright.sync_api import expect

from tests.browser.conftest import HOSTILE, Opened, visit
from tests.support.process import ServerProcess


def send(server: ServerProcess, participant_id: str, event_name: str = "review_written") -> None:
    body = {"event_name": event_name, "participant_id": participant_id, "properties": {"text": "x" * 30}}
    assert server.request("POST", "/ingest/events", json=body).status_code == 202


def test_an_event_is_seen_when_it_comes_in_and_what_it_caused(played: ServerProcess, opened: Opened) -> None:
    page = opened(played, played.key)
    visit(page, "#/now", "Now")
    feed = page.get_by_role("region", name="Feed")
    expect(feed.get_by_text("Live", exact=True)).to_be_visible()
    send(played, "feed_one")
    item = feed.get_by_role("listitem").filter(has=page.get_by_role("link", name="feed_one"))
    expect(item).to_contain_text("+15 points")
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    expect(page.get_by_text("Running", exact=True)).to_be_visible()
    expect(page.get_by_role("img", name="Throughput")).to_be_visible()

    page.get_by_label("Only participant").fill("feed_two")
    expect(item).to_be_hidden()
    expect(feed.get_by_text("Live", exact=True)).to_be_visible()
    send(played, "feed_one")
    send(played, "feed_two")
    expect(feed.get_by_role("link", name="feed_two")).to_be_visible()
    expect(feed.get_by_role("link", name="feed_one")).to_be_hidden()


def test_a_hostile_event_is_only_a_text_there_too(played: ServerProcess, opened: Opened) -> None:
    page = opened(played, played.key)
    visit(page, "#/now", "Now")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    send(played, HOSTILE, HOSTILE)
    played.request("POST", "/sandbox/drain", json={})
    facts = played.request("GET", "/facts", params={"participant_id": HOSTILE}).json()["facts"]
    assert facts[0]["event_name"] == HOSTILE
    expect(page.get_by_role("link", name=HOSTILE, exact=True)).to_have_count(len(facts))
    assert page.locator("img, main script").count() == 0
    assert "taken" not in page.title()


def test_a_chart_is_read_with_the_arrow_keys(played: ServerProcess, opened: Opened) -> None:
    page = opened(played, played.key)
    visit(page, "#/now", "Now")
    chart = page.get_by_role("img", name="Throughput")
    chart.focus()
    page.keyboard.press("Home")
    figure = page.locator("figure").filter(has_text="Throughput")
    expect(figure.locator("figcaption .soft")).not_to_have_text("now")


def test_the_feed_begins_with_what_was_before_and_names_each_fact_once(played: ServerProcess, opened: Opened) -> None:
    send(played, "feed_before")
    played.request("POST", "/sandbox/drain", json={})
    page = opened(played, played.key)
    visit(page, "#/now", "Now")
    feed = page.get_by_role("region", name="Feed")
    expect(feed.get_by_role("link", name="feed_before")).to_have_count(1)
    expect(feed.get_by_text("Live", exact=True)).to_be_visible()
    feed.get_by_role("button", name="Pause").click()
    send(played, "feed_after")
    feed.get_by_role("button", name="Resume (1 new)").click()
    expect(feed.get_by_role("link", name="feed_after")).to_have_count(1)


def test_what_was_refused_is_drawn_by_its_code(played: ServerProcess, opened: Opened) -> None:
    for _ in range(3):
        assert played.request("POST", "/ingest/events", json={"event_name": "e"}).status_code == 422
    page = opened(played, played.key)
    visit(page, "#/now", "Now")
    figure = page.locator("figure").filter(has_text="Refused, per")
    expect(figure).to_contain_text("validation_failed")
