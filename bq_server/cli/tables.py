"""Tables on the terminal."""

from collections.abc import Iterable, Sequence

import typer
from rich.console import Console
from rich.table import Table

from bq_server.cli.words import printable

PIPED_COLUMNS = 300
"""Without a terminal, lines are not broken."""


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their headings, within the width of the terminal, which nothing in them controls."""
    table = Table(*heads, box=None)
    for row in rows:
        table.add_row(*map(printable, row))
    width = None if typer.get_text_stream("stdout").isatty() else PIPED_COLUMNS
    Console(width=width, highlight=False, markup=False).print(table)
