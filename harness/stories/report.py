"""Reporting the outcomes of scenarios: lines, a bar on a terminal, JSON and JUnit's XML."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree as ET

from msgspec import Struct, field

from harness.stories.outcomes import Mode, StoryOutcome

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Report(Struct):
    """A run, as far as it went."""

    mode: Mode
    seed: int
    total: int
    """How many scenarios there were to play."""
    outcomes: list[StoryOutcome] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed(self) -> list[StoryOutcome]:
        """Those that were not as their story says."""
        return [outcome for outcome in self.outcomes if not outcome.passed]

    @property
    def summary(self) -> str:
        """A line that summarizes it."""
        passed = len(self.outcomes) - len(self.failed)
        left = self.total - len(self.outcomes)
        counts = f"{passed} passed, {len(self.failed)} failed" + (f", {left} not played" if left else "")
        total = "1 scenario" if self.total == 1 else f"{self.total} scenarios"
        return f"{total}, mode {self.mode}: {counts} in {self.seconds:.1f} s (seed {self.seed})"


class Teller(Protocol):
    """Reports the outcome of each scenario as it ends."""

    def __call__(self, outcome: StoryOutcome) -> None:
        """Report one."""


@contextmanager
def telling(total: int, *, silent: bool) -> Iterator[Teller]:
    """A reporter for a run: a bar on a terminal, lines when piped, nothing when silent."""
    if silent:
        yield lambda _: None
    elif sys.stdout.isatty():
        with _bar(total) as teller:
            yield teller
    else:
        yield lambda outcome: print("\n".join(lines(outcome)), flush=True)  # noqa: T201 - what it is for


def lines(outcome: StoryOutcome) -> list[str]:
    """An outcome as lines."""
    word = "passed" if outcome.passed else "FAILED"
    failures = [f"  {line}".rstrip() for failure in outcome.failures for line in failure.text.splitlines()]
    return [f"{word}  {outcome.path}  {outcome.name}  ({outcome.seconds:.2f} s)", *failures]


def as_json(report: Report) -> str:
    """A run as a JSON document."""
    return json.dumps(
        {
            "mode": report.mode,
            "seed": report.seed,
            "total": report.total,
            "passed": len(report.outcomes) - len(report.failed),
            "failed": len(report.failed),
            "seconds": round(report.seconds, 3),
            "scenarios": [
                {
                    "name": outcome.name,
                    "path": str(outcome.path),
                    "passed": outcome.passed,
                    "seconds": round(outcome.seconds, 3),
                    "failures": [
                        {"step": failure.step, "line": failure.line, "text": failure.text}
                        for failure in outcome.failures
                    ],
                }
                for outcome in report.outcomes
            ],
        },
        indent=2,
        ensure_ascii=False,
    )


def write_junit(report: Report, file: Path) -> None:
    """Write a run as JUnit's XML, a suite with a test case for each scenario. Raises `OSError`."""
    counts = {"tests": str(len(report.outcomes)), "failures": str(len(report.failed)), "errors": "0", "skipped": "0"}
    suites = ET.Element("testsuites")
    suite = ET.SubElement(
        suites, "testsuite", {"name": f"bq-server harness, {report.mode}", **counts, "time": f"{report.seconds:.3f}"}
    )
    properties = ET.SubElement(suite, "properties")
    ET.SubElement(properties, "property", {"name": "seed", "value": str(report.seed)})
    for outcome in report.outcomes:
        path = outcome.path.with_suffix("")
        case = ET.SubElement(
            suite,
            "testcase",
            {
                "classname": _clean(".".join(part for part in path.parts if part not in ("/", ".", ".."))),
                "name": _clean(outcome.name),
                "time": f"{outcome.seconds:.3f}",
            },
        )
        if not outcome.passed:
            texts = [_clean(failure.text) for failure in outcome.failures]
            failure = ET.SubElement(case, "failure", {"message": texts[0].splitlines()[0]})
            failure.text = "\n\n".join(texts)
    ET.ElementTree(suites).write(file, encoding="utf-8", xml_declaration=True)


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)


@contextmanager
def _bar(total: int) -> Iterator[Teller]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("playing", total=total)

        def tell(outcome: StoryOutcome) -> None:
            progress.advance(task)
            if not outcome.passed:
                first, *rest = lines(outcome)
                progress.console.print(first, style="bold red", markup=False, highlight=False, soft_wrap=True)
                progress.console.print("\n".join(rest), markup=False, highlight=False, soft_wrap=True)

        yield tell
