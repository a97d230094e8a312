"""A test environment that is exported, and imported elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bq_server.refusals import Code
from tests.support.client import Json, Project, event
from tests.support.problems import check
from tests.support.sandbox import GAME, advance, buy, export, import_lines, set_clock, state


def nested(levels: int) -> Json:
    """Objects in objects."""
    found: Json = {}
    for _ in range(levels - 1):
        found = {"in": found}
    return found


BEYOND_ALL_BOUNDS: list[tuple[str, Json]] = [
    ("streak_freeze_used", {"streak_code": "daily", "starts_at": 10**30}),
    ("points_expired", {"amount": 10**30}),
    ("reward_claimed", {"reward_code": "mug", "cost": 10**30}),
]
"""Properties of facts that no sum and no calendar takes."""


def without_ids(lines: list[Json]) -> list[Json]:
    """An export but for its head and what is new with every import."""
    return [
        {"fact": {name: value for name, value in line["fact"].items() if name not in ("fact_id", "processed_at")}}
        if "fact" in line
        else line
        for line in lines[1:]
    ]


class TestExportAndImport:
    @contextmanager
    def _story(self, bq: Project) -> Iterator[list[Json]]:
        """An environment with a game that was changed on the way, a profile, and facts of our own."""
        set_clock(bq, "2026-04-10T12:00:00Z")
        first = {name: GAME[name] for name in ("points", "tiers")}
        bq.apply(first)
        for number in range(3):
            bq.send(buy(idempotency_key=f"k{number}", timestamp=f"2026-04-0{7 + number}T10:00:00Z"))
        bq.post(
            "/gamify/participants", {"participant_id": "user_123", "display_name": "Ada ✨", "timezone": "Asia/Tokyo"}
        )
        bq.post("/gamify/participants", {"participant_id": "idle", "attributes": {"team": "blue"}})
        bq.drain()
        bq.apply(GAME)
        bq.post("/gamify/challenges/club/enrol", {"participant_id": "user_123"})
        bq.post("/gamify/points/award", {"participant_id": "user_123", "amount": 3, "reason": "thanks"})
        for number in range(3, 6):
            bq.send_sync(buy(idempotency_key=f"k{number}"))
            advance(bq, "P1D")
        yield export(bq)

    def test_what_is_laid_into_an_emptied_environment_is_what_was_there(self, bq: Project) -> None:
        with self._story(bq) as lines:
            whole = state(bq), bq.participant("idle"), bq.get("/gamify/leaderboards/ever").json()
            ledger = [entry["amount"] for entry in bq.participant("user_123", "/points/transactions")["transactions"]]
            now = bq.get("/sandbox/clock").json()["now"]
            bq.post("/sandbox/reset", {"game": True})
            set_clock(bq, now)
            answer = import_lines(bq, lines)
            assert answer.json() == {"facts": 10, "participants": 2, "game": True, "warnings": []}
            assert (state(bq), bq.participant("idle"), bq.get("/gamify/leaderboards/ever").json()) == whole
            again = [entry["amount"] for entry in bq.participant("user_123", "/points/transactions")["transactions"]]
            assert again == ledger
            repeated = bq.send_sync(buy(idempotency_key="k3"))
            assert repeated.headers["Idempotent-Replayed"] == "true"
            assert without_ids(export(bq)) == without_ids(lines)

    def test_another_environment_of_the_same_server_can_have_it(self, bq: Project, other_bq: Project) -> None:
        with self._story(bq) as lines:
            set_clock(other_bq, bq.get("/sandbox/clock").json()["now"])
            assert import_lines(other_bq, lines).json()["facts"] == 10
            assert state(other_bq) == state(bq)
            assert not {fact["event_id"] for fact in other_bq.facts()} & {fact["event_id"] for fact in bq.facts()}

    def test_an_environment_with_facts_takes_none(self, bq: Project) -> None:
        with self._story(bq) as lines:
            check(import_lines(bq, lines), Code.NOT_EMPTY)
            assert len(bq.facts()) == 10

    def test_every_wrong_line_is_told_and_nothing_is_done(self, bq: Project) -> None:
        with self._story(bq) as lines:
            bq.post("/sandbox/reset", {})
            fact = next(line for line in lines if "fact" in line)
            other = next(line for line in reversed(lines) if "fact" in line)["fact"]
            wrong: list[Json] = [
                {"bq_export": 99, "bq_server": "9", "exported_at": "2026-04-10T12:00:00Z"},
                {"nothing": 1},
                fact,
                fact,
                {"fact": fact["fact"] | {"fact_type": "system.unheard_of"}},
                {"fact": fact["fact"] | {"occurred_at": "yesterday"}},
                {"game": {"badges": [{"code": "x"}]}},
                {"participant": {"participant_id": "", "created_at": "2026-04-10T12:00:00Z"}},
                {"fact": other | {"warnings": [{"x": 1}]}},
                {"fact": other | {"fact_type": "system.points_awarded", "properties": {"amount": -5}}},
                {"fact": other | {"fact_type": "system.timezone_changed", "properties": {"timezone": 5}}},
                {"fact": other, "participant": {}},
                {"fact": other, "junk": 1},
                {"fact": other | {"properties": nested(34)}},
            ]
            problem = check(import_lines(bq, wrong), Code.VALIDATION_FAILED)
            told = [each["field"].split(":")[0] for each in problem["errors"]]
            assert set(told) == {f"line {number}" for number in (1, 2, *range(4, 15))}
            assert bq.facts() == []
            assert bq.game()["game"]["points"][0]["code"] == "spend"

    @pytest.mark.parametrize(("kind", "properties"), BEYOND_ALL_BOUNDS)
    def test_what_no_sum_and_no_calendar_takes_is_told(self, bq: Project, kind: str, properties: Json) -> None:
        bq.send_sync(buy())
        head, *_, fact, _ = export(bq)
        bq.post("/sandbox/reset", {})
        wrong = {"fact": fact["fact"] | {"fact_type": f"system.{kind}", "properties": properties}}
        problem = check(import_lines(bq, [head, wrong]), Code.VALIDATION_FAILED)
        assert [each["field"] for each in problem["errors"]] == [f"line 2: properties.{list(properties)[-1]}"]

    @pytest.mark.parametrize("fact_id", ["", "f" * 256])
    def test_an_id_that_nobody_could_ask_for_is_refused(self, bq: Project, fact_id: str) -> None:
        bq.send_sync(buy())
        head, *_, fact, _ = export(bq)
        bq.post("/sandbox/reset", {})
        problem = check(import_lines(bq, [head, {"fact": fact["fact"] | {"fact_id": fact_id}}]), Code.VALIDATION_FAILED)
        assert [each["field"] for each in problem["errors"]] == ["line 2: fact_id"]

    @pytest.mark.parametrize("body", [b"", b"\n\n", b"{", b"[]", b"\xff"])
    def test_what_is_no_export_is_refused(self, bq: Project, body: bytes) -> None:
        headers = {"Content-Type": "application/x-ndjson"}
        check(bq.request("POST", "/sandbox/import", content=body, headers=headers), Code.VALIDATION_FAILED)

    def test_a_body_of_another_type_is_refused(self, bq: Project) -> None:
        headers = {"Content-Type": "text/plain"}
        check(bq.request("POST", "/sandbox/import", content=b"{}", headers=headers), Code.UNSUPPORTED_MEDIA_TYPE)

    def test_what_an_event_may_nest_can_be_carried(self, bq: Project) -> None:
        deepest = nested(32)
        assert bq.send_sync(event(properties=deepest)).status_code == 200
        about = {"participant_id": "user_123", "attributes": nested(31)}
        assert bq.post("/gamify/participants", about).is_success
        bq.post("/gamify/points/award", {"participant_id": "user_123", "amount": 1, "metadata": nested(30)})
        lines = export(bq)
        bq.post("/sandbox/reset", {})
        assert import_lines(bq, lines).json()["facts"] == 3
        assert without_ids(export(bq)) == without_ids(lines)

    def test_empty_lines_say_nothing(self, bq: Project) -> None:
        bq.send_sync(buy())
        text = bq.get("/sandbox/export").text
        bq.post("/sandbox/reset", {})
        content = "\n\r\n" + text.replace("\n", "\r\n\r\n")
        headers = {"Content-Type": "application/x-ndjson"}
        assert bq.request("POST", "/sandbox/import", content=content, headers=headers).json()["facts"] == 1

    @pytest.mark.parametrize("kept", [1, 2, -1])
    def test_one_that_was_cut_at_the_end_of_a_line_is_refused(self, bq: Project, kept: int) -> None:
        bq.send_sync(buy())
        lines = export(bq)
        bq.post("/sandbox/reset", {})
        problem = check(import_lines(bq, lines[:kept]), Code.VALIDATION_FAILED)
        assert [each["code"] for each in problem["errors"]] == ["missing"]
        assert "cut short" in problem["detail"]
        assert bq.facts() == []
        # As it says: without the first line, what is there can be imported.
        if lines[1:kept]:
            answer = import_lines(bq, lines[1:kept]).json()
            assert "cut short" in answer["warnings"][0]

    def test_one_from_which_a_line_was_removed_is_refused(self, bq: Project) -> None:
        bq.send_sync(buy())
        lines = export(bq)
        assert lines[-1] == {"end_of_export": {"lines": len(lines) - 1}}
        bq.post("/sandbox/reset", {})
        problem = check(import_lines(bq, [*lines[:-2], lines[-1]]), Code.VALIDATION_FAILED)
        assert [each["field"] for each in problem["errors"]] == [f"line {len(lines) - 1}: end_of_export.lines"]
        assert bq.facts() == []

    @pytest.mark.parametrize("end", [{}, {"lines": "2"}, {"lines": -1}, {"lines": 2, "x": 1}, 2, None])
    def test_a_closing_line_that_counts_nothing_is_refused(self, bq: Project, end: object) -> None:
        bq.send_sync(buy())
        lines = export(bq)
        bq.post("/sandbox/reset", {})
        check(import_lines(bq, [*lines[:-1], {"end_of_export": end}]), Code.VALIDATION_FAILED)
        assert bq.facts() == []

    def test_nothing_may_follow_the_closing_line(self, bq: Project) -> None:
        bq.send_sync(buy())
        lines = export(bq)
        bq.post("/sandbox/reset", {})
        problem = check(import_lines(bq, lines + lines), Code.VALIDATION_FAILED)
        assert {each["code"] for each in problem["errors"]} == {"misplaced"}

    def test_an_export_of_an_older_version_is_imported_with_a_warning(self, bq: Project) -> None:
        bq.send_sync(buy())
        head, *middle, _ = export(bq)
        bq.post("/sandbox/reset", {})
        answer = import_lines(bq, [head | {"bq_export": 1, "bq_server": "0.2.0"}, *middle])
        assert (answer.status_code, answer.json()["facts"]) == (200, 1)
        assert "nobody can tell whether they were cut short" in answer.json()["warnings"][0]
