"""`bq-server version` and `bq-server licenses`."""

import json
from typing import Annotated

import typer


def version(
    as_json: Annotated[
        bool, typer.Option("--json", help="Also print the commit, the form and the platform, as JSON.")
    ] = False,
) -> None:
    """Print the version."""
    if as_json:
        from bq_server.cli.program import about

        typer.echo(json.dumps(about()))
        return
    from bq_server import __version__

    typer.echo(__version__)


def licenses(
    full: Annotated[bool, typer.Option("--full", help="Also print the text of each licence.")] = False,
) -> None:
    """List the parts of this program with their versions and licences."""
    from bq_server.cli.licenses import parts

    found = parts()
    names, versions = (max(map(len, column)) for column in zip(*((p.name, p.version) for p in found), strict=True))
    for part in found:
        typer.echo(f"{part.name:{names}}  {part.version:{versions}}  {part.license}")
        if full:
            typer.echo(f"\n{part.text}\n")
    if not full:
        typer.echo("\nbq-server licenses --full prints their texts.")
