"""Tables of figures, as Markdown."""

from collections.abc import Mapping, Sequence

from loadtests.processing_cost.rounds import Spread


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as Markdown, the first one as the head; all columns but the first are aligned to the right."""
    head, *body = rows
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def facts_about(about: Mapping[str, str]) -> str:
    """Names and what goes with them, as a list."""
    return "\n".join(f"- {name}: {value}" for name, value in about.items())


def cell(found: Spread | None) -> str:
    """The median and the extremes; empty if it wasn't measured."""
    return "" if found is None else f"{number(found.median)} {extremes(found)}".strip()


def extremes(found: Spread) -> str:
    """The extremes in parentheses; empty where they read the same."""
    least, most = number(found.least), number(found.most)
    return "" if least == most else f"({least}-{most})"


def number(value: float) -> str:
    """Three significant digits, with thousands separated."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}".rstrip("0").rstrip(".")
