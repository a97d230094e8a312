"""A client of one environment, for tests: send, drain, move the clock, and read the results."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
from msgspec import Struct

from harness.plain_http import HTTPException, PlainHttp

Json = dict[str, Any]

TIMEOUT_SECONDS = 60.0

NOT_FOUND = "not_found"
"""The code with which a server says that something doesn't exist; a 404 without it comes from something in between."""

GAME_FILES = (".yaml", ".yml", ".json")
"""Suffixes of texts that name a game's file."""


class Refused(Exception):
    """The server's refusal: its status, stable code, sentence, and what is wrong field by field."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = dict(problem)
        self.code: str = problem.get("code", "")
        self.detail: str = problem.get("detail", "")
        self.fields: list[str] = [each["field"] for each in problem.get("errors") or [] if "field" in each]
        super().__init__(f"{status} {self.code}: {self.detail}")


class Unreachable(Exception):
    """Nothing that looks like a bq-server answers there."""


class Clock:
    """The clock of the client's test environment. Times are ISO 8601, durations too (`P1D`, `PT90S`)."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def now(self) -> str:
        """The time it shows."""
        now: str = self._client.call("GET", "/sandbox/clock")["now"]
        return now

    def set(self, moment: str, *, frozen: bool = True) -> None:
        """Set it to this moment, stopped unless told otherwise."""
        self._client.call("PUT", "/sandbox/clock", {"now": moment, "frozen": frozen})

    def advance(self, by: str) -> None:
        """Advance it; everything sent before, and what follows from it, happens first."""
        self._client.call("POST", "/sandbox/clock/advance", {"by": by})

    def reset(self) -> None:
        """Return the environment to the real clock."""
        self._client.call("DELETE", "/sandbox/clock")


class Client:
    """Requests with one API key. Every method raises `Refused` for a refusal and `Unreachable` for no answer."""

    def __init__(self, url: str, key: str) -> None:
        # Certificates take longer to load than most scenarios take; a plain URL needs none.
        verify = url.startswith("https://")
        self._base, headers = f"{url.rstrip('/')}/api/v1", {"X-API-Key": key}
        self._http = httpx.Client(
            base_url=self._base, headers=headers, timeout=TIMEOUT_SECONDS, verify=verify, trust_env=verify
        )
        self._plain: PlainHttp | None = None
        with suppress(ValueError):
            self._plain = PlainHttp(self._base, headers, TIMEOUT_SECONDS)
        self.clock = Clock(self)
        self.directory = Path()
        """Where game files are searched first, before the working directory."""

    def send(
        self,
        event: str | Mapping[str, Any],
        participant_id: str | None = None,
        properties: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Json:
        """Queue an event, given as a whole or as name, participant, properties and further fields."""
        return self.call("POST", "/ingest/events", _event(event, participant_id, properties, more))

    def send_sync(
        self,
        event: str | Mapping[str, Any],
        participant_id: str | None = None,
        properties: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Json:
        """Send an event through the sync path; returns its fact and its effects."""
        body = _event(event, participant_id, properties, more)
        return self.call("POST", "/ingest/events/sync", body, include="effects")

    def send_batch(self, events: Sequence[Mapping[str, Any]]) -> Json:
        """Queue events in one request. Some may be rejected: see `errors` in the answer."""
        answer = self._ask("POST", "/ingest/events/batch", {"events": list(events)})
        if answer.status == 422 and "accepted" in (found := _json(answer)):
            return found
        return _success(answer)

    def drain(self, timeout_ms: int = 30_000, *, webhooks: bool = False) -> Json:
        """Wait until everything sent before is a fact, a duplicate or a dead letter; returns how many there are.

        With `webhooks` also until each webhook that is due was tried.
        """
        body = {"timeout_ms": timeout_ms} | ({"webhooks": True} if webhooks else {})
        return self.call("POST", "/sandbox/drain", body)

    def reset(self, *, game: bool = False, clock: str | None = None) -> None:
        """Empty the environment, including its game if requested.

        It is on the real clock then, or on one that is stopped at the moment `clock`.
        """
        body: Json = {"game": game}
        if clock is not None:
            body["clock"] = {"now": clock}
        self.call("POST", "/sandbox/reset", body)

    def apply(self, game: str | Path | Mapping[str, Any]) -> Json:
        """Apply a game, and wait until everything it changes is computed.

        A `Path`, or a string that ends in .yaml, .yml or .json, names a file; any other string is the game's text.
        """
        if isinstance(game, Mapping):
            content, media_type = json.dumps(game).encode(), "application/json"
        else:
            is_file = isinstance(game, Path) or ("\n" not in game and game.endswith(GAME_FILES))
            content = self._found(Path(game)).read_bytes() if is_file else str(game).encode()
            media_type = "application/yaml"
        headers = {"Content-Type": media_type}
        plan = _success(self._request("PUT", "/gamify/admin/game", content, headers))
        if plan["recomputed"]:
            self.drain()
        return plan

    def state(self, participant_id: str, **query: Any) -> Json:
        """Everything that a participant's facts add up to."""
        return self.call("GET", f"/gamify/participants/{segment(participant_id)}/state", **query)

    def facts(self, **query: Any) -> list[Json]:
        """The facts that pass the filter, the newest first, over all pages."""
        found: list[Json] = []
        while True:
            page = self.call("GET", "/facts", **query)
            found += page["facts"]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Json:
        """Make a request under /api/v1; returns the JSON of a success."""
        return _success(self._ask(method, path, body, query))

    def request(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        """Make a request under /api/v1; returns the response, whatever it is."""
        answer = self._ask(method, path, body, query)
        asked = httpx.Request(method, answer.url)
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body, request=asked)

    def export(self) -> Iterator[str]:
        """The lines of the environment's facts and game, as NDJSON."""
        with self._reaching(), self._http.stream("GET", "/sandbox/export") as answer:
            if answer.status_code != 200:
                refused = _Answer(str(answer.url), answer.status_code, [], answer.read())
                raise Refused(refused.status, _json(refused))
            # Not `iter_lines`: it also splits at U+2028 and others, which JSON leaves unescaped in a string.
            rest = b""
            for chunk in answer.iter_bytes():
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode() for line in lines)
            if rest:
                yield rest.decode()

    def import_lines(self, lines: Iterable[str]) -> Json:
        """Import exported lines into the environment, which must have no facts."""
        content = "\n".join(lines).encode()
        headers = {"Content-Type": "application/x-ndjson"}
        return _success(self._request("POST", "/sandbox/import", content, headers))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
        if self._plain is not None:
            self._plain.close()

    def _ask(self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> "_Answer":
        target = f"{path}?{httpx.QueryParams(dict(query))}" if query else path
        if body is None:
            return self._request(method, target, None, {})
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        return self._request(method, target, content, {"Content-Type": "application/json"})

    def _request(self, method: str, target: str, content: bytes | None, headers: Mapping[str, str]) -> "_Answer":
        with self._reaching():
            if self._plain is not None:
                return _Answer(self._base + target, *self._plain.request(method, target, content, headers))
            found = self._http.request(method, target, content=content, headers=headers)
            return _Answer(str(found.url), found.status_code, list(found.headers.items()), found.content)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (httpx.TransportError, httpx.InvalidURL, HTTPException, OSError) as error:
            raise Unreachable(f"{self._http.base_url} can't be reached: {error or type(error).__name__}") from error

    def _found(self, file: Path) -> Path:
        beside = self.directory / file
        return beside if beside.exists() else file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def segment(name: str) -> str:
    """A name as one segment of a path. Dots alone would be taken for `.` or `..`."""
    return quote(name, safe="").replace(".", "%2E")


def _event(
    event: str | Mapping[str, Any],
    participant_id: str | None,
    properties: Mapping[str, Any] | None,
    more: Mapping[str, Any],
) -> Json:
    given = {"event_name": event} if isinstance(event, str) else dict(event)
    named = {"participant_id": participant_id, "properties": properties}
    return given | {name: value for name, value in named.items() if value is not None} | dict(more)


class _Answer(Struct, frozen=True):
    """What came back."""

    url: str
    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


def _success(answer: _Answer) -> Json:
    found = _json(answer)
    if 200 <= answer.status < 300:
        return found
    raise Refused(answer.status, found)


def _json(answer: _Answer) -> Json:
    try:
        found = json.loads(answer.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unreachable(f"{answer.url} answered {answer.status} without JSON: is it a bq-server?")
    return found
