"""A chaos run from its beginning to its ledger."""

import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

from msgspec import Struct

from bq_server.game import Fact, Game, check
from bq_server.moments import SECOND, format_timestamp, parse_timestamp
from bq_server.runtime.frozen import own_command, own_environment
from harness.chaos import aliases, clients, deeds, game, history, made, oracle, schedule, webhooks
from harness.chaos.clients import Traffic
from harness.chaos.destruction import ToldLoss
from harness.chaos.evidence import Evidence, Judged, count, judge
from harness.chaos.faults import FaultWindow, Injector, NotRecovered, sqlite
from harness.chaos.game import DAY, EXPLICIT
from harness.chaos.history import MOST_PARTICIPANTS
from harness.chaos.interruption import complete
from harness.chaos.ledger import ChaosLedger, Kind
from harness.chaos.options import DESTRUCTIONS, KILL_STORE, OF_A_FILE, Options
from harness.client import NOT_FOUND, Client, Refused, Unreachable
from harness.private_postgres import PrivatePostgres
from harness.private_server import PrivateServer

GIVE_UP_SECONDS = 60.0
"""How long clients keep trying after the end of sending."""

DRAIN_MILLISECONDS = 50_000
DRAINS = 3
VERIFY_SECONDS = 300.0

MOST_MESSAGES = 100
"""Acknowledged messages whose status is requested."""

LOG_CHARACTERS = 2000

MOST_DIFFERENCES = 12
"""Most values shown for one participant."""

EARLIER = (0, 3 * DAY, 16 * DAY)
"""How long before the end of the run leaderboards are also checked, because late events fall into past windows."""

ZONES = ("Asia/Tokyo", "America/New_York", "Australia/Lord_Howe")

Tell = Callable[[str], None]


def run(options: Options, *, command: Sequence[str] | None = None, tell: Tell = lambda _: None) -> ChaosLedger:
    """Start a server, send it a history while it is broken again and again, and compare what it stored.

    `command` starts another program instead of this one, to see whether its bugs are found; `tell` gets a line now and
    then. Raises `ServerFailed` if the server doesn't start at all, and `RuntimeError` if this machine's SQLite must not
    be used.
    """
    if {*OF_A_FILE} & set(options.faults):
        sqlite()
    flags = ("--webhook-retry-seconds", webhooks.RETRY_SECONDS)
    with ExitStack() as stack:
        told = stack.enter_context(webhooks.receiving())
        store = stack.enter_context(PrivatePostgres()) if KILL_STORE in options.faults else None
        environment = {} if store is None else {"BQ_STORE_URL": store.database()}
        private = PrivateServer(options.keep, command=command, flags=flags, environment=environment)
        server = stack.enter_context(private)
        ledger = _Run(options, server, told, tell, store, environment).to_its_end()
    if options.keep is not None:
        (options.keep / "ledger.json").write_text(json.dumps(ledger.as_json(), indent=2, ensure_ascii=False), "utf-8")
    return ledger


class _Storm(Struct, frozen=True):
    """What happened while the history was sent."""

    started: int
    attempts: list[clients.Attempt]
    tries: list[deeds.DeedTry]
    windows: list[FaultWindow]
    lost: ToldLoss
    broken_off: str = ""


class _Run:
    def __init__(
        self,
        options: Options,
        server: PrivateServer,
        told: webhooks.Told,
        tell: Tell,
        store: PrivatePostgres | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._options = options
        self._store = store
        self._environment = environment or {}
        self._server = server
        self._told = told
        self._endpoint_id = ""
        self._tell = tell
        self._ledger = ChaosLedger(options)
        start = _now()
        self._start = start
        self._document = game.document(start, options.seconds)
        self._history = history.make(options, start)
        self._deeds = deeds.plan(options)
        self._entered: dict[str, list[str]] = {game.FINAL: [], game.SPRINT: []}
        self._destroys = any(fault in DESTRUCTIONS for fault in options.faults)

    def to_its_end(self) -> ChaosLedger:
        """Prepare, send, wait until all is settled, and compare."""
        ledger = self._ledger
        with Client(self._server.url, self._server.key) as client:
            prepared = self._prepare(client)
            storm = complete(self._storm())
            ledger.broken_off = storm.broken_off
            ledger.told_lost = storm.lost
            ledger.recovery_seconds = max((each.ready_after for each in storm.windows), default=0.0)
            try:
                if not ledger.broken_off:
                    self._drain(client)
                if not ledger.broken_off:
                    self._compare(client, storm, prepared)
                else:
                    count(Evidence(self._history, storm.attempts, storm.windows, ()), ledger)
            except (Refused, Unreachable) as error:
                ledger.broken_off = f"the server could not be read when the faults were over: {error}"
        if ledger.broken_off:
            ledger.broken_off += f"\nThe server's log ends with:\n{self._server.log[-LOG_CHARACTERS:]}"
        else:
            self._tell("verifying")
            ledger.verified = verify(self._server.data_dir, self._environment)
        return ledger

    def _prepare(self, client: Client) -> list[dict[str, Any]]:
        """Apply the game, and send names, teams, entries, time zones and enrolments; returns the facts of these."""
        client.apply(self._document)
        for participant_id, alias in aliases.pairs(history.participants(self._options)):
            aliases.make(client, participant_id, alias)
        client.clock.set(format_timestamp(self._start - game.TEAMS_KNOWN_FOR))
        for number, participant_id in enumerate(history.participants(self._options)):
            if team := game.team_of(number):
                body = {"participant_id": participant_id, "attributes": {"team": team}}
                client.call("POST", "/gamify/participants", body)
        client.clock.reset()
        for number, participant_id in enumerate(history.participants(self._options)):
            for code in (game.FINAL, game.SPRINT) if number % 2 else (game.SPRINT,):
                client.call("POST", f"/contests/{code}/enter", {"participant_id": participant_id})
                self._entered[code].append(participant_id)
        self._endpoint_id = webhooks.subscribe(client, self._told)
        for number, participant_id in enumerate(history.participants(self._options)):
            if number % 2 == 0:
                client.call("POST", f"/gamify/challenges/{EXPLICIT}/enrol", {"participant_id": participant_id})
            if number % 3 == 0:
                zone = ZONES[number // 3 % len(ZONES)]
                client.call("POST", "/gamify/participants", {"participant_id": participant_id, "timezone": zone})
        return client.facts(limit=1000)

    async def _storm(self) -> _Storm:
        options = self._options
        started, traffic = _now(), Traffic()
        injector = Injector(self._server, traffic, self._tell, self._store)
        until = options.seconds + GIVE_UP_SECONDS
        broken_off, tries = "", list[deeds.DeedTry]()
        url, key = self._server.url, self._server.key
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(clients.send(self._history, traffic, url, key, seed=options.seed, until=until))
                both.create_task(injector.run(schedule.plan(options)))
                both.create_task(deeds.do(self._deeds, traffic, url, key, seed=options.seed, until=until, tries=tries))
        except* NotRecovered as errors:
            broken_off = str(_first(errors))
        return _Storm(started, traffic.attempts, tries, injector.windows, injector.lost, broken_off)

    def _drain(self, client: Client) -> None:
        self._tell("waiting until everything accepted is a fact")
        for _ in range(DRAINS):
            try:
                drained = client.drain(DRAIN_MILLISECONDS)
            except Refused as error:
                self._ledger.broken_off = f"what was accepted did not become facts: {error}"
            else:
                self._ledger.broken_off = ""
                self._ledger.dead = drained["dead"]
                return

    def _compare(self, client: Client, storm: _Storm, prepared: list[dict[str, Any]]) -> None:
        # First of all: by a clock that jumps, an endpoint that has failed for a moment has failed for days.
        self._tell("waiting until every award is told")
        webhooks.wait(client, self._endpoint_id, self._told)
        now = _now() // SECOND * SECOND + SECOND
        told = self._facts_at(client, now)
        facts = [fact for fact in told if not (deeds.is_of_a_deed(fact) or made.is_made(fact))]

        def is_told_lost(message_id: str) -> bool:
            found = client.request("GET", f"/ingest/messages/{message_id}").json()
            return bool(found.get("status") == "lost")

        evidence = Evidence(
            *(self._history, storm.attempts, storm.windows, facts, prepared),
            started=storm.started,
            ended=_now(),
            is_told_lost=is_told_lost if self._destroys else lambda _: False,
        )
        judged = judge(evidence, self._ledger)
        deeds.judge(self._deeds, storm.tries, told, self._ledger)
        self._compare_messages(client, judged)
        self._tell("folding what was sent, and comparing")
        expected = self._expected(judged, prepared, told)
        self._compare_states(client, expected, now)
        for earlier in EARLIER:
            client.clock.set(format_timestamp(now - earlier))
            self._compare_rankings(client, expected, now - earlier)
        self._tell("freezing the last result, and comparing again")
        later = now + game.FINAL_FREEZES_AFTER + DAY
        told = self._facts_at(client, later)
        expected = self._expected(judged, prepared, told)
        made.judge(told, expected, self._entered, later, self._ledger)
        self._compare_states(client, expected, later)
        client.clock.reset()
        webhooks.compare(client, self._endpoint_id, expected.participants, self._told, self._ledger)
        self._tell("letting some participants be one")
        aliases.join(client, history.participants(self._options))

    def _facts_at(self, client: Client, moment: int) -> list[dict[str, Any]]:
        """All facts, with those that come of the clock's showing this moment; the newest first."""
        client.clock.set(format_timestamp(moment))
        client.drain(DRAIN_MILLISECONDS)
        return client.facts(limit=1000)

    def _expected(self, judged: Judged, prepared: list[dict[str, Any]], told: list[dict[str, Any]]) -> oracle.Oracle:
        """What must follow from what was sent, together with what was done and what the server made by itself."""
        others = [fact for fact in told if deeds.is_of_a_deed(fact) or made.is_made(fact)]
        claims = [fact for fact in others if fact["fact_type"] == deeds.DeedKind.CLAIM]
        return oracle.Oracle(_game(self._document), _facts(judged, [*others, *prepared]), claims)

    def _compare_messages(self, client: Client, judged: Judged) -> None:
        """Ask for the status of some of the acknowledged messages."""
        chosen = Random(f"{self._options.seed}:messages")  # noqa: S311 - not for secrets
        for message_id, event, fact in chosen.sample(judged.messages, min(MOST_MESSAGES, len(judged.messages))):
            answer = client.request("GET", f"/ingest/messages/{message_id}")
            said = answer.json()
            if self._destroys and said.get("status") == "lost":
                continue  # another message of the event became the fact
            if said.get("status") not in ("processed", "duplicate") or said.get("fact_id") != fact["fact_id"]:
                self._ledger.find(
                    Kind.ALTERED,
                    f"message {message_id} of event {event.number}",
                    [f"the event is {fact['fact_id']}, its message is said to be: {answer.text}"],
                )

    def _compare_states(self, client: Client, expected: oracle.Oracle, now: int) -> None:
        self._ledger.participants = len(expected.participants)
        names = dict(aliases.pairs(history.participants(self._options)))
        for participant_id in expected.participants:
            try:
                # Under either name it is the same.
                actual: dict[str, Any] = client.state(names.get(participant_id, participant_id))
            except Refused as error:
                if error.code != NOT_FOUND:
                    raise
                actual = {}
            found = list(oracle.compare(expected.state(participant_id, now), actual))
            self._differ(participant_id, found)

    def _compare_rankings(self, client: Client, expected: oracle.Oracle, now: int) -> None:
        for board in _game(self._document).leaderboards:
            for window in board.window_names:
                self._ledger.rankings += 1
                path = f"/gamify/leaderboards/{board.code}"
                told = client.call("GET", path, period=window, limit=MOST_PARTICIPANTS)
                actual = [{key: entry[key] for key in ("rank", "participant_id", "score")} for entry in told["entries"]]
                wanted = expected.ranking(board.code, window, now)
                where = f"leaderboard {board.code}, {window}, at {format_timestamp(now)}"
                self._differ(where, list(oracle.compare(wanted, actual, "entries")))
        for challenge in self._document["challenges"]:
            self._ledger.rankings += 1
            told = client.call("GET", f"/gamify/challenges/{challenge['code']}/leaderboard", limit=MOST_PARTICIPANTS)
            # Ties go to whoever was known first, which depends on the order of arrival, so ranks are not compared.
            progress = {entry["participant_id"]: entry["progress"] for entry in told["entries"]}
            found = list(oracle.compare(expected.progress(challenge["code"], now), progress))
            self._differ(f"ranking of challenge {challenge['code']}", found)

    def _differ(self, subject: str, found: Sequence[oracle.OracleDifference]) -> None:
        if found:
            lines = [str(each) for each in found[:MOST_DIFFERENCES]]
            more = len(found) - len(lines)
            self._ledger.find(Kind.DIFFERENCE, subject, [*lines, *([f"and {more} more values"] if more else [])])


def verify(data_dir: Path, more: Mapping[str, str] | None = None) -> str:
    """What `bq-server verify` finds in a data directory, in short; empty if it finds no difference."""
    environment = {name: value for name, value in own_environment().items() if not name.startswith("BQ_")}
    environment |= more or {}
    command = [*own_command(), "verify", "--data-dir", str(data_dir)]
    try:
        ended = subprocess.run(  # noqa: S603 - our own program
            command, env=environment, capture_output=True, text=True, timeout=VERIFY_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {VERIFY_SECONDS:g} s"
    if ended.returncode == 0:
        return ""
    lines = [*ended.stdout.strip().splitlines(), *ended.stderr.strip().splitlines()]
    return f"exit code {ended.returncode}: " + " | ".join([*lines[:3], *lines[-1:]])


def _facts(judged: Judged, prepared: Sequence[dict[str, Any]]) -> list[Fact]:
    """What the oracle folds: the facts from before the run, and the events as they were sent.

    Only the time of an event that was sent without one is the server's; an event without a fact has none either.
    """
    before = [oracle.fact_as_told(fact, order) for order, fact in enumerate(reversed(prepared), start=1)]
    sent = []
    for event, fact in judged.accepted:
        occurred_at = event.timestamp
        if occurred_at is None and fact is not None:
            occurred_at = parse_timestamp(fact["occurred_at"])
        if occurred_at is not None:
            sent.append(oracle.fact_of_event(event, occurred_at, len(before) + 1 + event.number))
    return before + sent


def _game(document: dict[str, Any]) -> Game:
    checked = check(json.dumps(document))
    assert checked.game is not None, checked.mistakes  # noqa: S101
    return checked.game


def _first(errors: BaseExceptionGroup[Any]) -> BaseException:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _now() -> int:
    return time.time_ns() // 1000
