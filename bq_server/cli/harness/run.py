"""`bq-server harness run` and `bq-server harness schema`."""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bq_server.cli.options import consent, fail

if TYPE_CHECKING:
    from harness.private_server import PrivateServer
    from harness.stories.report import Report
    from harness.stories.scenario import Scenario
    from harness.stories.story_run import ServerUnderTest
    from harness.stories.surroundings import Surroundings

INTERRUPTED = 130


class _Mode(StrEnum):
    STREAM = "stream"
    SYNC = "sync"
    BOTH = "both"
    SHUFFLED = "shuffled"


PATHS = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[PATH]...", help="Scenario files, and directories of them; by default the shipped set."),
]
MODE = Annotated[
    _Mode,
    typer.Option(
        help="How events are sent: through the stream; through sync; both, comparing the results; "
        "shuffled and repeated, comparing with the ordered story."
    ),
]
URL = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="BQ_URL",
        help="A running server; its test environment is emptied, its game and clock are restored afterwards. "
        "If only the variable names it, the command asks first. By default: a private server.",
    ),
]
API_KEY = Annotated[
    str | None, typer.Option("--api-key", envvar="BQ_API_KEY", help="A bq_test_ key of that server, with every scope.")
]
YES = Annotated[bool, typer.Option("--yes", help="Empty the environment that the variable names without asking.")]
SELECT = Annotated[
    str | None,
    typer.Option("-k", metavar="EXPR", help="Only those whose name or path contains these words: and, or, not, ( )."),
]
WORKERS = Annotated[
    int,
    typer.Option("-j", metavar="N", min=1, max=64, help="Scenarios at a time, each on its own server; not with --url."),
]
JUNIT = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Also write JUnit's XML.")]
AS_JSON = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of lines.")]
SEED = Annotated[int | None, typer.Option("--seed", metavar="N", help="Shuffle as in the run that printed this seed.")]


def run(
    context: typer.Context,
    paths: PATHS = None,
    mode: MODE = _Mode.STREAM,
    url: URL = None,
    api_key: API_KEY = None,
    yes: YES = False,
    k: SELECT = None,
    j: WORKERS = 1,
    junit: JUNIT = None,
    as_json: AS_JSON = False,
    seed: SEED = None,
) -> None:
    """Play scenarios: stories of events with their expected outcome."""
    import secrets
    import time
    from contextlib import closing

    from harness.private_server import ServerFailed
    from harness.stories.report import Report, telling
    from harness.stories.story_run import run as play_all

    scenarios = _scenarios(paths, k)
    if junit is not None and not junit.absolute().parent.is_dir():
        fail(f"--junit {junit}: there is no such directory", code=2)
    source = context.get_parameter_source("url")
    pointed_at = yes or (source is not None and source.name == "COMMANDLINE")
    targets, found = _targets(url, api_key, min(j, len(scenarios)), asked=j, pointed_at=pointed_at)
    report = Report(mode.value, secrets.randbits(32) if seed is None else seed, len(scenarios))
    start = time.perf_counter()
    code = 0
    try:
        with (
            telling(len(scenarios), silent=as_json) as tell,
            closing(play_all(scenarios, targets, report.mode, report.seed)) as outcomes,
        ):
            for outcome in outcomes:
                report.outcomes.append(outcome)
                tell(outcome)
    except ServerFailed as error:
        typer.echo(f"bq-server: {error}", err=True)
        code = 2
    except KeyboardInterrupt:
        typer.echo("bq-server: interrupted", err=True)
        code = INTERRUPTED
    finally:
        report.seconds = time.perf_counter() - start
        if found is not None and not _put_back(targets, found):
            code = 2
        _conclude(report, junit, as_json=as_json)
    raise typer.Exit(code or (1 if report.failed else 0))


def schema() -> None:
    """Print the JSON Schema of the scenario document, for editors that complete it."""
    from harness.stories.scenario import scenario_schema

    typer.echo(json.dumps(scenario_schema(), indent=2, ensure_ascii=False))


def _scenarios(paths: list[Path] | None, expression: str | None) -> "list[Scenario]":
    """The scenarios to play; ends the program when there is none, or a mistake in any."""
    from harness.selector import selector
    from harness.stories.documents import by_place_in_source, find
    from harness.stories.shipped import shipped

    try:
        chosen = selector(expression) if expression is not None else lambda _: True
    except ValueError as error:
        fail(f"-k {expression!r}: {error}", code=2)
    places = paths or [shipped()]
    found, mistakes = find(places)
    for mistake in mistakes:
        typer.echo(str(mistake), err=True)
    if mistakes:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        fail(f"{count}; nothing was played", code=2)
    scenarios = [each for each in found if chosen(f"{_within(each.path, places)} {each.name}")]
    if not found:
        fail(f"there is no scenario in {', '.join(map(str, places))}", code=2)
    if not scenarios:
        fail(f"none of {len(found)} scenarios is selected by -k {expression!r}", code=2)
    return scenarios if paths else [by_place_in_source(each) for each in scenarios]


def _within(path: Path, places: list[Path]) -> Path:
    """The path relative to the given directory, whose location says nothing about the scenario."""
    return next((path.relative_to(place) for place in places if place in path.parents), path)


def _targets(
    url: str | None, key: str | None, count: int, *, asked: int, pointed_at: bool
) -> "tuple[list[ServerUnderTest] | list[PrivateServer], Surroundings | None]":
    """Where to play, and what to restore there; ends the program if the server isn't there or refuses.

    A server named only by the environment is emptied only if nothing is lost, or with consent.
    """
    from harness.client import Client, Refused, Unreachable
    from harness.private_server import PrivateServer
    from harness.stories.story_run import ServerUnderTest
    from harness.stories.surroundings import Surroundings

    if url is None:
        return [PrivateServer() for _ in range(count)], None
    if not url.startswith(("http://", "https://")):
        fail(f"--url {url} must start with http:// or https://", code=2)
    if asked > 1:
        fail(
            f"-j {asked} can't be used with --url: every scenario empties the environment, "
            "which the others would be using",
            code=2,
        )
    if not key:
        fail(f"{url} needs a key: give --api-key, or set BQ_API_KEY, to a bq_test_ key with every scope", code=2)
    with Client(url, key) as client:
        try:
            found = Surroundings.of(client)
            if not (pointed_at or found.is_empty):
                what = f"this empties the test environment of {url} (BQ_URL), which has {found}"
                consent(what, "Empty it?", "--url or --yes")
            client.reset(game=True)
        except Refused as refused:
            fail(f"{url} refuses to run scenarios with this key: {refused.detail}", code=2)
        except Unreachable as error:
            fail(str(error), code=2)
    return [ServerUnderTest(url, key)], found


def _put_back(targets: "Sequence[ServerUnderTest | PrivateServer]", found: "Surroundings") -> bool:
    """Restore the server's game and clock; whether that was possible."""
    from harness.client import Client, Refused, Unreachable

    (target,) = targets
    with Client(target.url, target.key) as client:
        try:
            found.put_back(client)
        except (Refused, Unreachable) as error:
            typer.echo(f"bq-server: the game and the clock of {target.url} could not be restored: {error}", err=True)
            return False
    return True


def _conclude(report: "Report", junit: Path | None, *, as_json: bool) -> None:
    from harness.stories.report import as_json as in_json
    from harness.stories.report import write_junit

    try:
        typer.echo(in_json(report) if as_json else report.summary)
    finally:  # nobody may be reading it any more
        if junit is not None:
            try:
                write_junit(report, junit)
            except OSError as error:
                fail(f"{junit} can't be written: {error.strerror}", code=2)
