"""What is too much of a kind becomes a number; nothing is dropped without a word."""

import asyncio

import pytest
import structlog
from structlog.testing import capture_logs

from bq_server.runtime.sampled_log import BURST, LINES_A_SECOND, TELL_SECONDS, SampledLog


class Clock:
    """The loop's time, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)

    def pass_(self, seconds: float) -> None:
        self.now += seconds


pytestmark = pytest.mark.anyio


async def test_a_burst_is_written_in_full_and_what_follows_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    log = SampledLog("test")
    with capture_logs() as lines:
        for number in range(10_000):
            clock.pass_(1 / 1_000)
            log.warning("request.refused", code="unauthenticated", number=number)
        log.tell()
    written = [line for line in lines if line["event"] == "request.refused"]
    told = [line for line in lines if line["event"] == "log.held_back"]
    assert BURST + 10 * LINES_A_SECOND - 1 <= len(written) <= BURST + 10 * LINES_A_SECOND + 1
    assert [line["number"] for line in written[:BURST]] == list(range(BURST))
    assert len(written) + sum(line["lines"] for line in told) == 10_000
    assert {(line["of"], line["code"]) for line in told} == {("request.refused", "unauthenticated")}


async def test_kinds_do_not_hold_each_other_back(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    log = SampledLog("test")
    with capture_logs() as lines:
        for _ in range(BURST + 1):
            log.warning("request.refused", code="unauthenticated")
        log.warning("request.refused", code="not_found")
        log.error("request.failed", code="unauthenticated")
        log.info("request.abandoned")
        log.tell()
    others = [line for line in lines if (line["event"], line["code"]) != ("request.refused", "unauthenticated")]
    assert [(line["log_level"], line["event"]) for line in others] == [
        ("warning", "request.refused"),
        ("error", "request.failed"),
        ("info", "request.abandoned"),
        ("warning", "log.held_back"),
    ]


async def test_who_is_quiet_may_say_much_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    log = SampledLog("test")
    with capture_logs() as lines:
        for _ in range(2):
            for _ in range(BURST):
                log.warning("a")
            clock.pass_(BURST / LINES_A_SECOND)
        log.tell()
    assert len(lines) == 2 * BURST


async def test_what_was_held_back_is_told_without_being_asked() -> None:
    told = asyncio.get_running_loop().create_future()

    def heard(_: object, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if line["event"] == "log.held_back" and not told.done():
            told.set_result(line["lines"])
        raise structlog.DropEvent

    structlog.configure(processors=[heard])
    try:
        log = SampledLog("test")
        for _ in range(BURST + 7):
            log.warning("a")
        assert await asyncio.wait_for(told, 20 * TELL_SECONDS) == 7
    finally:
        structlog.reset_defaults()
