"""Reading what the server made of events, if it allows that: the contract itself has no route for it."""

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from bq_server.moments import parse_timestamp
from harness.conformance.answers import is_message_id
from harness.conformance.conversation import Conversation, RecordedExchange
from harness.conformance.outcomes import Failed, Unseen

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.5
GIVEN_UP_SECONDS = 1.0
"""How long to wait for a fact once waiting for another one was in vain."""


class ReportedFact(Struct, frozen=True):
    """What an event became, as far as the server says."""

    told: dict[str, Any]
    source: str
    """The route that said so."""

    def __getitem__(self, name: str) -> Any:
        """A member of it. Raises `Unseen` if the route doesn't return it."""
        if name not in self.told:
            raise Unseen(f"{self.source} doesn't tell the {name} of a fact")
        return self.told[name]

    @property
    def occurred_at(self) -> int:
        """In microseconds since the epoch. Raises `Failed` if it isn't a moment."""
        told = self["occurred_at"]
        try:
            return parse_timestamp(told)
        except (ValueError, TypeError):
            raise Failed(self.source, "occurred_at, an ISO 8601 date and time", repr(told)) from None

    @property
    def number(self) -> int | str | None:
        """The property `n`, which distinguishes the events of one participant."""
        properties = self["properties"]
        number = properties.get("n") if isinstance(properties, dict) else None
        return number if isinstance(number, (int, str)) else None


class Facts:
    """Facts by participant, from `GET /facts`, or else from the wider dialect's list of a participant's events."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._blind: str | None = None
        self._listed = False
        self._has_facts: bool | None = None
        self._has_messages = True
        self._patience = conversation.timeout

    def of(self, participant_id: str) -> list[ReportedFact]:
        """The facts made of the participant's events so far. Raises `Unseen` if they can't be read."""
        found = self._read(participant_id)
        if found is None:
            raise Unseen(self._no_route())
        return found

    def settled(self, participant_id: str, count: int, message_ids: Sequence[Any] = ()) -> list[ReportedFact]:
        """Wait until `count` events of the participant are facts and these messages are no longer queued.

        Returns whatever facts there are after at most the timeout. Raises `Unseen` if they can't be read.
        """
        deadline = time.monotonic() + self._patience
        if self._messages_settled(message_ids, deadline):
            return self.of(participant_id)
        pause, found, calm = FIRST_PAUSE_SECONDS, self._read(participant_id), 0
        # A second fact of one event comes late if at all: what was read must stay the same for two further readings.
        while calm < 2 and time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
            before, found = found, self._read(participant_id)
            enough = found is not None and before is not None and len(found) == len(before) >= count
            calm = calm + 1 if enough else 0
        if found is None:
            self._blind = self._no_route()
            raise Unseen(self._blind)
        if len(found) < count:
            self._patience = min(self._patience, GIVEN_UP_SECONDS)
        return found

    def _messages_settled(self, message_ids: Sequence[Any], deadline: float) -> bool:
        """Wait for these messages. False if their route doesn't exist, or on timeout."""
        if not message_ids or not all(is_message_id(each) for each in message_ids):
            return False
        for message_id in message_ids:
            pause = FIRST_PAUSE_SECONDS
            while self._has_messages:
                answer = self._conversation.get(f"/ingest/messages/{quote(message_id, safe='')}")
                status = answer.body.get("status")
                self._has_messages = answer.ok and isinstance(status, str)
                if status != "queued":
                    break
                if time.monotonic() > deadline:
                    return False
                time.sleep(pause)
                pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
        return self._has_messages

    def _read(self, participant_id: str) -> list[ReportedFact] | None:
        """The facts; None without an answer, which on the second route may mean an unknown participant."""
        if self._blind:
            raise Unseen(self._blind)
        if self._has_facts is not False:
            answer = self._conversation.get("/facts", participant_id=participant_id, limit=1000)
            listed = answer.body.get("facts")
            self._has_facts = answer.ok and isinstance(listed, list)
            if self._has_facts:
                return _facts(listed, "GET /facts")
            self._refuse_forbidden(answer)
        path = f"/gamify/participants/{quote(participant_id, safe='')}/events"
        answer = self._conversation.get(path, page_size=100)
        listed = answer.body.get("events")
        if answer.ok and isinstance(listed, list):
            self._listed = True
            return _facts(listed, "GET /gamify/participants/{participant_id}/events")
        self._refuse_forbidden(answer)
        return [] if self._listed else None

    def _refuse_forbidden(self, answer: RecordedExchange) -> None:
        if answer.status in (401, 403):
            self._blind = f"the key may not read facts ({answer.status}): use one with the scope read"
            raise Unseen(self._blind)

    @staticmethod
    def _no_route() -> str:
        return "the server has no route that shows facts (GET /facts)"


def _facts(listed: Any, source: str) -> list[ReportedFact]:
    return [ReportedFact(each, source) for each in listed if isinstance(each, dict)]
