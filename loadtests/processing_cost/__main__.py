"""`make bench-processing`: what processing an event costs, as a Markdown report."""

import logging
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog
import uvloop

from bq_server.runtime import collector
from bq_server.server.run import SWITCH_SECONDS
from bq_server.store import sqlite
from loadtests.bench.machine import load, surroundings, versions
from loadtests.processing_cost import growth, holds, late, postgresql, size, throughput, webhooks
from loadtests.processing_cost.plan import PARTS, BenchPlan, parser, plan_of
from loadtests.processing_cost.report import ReportSection, render, targets
from loadtests.processing_cost.workshop import Workshop, resident, tell

PACKAGES = ("aiosqlite", "asyncpg", "uvloop", "orjson", "pydantic", "common-expression-language")

MEASURES: Mapping[str, Callable[[Workshop], Awaitable[ReportSection]]] = dict(
    zip(
        PARTS,
        (
            throughput.measure,
            size.measure,
            growth.measure,
            late.measure,
            holds.measure,
            webhooks.measure,
            postgresql.measure,
        ),
        strict=True,
    )
)


async def measure(directory: Path, plan: BenchPlan) -> list[ReportSection]:
    """The sections of the plan, each printed as soon as it is ready."""
    # As the server sets them when it starts: they decide how its threads share the interpreter.
    collector.relax()
    sys.setswitchinterval(SWITCH_SECONDS)
    workshop = Workshop(directory, plan)
    sections = []
    for part in plan.parts:
        sections.append(await MEASURES[part](workshop))
        print(sections[-1].text(), end="\n\n", flush=True)
    return sections


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        plan = plan_of(options)
    except ValueError as error:
        parser().error(str(error))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    about = surroundings() | {
        "SQLite": f"{sqlite.VERSION} ({sqlite.ORIGIN})",
        "packages": versions(PACKAGES),
        "asked for": " ".join(sys.argv[1:] if arguments is None else arguments) or "everything",
        "seed": str(plan.seed),
    }
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bq-cost-", dir=options.directory) as directory:
        sections = uvloop.run(measure(Path(directory), plan))
    about |= {
        "load after": load(),
        "took": f"{time.monotonic() - began:.0f} s",
        "resident memory at the end": resident(),
    }
    print("\n\n".join(targets([target for section in sections for target in section.targets])))
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"processing-{datetime.now(UTC):%Y%m%d-%H%M%S}.md"
    path.write_text(render(about, sections), encoding="utf-8")
    tell(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
