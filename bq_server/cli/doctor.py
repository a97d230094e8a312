"""`bq-server doctor`: what this machine and data directory offer the server, and what is wrong with them."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bq_server.cli.options import complete, reveal, with_settings
from bq_server.settings import Settings

if TYPE_CHECKING:
    from bq_server.runtime.data_directory import DataDirectory
    from bq_server.runtime.diagnosis import Finding
    from bq_server.store.backend import StoreAddress
    from bq_server.stream.connection import Durability


@with_settings(["host", "port", "data_dir", "store_url", "redis_url", "redis_prefix", "durability"])
def doctor(
    settings: Settings,
    acknowledge: Annotated[
        bool, typer.Option("--acknowledge", help="Confirm that you know about the events lost from the stream.")
    ] = False,
) -> None:
    """Check this machine and the data directory; print one line per finding, with what to do.

    Exits 1 if there is a problem; warnings don't count. Give it the same settings as `serve`.
    """
    from bq_server import __version__

    typer.echo(f"bq-server {__version__}")
    problems = 0
    for finding in _findings(settings, acknowledge=acknowledge):
        typer.echo(f"{finding.level:<8} {finding.what:<11} {finding.said}")
        problems += finding.level == "problem"
    if problems:
        typer.echo(f"bq-server: {problems} problem{'s' if problems > 1 else ''}, see above", err=True)
        raise typer.Exit(1)


def _findings(settings: Settings, *, acknowledge: bool) -> "Iterator[Finding]":
    import platform

    from bq_server.runtime import diagnosis
    from bq_server.runtime.data_directory import DataDirectory
    from bq_server.runtime.diagnosis import Finding
    from bq_server.runtime.frozen import built_from, is_frozen
    from bq_server.store import sqlite

    trouble = sqlite.problem()
    yield Finding("problem" if trouble else "ok", "SQLite", trouble or f"{sqlite.VERSION} ({sqlite.ORIGIN})")
    yield diagnosis.glibc(platform.libc_ver(), frozen=is_frozen())
    yield diagnosis.temporary(one_file=built_from() == "onefile")
    yield diagnosis.files(diagnosis.open_files())
    directory = DataDirectory(settings.data_dir)
    address = directory.store(settings.store_url)
    state, served = _state(directory, embedded=settings.redis_url is None and settings.store_url is None)
    yield state
    yield from _access(directory)
    yield diagnosis.disk(settings.data_dir)
    store = None if settings.store_url is None else _store(address)
    if store is not None:
        yield store
    there = directory.database.exists() if store is None else store.level == "ok"
    if state.level == "ok":
        yield from _moments(directory, address if there else None)
    if store is None and there:
        yield _damage(directory)
    if there:
        yield from _losses(address, acknowledge=acknowledge)
    yield diagnosis.port(settings.host, settings.port, served=served)
    yield from _stream(settings, directory.stream if served else None)
    yield from _elsewhere(settings, directory)


def _state(directory: "DataDirectory", *, embedded: bool) -> "tuple[Finding, bool]":
    """Whether the data directory is new, ready or unusable, and whether a server is using it."""
    from bq_server.runtime.data_directory import DataDirectoryUnusable
    from bq_server.runtime.diagnosis import Finding, writable

    where = directory.path.resolve()
    new = not directory.path.exists()
    try:
        if directory.path.is_dir():
            with directory.locked():
                if embedded:
                    directory.require_facts_of_stream()
    except DataDirectoryUnusable as error:
        if "another bq-server" in str(error):
            return Finding("ok", "data", f"{where} (in use by a running server)"), True
        return Finding("problem", "data", str(error)), False
    if (reason := writable(directory.path)) is not None:
        advice = "make the user who runs this its owner, or choose another with --data-dir"
        if reason == os.strerror(errno.ENOSPC):
            advice = "make room on its disk"
        return Finding("problem", "data", f"{where} can't be written ({reason}): {advice}"), False
    return Finding("ok", "data", f"{where} ({'new' if new else 'ready'})"), False


def _access(directory: "DataDirectory") -> "Iterator[Finding]":
    """Whether others can read what the server keeps. A start restricts what it can."""
    from bq_server.runtime.data_directory import OPEN_ADVICE
    from bq_server.runtime.diagnosis import Finding

    if found := directory.open_to_others():
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        said = f"{found[0]}{more}: {OPEN_ADVICE}"
        yield Finding("warning", "access", said)


def _store(address: "StoreAddress") -> "Finding":
    """Whether the server that keeps the store is there and will do."""
    from bq_server.runtime.diagnosis import Finding
    from bq_server.store.backend import backend_of
    from bq_server.store.database import StoreUnavailable

    backend = backend_of(address)
    try:
        backend.check(may_write=True)
    except StoreUnavailable as error:
        return Finding("problem", "store", str(error))
    return Finding("ok", "store", backend.name)


def _moments(directory: "DataDirectory", address: "StoreAddress | None") -> "Iterator[Finding]":
    """The database, if there is one, and the clock, compared with the times recorded in it."""
    import sys

    from bq_server.clock import system_clock
    from bq_server.runtime import diagnosis
    from bq_server.runtime.frozen import is_frozen
    from bq_server.store.database import StoreUnavailable
    from bq_server.store.database_copy import newest_processing

    newest = None
    # Before the database is opened, which may write to it.
    written = diagnosis.last_written([*directory.path.glob("facts.sqlite3*"), *directory.path.glob("stream/**/*")])
    if address is not None:
        try:
            newest = newest_processing(address)
        except StoreUnavailable as error:
            yield diagnosis.Finding("problem", "database", str(error))
    program = diagnosis.last_written([Path(sys.executable if is_frozen() else __file__)])
    yield diagnosis.clock(system_clock(), newest, written, program)


def _damage(directory: "DataDirectory") -> "Finding":
    """Read every page of the database; this takes a while if it is large."""
    from bq_server.runtime.diagnosis import Finding
    from bq_server.store.damage import Search
    from bq_server.store.database import StoreUnavailable

    try:
        found = Search(directory.database).run()
    except StoreUnavailable as error:
        found = str(error)
    return Finding("problem", "pages", found) if found else Finding("ok", "pages", "no damage found")


def _losses(address: "StoreAddress", *, acknowledge: bool) -> "Iterator[Finding]":
    """What was lost from the stream."""
    from bq_server.clock import system_clock
    from bq_server.moments import format_timestamp
    from bq_server.runtime.diagnosis import Finding
    from bq_server.store.audit_log import Act, Actor
    from bq_server.store.database import StoreUnavailable
    from bq_server.store.database_copy import acknowledge_losses, open_losses

    try:
        found = open_losses(address)
        if acknowledge and found:
            act = Act("losses_acknowledged", None, Actor(command="doctor --acknowledge"), system_clock)
            # What is told is what was acknowledged: the server may have noticed more since.
            found = acknowledge_losses(address, system_clock(), act)
    except StoreUnavailable as error:
        yield Finding("problem", "losses", str(error))
        return
    for loss in found:
        said = f"{loss.summary} ({format_timestamp(loss.noticed_at)})"
        if acknowledge:
            yield Finding("warning", "losses", f"{said}; acknowledged")
        else:
            yield Finding("problem", "losses", f"{said}; confirm that you know about it with --acknowledge")


def _stream(settings: Settings, running: Path | None) -> "Iterator[Finding]":
    from bq_server.runtime.diagnosis import Finding
    from bq_server.stream.connection import StreamUnavailable, StreamUnusable

    try:
        durability = complete(_durability(settings, running))
    except (StreamUnavailable, StreamUnusable, OSError) as error:
        yield Finding("problem", "stream", str(error))
        return
    yield Finding("ok", "stream", durability.server + ("" if settings.redis_url else " (embedded)"))
    if durability.may_evict:
        said = f"maxmemory-policy {durability.maxmemory_policy} may drop the stream: set it to noeviction"
        yield Finding("problem", "memory", said)
    weak = durability.promise.startswith("none")
    yield Finding("warning" if weak else "ok", "durability", durability.promise)


def _elsewhere(settings: Settings, directory: "DataDirectory") -> "Iterator[Finding]":
    """Other streams in which events of this data directory may be waiting."""
    from bq_server.runtime.diagnosis import Finding
    from bq_server.runtime.streams_used import place_of

    place = place_of(reveal(settings.redis_url), settings.redis_prefix)
    try:
        others = directory.whereabouts.others(place)
    except OSError:
        return  # what is wrong with the directory was reported above
    for other in others:
        yield Finding("warning", "elsewhere", directory.waiting_elsewhere(other))


async def _durability(settings: Settings, running: Path | None) -> "Durability":
    """Ask the named server, or the one that runs in that directory, or one started for this purpose.

    Where a replica must keep up, that one does is tried as well.
    """
    from bq_server.stream.cluster import keys_at
    from bq_server.stream.connection import READ_TIMEOUT, asking, connect, inspect
    from bq_server.stream.embedded import EmbeddedValkey
    from bq_server.stream.replicas import Replicas

    url = chosen = reveal(settings.redis_url)
    async with AsyncExitStack() as stack:
        if url is None and running is not None:
            url = EmbeddedValkey(running).url
        elif url is None:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="bq-doctor-"))
            valkey = EmbeddedValkey(Path(scratch))
            stack.push_async_callback(valkey.stop)
            await valkey.start()
            url = valkey.url
        client = await stack.enter_async_context(connect(url, timeout=READ_TIMEOUT))
        durability = await inspect(client, chosen, replicated=settings.durability == "replica")
        if durability.replicated:
            with asking():
                await Replicas(client, keys_at(chosen, settings.redis_prefix)).check()
        return durability
