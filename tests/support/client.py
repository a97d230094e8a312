"""A client of one project, which no other test can see."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.process import until

Json = dict[str, Any]


def event(event_name: str = "purchase_completed", participant_id: str = "user_123", **more: Any) -> Json:
    """An event to send."""
    return {"event_name": event_name, "participant_id": participant_id, **more}


@dataclass
class Project:
    """The keys of a project of the shared server, and the calls most tests make with them."""

    http: httpx.Client
    keys: Mapping[str, str]
    """By `environment` or `environment:scope`."""
    key_name: str = "test"
    extra: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def using(self, key_name: str) -> Iterator["Project"]:
        """The same with another key."""
        yield Project(self.http, self.keys, key_name)

    @property
    def in_sandbox(self) -> bool:
        """Whether the key is of a test environment."""
        return self.keys[self.key_name].startswith("bq_test_")

    def drain(self, timeout_ms: int = 30_000) -> Json:
        """Wait until everything sent is settled and nothing is computed anew; what the environment holds."""
        answer = self.post("/sandbox/drain", {"timeout_ms": timeout_ms})
        assert answer.status_code == 200, answer.text
        drained: Json = answer.json()
        return drained

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request with the key, under /api/v1."""
        headers = {"X-API-Key": self.keys[self.key_name], **options.pop("headers", {})}
        return self.http.request(method, f"/api/v1{path}", headers=headers, **options)

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.request("GET", path, params=query)

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.request("POST", path, json=body, headers=headers)

    def send(self, body: Json, **headers: str) -> httpx.Response:
        """By the async path."""
        return self.post("/ingest/events", body, **headers)

    def send_batch(self, events: Sequence[Any]) -> httpx.Response:
        return self.post("/ingest/events/batch", {"events": events})

    def send_sync(self, body: Json, **headers: str) -> httpx.Response:
        return self.post("/ingest/events/sync", body, **headers)

    def told(self, body: Json, **query: str) -> Json:
        """By the sync path: what it caused, or with `dry_run` what it would."""
        answer = self.request("POST", "/ingest/events/sync", json=body, params=query or {"include": "effects"})
        assert answer.status_code == 200, answer.text
        told: Json = answer.json()
        return told

    def put_game(self, game: Json | str, **query: Any) -> httpx.Response:
        """Apply a game, given as YAML text or as what becomes JSON."""
        text = game if isinstance(game, str) else json.dumps(game)
        headers = {"Content-Type": "application/yaml" if isinstance(game, str) else "application/json"}
        return self.request("PUT", "/gamify/admin/game", content=text.encode(), headers=headers, params=query)

    def apply(self, game: Json | str, **query: Any) -> Json:
        """Apply a game, and wait until all it recomputes is computed; the plan."""
        answer = self.put_game(game, **query)
        assert answer.status_code == 200, answer.text
        if self.in_sandbox:
            self.drain()
        else:
            until("every refold is finished", lambda: all(each["finished_at"] for each in self.game()["refolds"]))
        plan: Json = answer.json()
        return plan

    def game(self) -> Json:
        """The game in force, its warnings and its refolds."""
        answer: Json = self.get("/gamify/admin/game").json()
        return answer

    def participant(self, participant_id: str, part: str = "", **query: Any) -> Json:
        """The profile of a participant, or a part such as `/state`."""
        answer = self.get(f"/gamify/participants/{participant_id}{part}", **query)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def balance(self, participant_id: str) -> int:
        """The points that a participant has."""
        balance: int = self.participant(participant_id, "/points")["balance"]
        return balance

    def facts(self, **query: Any) -> list[Json]:
        """All facts that pass the filter, over all pages."""
        found: list[Json] = []
        while True:
            page = self.get("/facts", **query).json()
            found += page["facts"]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    def message(self, message_id: str) -> Json:
        """Where the message is."""
        answer: Json = self.get(f"/ingest/messages/{message_id}").json()
        return answer

    def settled(self, message_id: str) -> Json:
        """Where the message is when it is queued no more."""
        if self.in_sandbox:
            self.drain()
        else:
            until("the message is settled", lambda: self.message(message_id)["status"] != "queued")
        return self.message(message_id)
