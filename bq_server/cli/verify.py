"""`bq-server verify` and `bq-server replay`: state compared with facts, and rebuilt from them."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import Struct, field

from bq_server.cli.options import STORE, complete, fail, with_settings
from bq_server.cli.words import json_text, printable
from bq_server.settings import Settings

if TYPE_CHECKING:
    from bq_server.events import Scope
    from bq_server.game.verification import Difference
    from bq_server.store.backend import StoreAddress
    from bq_server.store.database import Database

LINE_EVERY = 10_000
"""Participants between two lines of progress, if there is no terminal for a bar."""
SHOWN_CHARACTERS = 200
"""Most characters of a value on a line; `--json` has all of it."""


@with_settings(STORE)
def verify(
    settings: Settings,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of lines.")] = False,
) -> None:
    """Recompute every participant from facts and compare with the stored state. Works while a server runs.

    Each fact is first compared with its checksum, so that one whose bytes were changed is named.
    Exits 1 on a difference, 2 if it can't run. Awards given before a late fact or a new game changed the story are
    kept: they are counted separately, and not as differences.
    """
    report = _Report(as_json)
    complete(_verify(_store(settings, 2), report))
    report.end()
    if report.differences:
        raise typer.Exit(1)


@with_settings(STORE)
def replay(settings: Settings) -> None:
    """Rebuild all state from facts, while no server runs. Awards already given stay.

    If it is interrupted, what it has reported is done; run it again for the rest.
    """
    from bq_server.runtime.data_directory import DataDirectory, DataDirectoryUnusable

    address = _store(settings, 1)
    with ExitStack() as stack:
        if settings.store_url is None:
            try:
                stack.enter_context(DataDirectory(settings.data_dir).locked())
            except DataDirectoryUnusable as error:
                fail(str(error))
        complete(_replay(address))


async def _verify(address: "StoreAddress", report: "_Report") -> None:
    from bq_server.audit.verification import Verifier
    from bq_server.game.verification import Difference

    async with _opened(address, may_migrate=False, code=2) as database:
        verifier = Verifier(database)
        for scope in await verifier.scopes():
            altered: set[str | None] = set()
            async for fact in verifier.altered(scope):
                altered.add(fact.participant_id)
                changed = Difference(f"fact/{fact.fact_id}", "bytes that don't match its checksum", "as it was written")
                report.take(scope, fact.participant_id or "", [changed])
            with _progress(f"{_name(scope)}: verified", await verifier.count(scope)) as advance:
                async for each in verifier.participants(scope, altered):
                    report.take(scope, each.participant_id, each.differences)
                    report.participants += 1
                    report.kept.update((_name(scope), _award(kept.key)) for kept in each.kept)
                    report.pending.update((_name(scope), definition) for definition in each.pending)
                    advance()
            async for place in verifier.strays(scope):
                key = "/".join(("standings", place.board, place.window, place.period))
                stray = Difference(key, [place.score, place.reached_at], None)
                report.take(scope, place.participant_id, [stray])
            report.take(scope, "", await verifier.teams(scope))
            for wrong in await verifier.miscounts(scope):
                report.take(scope, "", [Difference(f"sections/{wrong.ranking}", wrong.counted, wrong.places)])


async def _replay(address: "StoreAddress") -> None:
    from bq_server.audit.rebuild import Rebuilder
    from bq_server.audit.verification import Verifier
    from bq_server.clock import system_clock
    from bq_server.ids import IdSource
    from bq_server.store.audit_log import Act, Actor

    async with _opened(address, may_migrate=True, code=1) as database:
        verifier, rebuilder = Verifier(database), Rebuilder(database, IdSource(), system_clock)
        for scope in await verifier.scopes():
            done, changed, count = 0, 0, await verifier.count(scope)
            async with database.transaction() as connection:
                begun = Act("state_replay_begun", scope, Actor(command="replay"), system_clock)
                await begun.keep(connection, participants=count)
            with _progress(f"{_name(scope)}: replayed", count) as advance:
                async for was_changed in rebuilder.participants(scope):
                    done, changed = done + 1, changed + was_changed
                    advance()
            strays = await rebuilder.strays(scope)
            await rebuilder.teams(scope)
            await rebuilder.miscounts(scope)
            gone = f"; {strays} places removed from rankings" if strays else ""
            typer.echo(f"{_name(scope)}: {done} participants replayed, {changed} of them changed{gone}")
            act = Act("state_replayed", scope, Actor(command="replay"), system_clock)
            async with database.transaction() as connection:
                await act.keep(connection, participants=done, changed=changed)


class _Report(Struct):
    """What was found, printed as it is found, so that the document is never held in memory."""

    as_json: bool
    participants: int = 0
    differences: int = 0
    kept: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many, by environment and award."""
    pending: set[tuple[str, str]] = field(default_factory=set)

    def take(self, scope: "Scope", participant_id: str, differences: "list[Difference]") -> None:
        for each in differences:
            self.differences += 1
            if self.as_json:
                found = {
                    "project": scope.project,
                    "environment": scope.environment,
                    "participant_id": participant_id,
                    "key": each.key,
                    "stored": each.stored,
                    "expected": each.expected,
                }
                start = ",\n  " if self.differences > 1 else '{"differences": [\n  '
                typer.echo(start + json_text(found), nl=False)
            else:
                stored, expected = _shown(each.stored), _shown(each.expected)
                told = f"{_name(scope)} {participant_id} {each.key}: stored {stored}, expected {expected}"
                typer.echo(printable(told))

    def end(self) -> None:
        if self.as_json:
            rest = {
                "kept": [
                    {"environment": name, "award": award, "count": count}
                    for (name, award), count in sorted(self.kept.items())
                ],
                "left_out": [{"environment": name, "definition": each} for name, each in sorted(self.pending)],
                "participants": self.participants,
            }
            start = "\n], " if self.differences else '{"differences": [], '
            typer.echo(start + json_text(rest)[1:])
            return
        for name, each in sorted(self.pending):
            typer.echo(f"{name} {each}: left out, it is still being recomputed")
        for (name, award), count in sorted(self.kept.items()):
            typer.echo(f"{name} {award}: {count} kept, given before the story changed")
        found = f"{self.differences} differences" if self.differences else "no difference"
        typer.echo(f"{self.participants} participants verified: {found}, {self.kept.total()} kept awards")


def _store(settings: Settings, code: int) -> "StoreAddress":
    from bq_server.runtime.data_directory import DataDirectory, DataDirectoryUnusable
    from bq_server.runtime.logs import configure

    configure(settings.log_format, settings.log_level)
    directory = DataDirectory(settings.data_dir)
    try:
        directory.require_store(settings.store_url)
    except DataDirectoryUnusable as error:
        fail(str(error), code)
    return directory.store(settings.store_url)


@asynccontextmanager
async def _opened(address: "StoreAddress", *, may_migrate: bool, code: int) -> "AsyncIterator[Database]":
    from bq_server.store.database import Database, StoreUnavailable
    from bq_server.store.migrations import SchemaTooNew, SchemaTooOld

    try:
        async with Database.open(address, may_migrate=may_migrate) as database:
            if may_migrate:
                await database.hold()
            yield database
    except SchemaTooOld:
        fail("the database is older than this bq-server: start the server once to upgrade it", code)
    except (SchemaTooNew, StoreUnavailable) as error:
        fail(str(error), code)


@contextmanager
def _progress(what: str, total: int) -> "Iterator[Any]":
    """Returns what to call after each participant: a bar on a terminal, occasional lines anywhere else."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    if typer.get_text_stream("stderr").isatty():
        console = Console(stderr=True)
        with Progress(
            *Progress.get_default_columns(), MofNCompleteColumn(), console=console, transient=True
        ) as progress:
            task = progress.add_task(what, total=total)
            yield lambda: progress.advance(task)
        return
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if done % LINE_EVERY == 0:
            typer.echo(f"{what} {done} of {total}", err=True)

    yield advance
    typer.echo(f"{what} {done} of {max(done, total)}", err=True)


def _name(scope: "Scope") -> str:
    return f"{scope.project}/{scope.environment}"


def _award(key: str) -> str:
    """An award, whichever fact caused it."""
    from bq_server import causes

    kind, _, cause = key.partition("/")
    return f"{kind}/{causes.of_any_fact(cause)}" if kind == "ledger" else key


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
