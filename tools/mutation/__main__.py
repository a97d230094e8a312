"""Mutate one operator of the game at a time, and report which mutants the shipped stories don't see.

A mutant is `bq-server` with one comparison, sign, `and`, `or` or condition of the step and the mechanics mistaken for
its opposite. Each plays the shipped stories in every mode until one fails. With --tests, what the stories don't see is
shown to the tests of the game too.
"""

import argparse
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from tools.mutation.mutated import VARIABLE
from tools.mutation.operators import Site, sites
from tools.mutation.stories import Shipped, seen_by

REPOSITORY = Path(__file__).parents[2]
GAME = REPOSITORY / "bq_server" / "game"
MUTATED = ("step.py", "match.py", "mechanics/*.py", "on_time/*.py")
TESTS = ("tests/game",)
WANTED_PERCENT = 95.0
SAMPLE = 60


def every_site() -> list[Site]:
    """Every mutant of the step and the mechanics."""
    files = [path for pattern in MUTATED for path in sorted(GAME.glob(pattern))]
    return [site for path in files for site in sites(_module(path), path.read_text("utf-8"))]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m tools.mutation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = found.add_argument
    add("--sample", type=int, default=SAMPLE, metavar="N", help=f"how many mutants, drawn (default {SAMPLE})")
    add("--all", action="store_true", help="every mutant: hours")
    add("--seed", type=int, default=1, metavar="N", help="draws the sample (default 1)")
    add("--only", default="", metavar="TEXT", help="only mutants whose name begins so, such as bq_server.game.step:120")
    add("--workers", type=int, default=2, metavar="N", help="servers at once (default 2)")
    add("--tests", action="store_true", help="show what the stories don't see to the tests of the game")
    add("--list", action="store_true", help="print the names of the mutants and end")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 when the stories see 95 % and, with --tests, the tests the rest; 1 when not; 2 for a wrong call."""
    options = parser().parse_args(arguments)
    chosen = [site for site in every_site() if site.name.startswith(options.only)]
    if options.list or not chosen:
        print("\n".join(f"{site.name:<60} {site.mistake}" for site in chosen) or "no mutant has such a name")
        return 0 if chosen else 2
    if not options.all and len(chosen) > options.sample:
        chosen = sorted(Random(options.seed).sample(chosen, options.sample))  # noqa: S311 - no secret
    stories = Shipped.all()
    if (failed := seen_by(None, stories)) is not None:
        print(f"the stories fail without a mutant: {failed}")
        return 2
    missed: list[Site] = []
    by_module: Counter[str] = Counter(site.module for site in chosen)
    for site, seen in _judged(chosen, stories, options.workers):
        print(f"{site.name:<60} {site.mistake:<16} {'NOT SEEN' if seen is None else seen}", flush=True)
        if seen is None:
            missed.append(site)
    survivors = [site for site in missed if not (options.tests and _tests_see(site))]
    _report(by_module, missed, survivors, tests=options.tests)
    enough = 100 * (len(chosen) - len(missed)) / len(chosen) >= WANTED_PERCENT
    return 0 if enough and not (options.tests and survivors) else 1


def _judged(chosen: Sequence[Site], stories: Shipped, workers: int) -> Iterator[tuple[Site, str | None]]:
    with ThreadPoolExecutor(workers) as pool:
        yield from zip(chosen, pool.map(lambda site: seen_by(site.name, stories), chosen), strict=True)


def _tests_see(site: Site) -> bool:
    """Whether a test of the game fails with the mutant."""
    here = [name for name in TESTS if (REPOSITORY / name).exists()]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "tools.mutation.mutated",
        "-p",
        "no:cacheprovider",
        *here,
    ]
    done = subprocess.run(  # noqa: S603 - this very program
        command, cwd=REPOSITORY, env={**os.environ, VARIABLE: site.name}, capture_output=True, check=False
    )
    return done.returncode == 1


def _report(mutants: Counter[str], missed: Sequence[Site], survivors: Sequence[Site], *, tests: bool) -> None:
    unseen = Counter(site.module for site in missed)
    print(f"\n{'module':<44} mutants  seen by stories")
    for module, number in sorted(mutants.items()):
        print(f"{module:<44} {number:7}  {number - unseen[module]:15}")
    total = mutants.total()
    print(f"{'all':<44} {total:7}  {total - len(missed):15}  {100 * (total - len(missed)) / total:.1f} %")
    if missed:
        print("\nnot seen by a story:" if not tests else "\nnot seen by a story, nor by a test of the game:")
    for site in survivors if tests else missed:
        text = (REPOSITORY / (site.module.replace(".", "/") + ".py")).read_text("utf-8").splitlines()[site.line - 1]
        print(f"  {site.name}  {site.mistake}\n      {text.strip()}")


def _module(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)


if __name__ == "__main__":
    sys.exit(main())
