"""What must not end is begun anew, whatever it failed of."""

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from bq_server.concurrency.supervision import keep_running, pause

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("error", [MemoryError, RuntimeError("can't start new thread"), None])
async def test_work_that_ends_is_begun_anew_and_what_it_failed_of_is_logged(error: Exception | None) -> None:
    begun = 0
    goes_on = asyncio.Event()

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun < 3:
            if error is not None:
                raise error
            return
        goes_on.set()
        await asyncio.Event().wait()

    with capture_logs() as lines:
        task = asyncio.create_task(keep_running(work, again_seconds=0.0))
        await goes_on.wait()
        task.cancel()
        await asyncio.wait({task})
    assert task.cancelled()
    assert [line["event"] for line in lines] == ["work.broke"] * (0 if error is None else 2)


async def test_a_pause_without_memory_waits_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(_: float) -> None:
        raise MemoryError

    waited: list[float] = []
    monkeypatch.setattr(asyncio, "sleep", none)
    monkeypatch.setattr(time, "sleep", waited.append)
    await pause(9.0)
    assert waited == [0.05], "with no memory the loop is held for a moment only"
