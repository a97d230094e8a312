"""A reader of the feed, as a browser reads Server-Sent Events."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.client import Json


@dataclass(frozen=True)
class Told:
    """One event."""

    id: str
    """Of the last event that had one, this one's as a rule."""
    type: str
    data: Json

    @property
    def fact_id(self) -> str:
        """Of `fact.created`."""
        found: str = self.data["data"]["fact_id"]
        return found


class FeedReader:
    """Reads the events of an answer, one after the other."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.last_id = ""
        self.comments: list[str] = []

    def __iter__(self) -> Iterator[Told]:
        """Every event until the answer ends."""
        name, data = "", []
        for line in self._lines:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if line.startswith(":"):
                self.comments.append(value)
            elif field == "id":
                self.last_id = value
            elif field == "event":
                name = value
            elif field == "data":
                data.append(value)
            elif not line:
                if data:
                    yield Told(self.last_id, name, json.loads("\n".join(data)))
                name, data = "", []

    def next(self) -> Told:
        """The next event, which must come within the time of the connection."""
        for told in self:
            return told
        raise AssertionError("the feed has ended")

    def until_comment(self, text: str) -> None:
        """Read on until a comment, with no event before it."""
        for line in self._lines:
            if line.startswith("id:"):
                self.last_id = line.partition(": ")[2]
            if line == f": {text}":
                self.comments.append(text)
                return
            assert not line.startswith("data:"), line
        raise AssertionError("the feed has ended")


@contextmanager
def opened(url: str, key: str, after: str | None = None, **query: Any) -> Iterator[FeedReader]:
    """An open feed that has begun: what is committed from now on is told."""
    headers = {"X-API-Key": key} | ({} if after is None else {"Last-Event-ID": after})
    with (
        httpx.Client(verify=False, timeout=30) as client,
        client.stream("GET", f"{url}/api/v1/feed", headers=headers, params=query) as answer,
    ):
        if answer.status_code != 200:
            answer.read()
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        reader = FeedReader(answer.iter_lines())
        reader.until_comment("feed")
        yield reader


def everything(url: str, key: str, after: str = "0", **query: Any) -> list[Told]:
    """All that is there after that id."""
    with opened(url, key, after, follow="false", **query) as reader:
        return list(reader)
