"""Commands: parse, call, print. What a command needs is imported when it runs, so that every `--help` is quick."""

import signal
from typing import Annotated, NoReturn

import typer

from bq_server.cli import (
    audit,
    backup,
    console,
    dead,
    doctor,
    events,
    facts,
    game,
    harness,
    health,
    keys,
    listen,
    participants,
    serve,
    store,
    tail,
    verify,
    version,
    webhooks,
)
from bq_server.runtime import collector, outputs

app = typer.Typer(
    name="bq-server",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        version.version()
        raise typer.Exit


@app.callback()
def _program(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A self-hosted gamification event engine."""


app.command("serve")(serve.serve)
app.command("console")(console.console)
app.command("doctor")(doctor.doctor)
app.command("health")(health.health)
app.command("verify")(verify.verify)
app.command("replay")(verify.replay)
app.command("version")(version.version)
app.command("licenses")(version.licenses)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("tail")(tail.tail)
app.command("listen")(listen.listen)
app.add_typer(keys.app, name="keys")
app.add_typer(store.app, name="store")
app.add_typer(audit.app, name="audit")
app.add_typer(dead.app, name="dead")
app.add_typer(events.app, name="events")
app.add_typer(facts.app, name="facts")
app.add_typer(participants.app, name="participants")
app.add_typer(game.app, name="game")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(harness.app, name="harness")


def main() -> None:
    """The executable's entry point."""
    collector.resume()
    # As Ctrl-C does, so that a command cleans up behind itself. Of what the parent ignored only a hangup stays ignored:
    # what was told to outlive its terminal still does.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        app(prog_name="bq-server")
    except OSError:
        if (failed := outputs.give_up_stdout()) is None:
            raise
        typer.echo(f"bq-server: standard output can't be written: {failed.strerror}", err=True)
        raise SystemExit(1) from None
    finally:
        outputs.give_up_stderr()


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
