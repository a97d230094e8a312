"""The embedded stream server as it starts."""

import asyncio
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from bq_server.stream import embedded
from bq_server.stream.connection import StreamUnusable, connect
from bq_server.stream.embedded import EmbeddedValkey
from bq_server.stream.valkey_binary import server_binary

pytestmark = pytest.mark.anyio


def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let a script start in place of Valkey; `$VALKEY` in it is the real one."""
    path = tmp_path / "instead"
    path.write_text(f"#!/bin/sh\nVALKEY={server_binary()}\n{script}\n")
    path.chmod(0o700)
    monkeypatch.setattr(embedded, "server_binary", lambda: path)


async def test_it_is_started_again_when_somebody_kills_it_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead(tmp_path, monkeypatch, f'if mkdir {tmp_path}/once 2>/dev/null; then kill -9 $$; fi\nexec $VALKEY "$@"')
    valkey = EmbeddedValkey(tmp_path / "stream")
    await valkey.start()
    try:
        async with connect(valkey.url) as client:
            assert await client.ping()
    finally:
        await valkey.stop()


@pytest.mark.parametrize("error", [MemoryError(), subprocess.SubprocessError("no memory to fork"), OSError("none")])
async def test_it_is_started_again_though_there_was_no_memory_to_start_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    valkey = EmbeddedValkey(tmp_path / "stream")
    await valkey.start()
    spawn, failed = valkey._spawn, asyncio.Event()

    def without_memory() -> None:
        monkeypatch.setattr(valkey, "_spawn", spawn)
        failed.set()
        raise error

    try:
        monkeypatch.setattr(valkey, "_spawn", without_memory)
        assert valkey.pid is not None
        os.kill(valkey.pid, signal.SIGKILL)
        async with asyncio.timeout(60):
            await failed.wait()
            while not await valkey._answers():
                await asyncio.sleep(0.01)
    finally:
        await valkey.stop()


async def test_it_gives_up_when_it_is_killed_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(tmp_path, monkeypatch, "kill -9 $$")
    with pytest.raises(StreamUnusable, match="killed by signal 9"):
        await EmbeddedValkey(tmp_path / "stream").start()


async def test_what_ends_by_itself_is_not_tried_again_and_its_log_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead(tmp_path, monkeypatch, f"mkdir {tmp_path}/once && echo 'no memory' > {tmp_path}/stream/valkey.log\nexit 3")
    with pytest.raises(StreamUnusable, match="exited with code 3: no memory"):
        await EmbeddedValkey(tmp_path / "stream").start()


@pytest.mark.parametrize("long_temporary", [False, True])
async def test_a_path_too_long_for_a_socket_gets_a_shorter_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long_temporary: bool
) -> None:
    temporary = tmp_path.joinpath(*["temporary"] * 12) if long_temporary else Path("/tmp")
    temporary.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    valkey = EmbeddedValkey(tmp_path.joinpath(*["directory"] * 12))
    await valkey.start()
    try:
        assert valkey.url.startswith("unix:///tmp/bq-")
        async with connect(valkey.url) as client:
            assert await client.ping()
    finally:
        await valkey.stop()
    assert not Path(valkey.url.removeprefix("unix://")).parent.exists()
