"""Who reads a feed goes on after the last event that came whole: one that is cut off must come again."""

from bq_client.feed import FeedReading
from bq_server.cli.feed import FeedClient

WHOLE = ["id: 1-0", "event: fact.created", 'data: {"timestamp": "2026-04-02T09:00:00Z", "data": {}}', ""]
CUT = ["id: 2-0", "event: fact.created"]


def test_the_client_goes_on_after_the_last_whole_event() -> None:
    reading = FeedReading(None, {})
    told = [event for line in [*WHOLE, *CUT] if (event := reading.take(line)) is not None]
    assert [event.id for event in told] == ["1-0"]
    assert reading.options["headers"]["Last-Event-ID"] == "1-0"
    for line in ["id: 3-0", ""]:
        reading.take(line)
    assert reading.options["headers"]["Last-Event-ID"] == "3-0", "nothing of interest has happened until there"


def test_the_command_goes_on_after_the_last_whole_event() -> None:
    feed = FeedClient("http://127.0.0.1:1", "bq_test_x", {}, None)
    assert [item.id for item in feed._parse([f"{line}\n".encode() for line in [*WHOLE, *CUT]])] == ["1-0"]
    assert feed._last == "1-0"
