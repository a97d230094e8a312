"""`bq-server harness chaos`."""

import json
import signal
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from bq_server.cli.options import fail

EXIT_INTERRUPTED = 130

# As in `harness.chaos.options.FAULTS`, which would take too long to load for a --help.
FAULTS = "kill-server,kill-stream,pause-stream,slow-disk,duplicate,reorder,late"

MORE_FAULTS = "kill-store (needs PostgreSQL), exhaust-descriptors, exhaust-memory, trim-stream, flush-stream"


def chaos(
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="How long events are sent.")] = 60,
    rate: Annotated[float, typer.Option(min=1, max=10_000, help="Events per second, approximately.")] = 300,
    clients: Annotated[int, typer.Option(min=1, max=64, help="Clients that send at the same time.")] = 16,
    faults: Annotated[str, typer.Option(help=f"Faults, separated by commas; also {MORE_FAULTS}.")] = FAULTS,
    seed: Annotated[int | None, typer.Option(min=0, help="Repeat the run of this seed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the report.")] = False,
    keep: Annotated[
        Path | None, typer.Option(help="An empty directory in which to keep data, log and ledger.", file_okay=False)
    ] = None,
) -> None:
    """Break a private server while clients send to it, then compare facts and state with what was sent.

    Exits 1 when an acknowledged event was lost, a fact is doubled or altered, a state differs, or a fault never
    struck; 2 when it can't run. What trim-stream and flush-stream remove is lost, and must be reported as lost.
    Everything stays on this machine.
    """
    from harness.chaos import report
    from harness.chaos.chaos_run import run
    from harness.chaos.interruption import ENDING
    from harness.chaos.options import Options, named
    from harness.client import Refused, Unreachable
    from harness.private_server import ServerFailed

    try:
        chosen: dict[str, Any] = {} if seed is None else {"seed": seed}
        options = Options(seconds, rate, clients, named(faults), keep=keep, **chosen)
    except ValueError as error:
        fail(str(error), code=2)
    typer.echo(f"seed {options.seed}", err=True)
    ending = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]  # as under nohup

    def handle(handler: Any) -> None:
        for number in ending:
            signal.signal(number, handler)

    def interrupt(*_: object) -> NoReturn:
        # Once: a second Ctrl-C must not interrupt stopping the server.
        handle(signal.SIG_IGN)
        raise KeyboardInterrupt

    try:
        handle(interrupt)
        ledger = run(options, tell=lambda line: typer.echo(line, err=True))
        handle(signal.SIG_DFL)  # nothing is left that has to be stopped in order
    except (ServerFailed, Refused, Unreachable, RuntimeError, OSError) as error:
        fail(str(error), code=2)
    except KeyboardInterrupt:
        fail("interrupted; the server was stopped", code=EXIT_INTERRUPTED)
    if as_json:
        typer.echo(json.dumps(ledger.as_json(), ensure_ascii=False, indent=2))
    else:
        for line in report.lines(ledger):
            typer.echo(line)
    if not ledger.passed:
        raise typer.Exit(1)
