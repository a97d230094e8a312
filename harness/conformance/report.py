"""What a run found: lines that read like the contract's page, JSON, or JUnit's XML."""

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from harness.conformance.examination import ExaminationOutcome, ExaminationPlan, StatementResult

_STYLES = {
    ExaminationOutcome.PASSED: "green",
    ExaminationOutcome.FAILED: "bold red",
    ExaminationOutcome.SKIPPED: "yellow",
}


class Lines:
    """Prints a run as it goes: plain lines, with colours only on a terminal."""

    def __init__(self) -> None:
        self._section = ""
        self._width = 0
        self._console: Any = None
        if sys.stdout.isatty():
            from rich.console import Console

            self._console = Console(highlight=False)

    def planned(self, plan: ExaminationPlan) -> None:
        """Print what is about to happen."""
        self._width = max(len(statement.name) for statement in plan.statements)
        self._print(f"{plan.url}: {len(plan.statements)} statements of the Events API, seed {plan.seed}")
        self._print(f"It will keep {plan.leaves} facts of participants and events named {plan.prefix}...", "dim")

    def judged(self, result: StatementResult) -> None:
        """Print the outcome of one statement."""
        statement = result.statement
        if statement.section != self._section:
            self._section = statement.section
            self._print(f"\n{statement.section}", "bold")
        remark = f" ({result.remark})" if result.remark else ""
        words = f"  {statement.name:{self._width}}  {statement.words}{remark}"
        self._print(words, lead=f"  {result.outcome:7}", lead_style=_STYLES[result.outcome])
        if result.failure:
            for name, text in _told(result).items():
                self._print(f"           {name:8}  {text}")

    def finished(self, plan: ExaminationPlan) -> None:
        """Print the outcome as a whole."""
        failed = plan.count(ExaminationOutcome.FAILED)
        passed, skipped = plan.count(ExaminationOutcome.PASSED), plan.count(ExaminationOutcome.SKIPPED)
        summary = f"{passed} passed, {failed} failed, {skipped} skipped"
        self._print(f"\n{summary}", "bold red" if failed else "bold green")

    def _print(self, text: str, style: str = "", *, lead: str = "", lead_style: str = "") -> None:
        if self._console is None:
            sys.stdout.write(f"{lead}{text}\n")
            sys.stdout.flush()
        else:
            from rich.text import Text

            self._console.print(Text.assemble((lead, lead_style), (text, style)), soft_wrap=True)


def as_json(plan: ExaminationPlan) -> str:
    """The whole run as a JSON document."""
    return json.dumps(
        {
            "url": plan.url,
            "seed": plan.seed,
            "prefix": plan.prefix,
            "facts": plan.leaves,
            "passed": plan.count(ExaminationOutcome.PASSED),
            "failed": plan.count(ExaminationOutcome.FAILED),
            "skipped": plan.count(ExaminationOutcome.SKIPPED),
            "statements": [
                {
                    "name": result.statement.name,
                    "section": result.statement.section,
                    "statement": result.statement.words,
                    "outcome": {"pass": "passed", "FAIL": "failed"}.get(result.outcome, result.outcome),
                    "remark": result.remark,
                    **(_told(result) if result.failure else {}),
                    "seconds": round(result.seconds, 4),
                }
                for result in plan.results
            ],
        },
        indent=2,
        ensure_ascii=False,
    )


def write_junit(plan: ExaminationPlan, file: Path) -> None:
    """Write the run as JUnit's XML, a test case for each statement. Raises `OSError`."""
    suite = ET.Element(
        "testsuite",
        name="Events API",
        tests=str(len(plan.results)),
        failures=str(plan.count(ExaminationOutcome.FAILED)),
        skipped=str(plan.count(ExaminationOutcome.SKIPPED)),
        errors="0",
        time=f"{sum(result.seconds for result in plan.results):.3f}",
    )
    for result in plan.results:
        statement = result.statement
        case = ET.SubElement(
            suite, "testcase", classname=statement.section, name=statement.name, time=f"{result.seconds:.3f}"
        )
        if result.failure:
            failure = ET.SubElement(case, "failure", message=statement.words)
            failure.text = "\n".join(f"{name}: {text}" for name, text in _told(result).items())
        elif result.outcome is ExaminationOutcome.SKIPPED:
            ET.SubElement(case, "skipped", message=result.remark or "")
        elif result.remark:
            ET.SubElement(case, "system-out").text = result.remark
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    file.write_bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _told(result: StatementResult) -> dict[str, str]:
    failure = result.failure
    return {} if failure is None else {"sent": failure.sent, "expected": failure.expected, "came": failure.came}
