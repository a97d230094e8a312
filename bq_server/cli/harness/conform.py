"""`bq-server harness conform`: hold a server against the Events API, statement by statement."""

from pathlib import Path
from typing import Annotated

import typer

from bq_server.cli.options import fail

URL = Annotated[
    str, typer.Option("--url", envvar="BQ_URL", help="The server; any that claims to speak the Events API.")
]
API_KEY = Annotated[
    str, typer.Option("--api-key", envvar="BQ_API_KEY", help="A key that may ingest, and read where it can be asked.")
]

INTERRUPTED = 130


def conform(
    url: URL = "http://127.0.0.1:8080",
    api_key: API_KEY = "",
    expression: Annotated[
        str,
        typer.Option("-k", metavar="EXPR", help="Only statements whose names hold these words: and, or, not, ( )."),
    ] = "",
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds an answer may take, and an event to become a fact.")
    ] = 10.0,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, max=2**32 - 1, help="Use the names of an earlier run.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Allow a key that is no bq_test_ key.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, when all is done.")] = False,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Also write JUnit's XML.")] = None,
) -> None:
    """Hold a server against the Events API, statement by statement. It deletes nothing, and tells what it will write.

    Exit codes: 0 nothing failed, 1 a statement failed, 2 there was nothing to examine, 130 interrupted.
    """
    from harness.conformance import report
    from harness.conformance.examination import ExaminationOutcome, examine, select
    from harness.conformance.outcomes import CannotRun

    lines = None if as_json else report.Lines()
    try:
        chosen = select(expression)
        plan = examine(url, api_key, statements=chosen, live=live, seed=seed, timeout=timeout, listener=lines)
    except CannotRun as error:
        fail(str(error), code=2)
    except KeyboardInterrupt:
        typer.echo("bq-server: interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if lines is None:
        typer.echo(report.as_json(plan))
    else:
        lines.finished(plan)
    if junit is not None:
        try:
            report.write_junit(plan, junit)
        except OSError as error:
            fail(f"{junit} can't be written: {error.strerror}", code=2)
    if plan.count(ExaminationOutcome.FAILED):
        raise typer.Exit(1)
