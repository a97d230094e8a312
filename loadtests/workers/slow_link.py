"""A way to a server that takes longer: what is sent to it arrives so many milliseconds later. It is a process."""

import asyncio
import multiprocessing
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

CHUNK = 1 << 16


@contextmanager
def slow_link(socket: Path, milliseconds: float) -> Iterator[int]:
    """A port of this machine that leads to a Unix socket, that much more slowly."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(there, socket, milliseconds / 1000))
    process.start()
    try:
        yield int(here.recv())
    finally:
        process.kill()
        process.join()


def _run(told: Connection, socket: Path, seconds: float) -> None:
    uvloop.run(_serve(told, socket, seconds))


async def _serve(told: Connection, socket: Path, seconds: float) -> None:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, asks = await asyncio.open_unix_connection(socket)
        await asyncio.gather(_pass_on(reader, asks, seconds), _pass_on(answers, writer, 0.0))

    async with await asyncio.start_server(forward, "127.0.0.1", 0) as server:
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Pass on what comes, each piece after that time."""
    loop, on_the_way = asyncio.get_running_loop(), deque[bytes]()

    def arrive() -> None:
        piece = on_the_way.popleft()
        if piece:
            writer.write(piece)
        else:
            writer.close()

    while True:
        try:
            piece = await reader.read(CHUNK)
        except ConnectionError:
            piece = b""
        on_the_way.append(piece)
        if seconds:
            loop.call_later(seconds, arrive)
        else:
            arrive()
        if not piece:
            return
