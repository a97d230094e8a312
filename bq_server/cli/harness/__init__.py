"""`bq-server harness`: play scenarios, check a server against its contract, and break one on purpose."""

import typer

from bq_server.cli.harness import chaos, conform, run

app = typer.Typer(
    help="Test this server, and your own game, with stories and a clock you can move.", no_args_is_help=True
)
app.command("run")(run.run)
app.command("schema")(run.schema)
app.command("conform")(conform.conform)
app.command("chaos")(chaos.chaos)
