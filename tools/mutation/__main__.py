"""Mutate one operator of the game at a time, and report which mutants the shipped stories don't see.

A mutant is `bq-server` with one comparison, sign, `and`, `or` or condition of the step and the mechanics mistaken for
its opposite. One server has them all and switches between them. First every story is played without a mutant, which
tells where each comes by and whether a mutant would have come to something else there. Then each mutant plays the
stories that it can change, in every mode, until one fails. With --tests, what the stories don't see is shown to the
tests of the game too.
"""

import argparse
import os
import queue
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from random import Random

from tools.mutation.mutated import VARIABLE
from tools.mutation.operators import REPOSITORY, Site, every_site
from tools.mutation.stories import UnsoundError, Verdict, by_module, judge, survey
from tools.mutation.warm_server import WarmServer

TESTS = ("tests/game",)
WANTED_PERCENT = 95.0
SAMPLE = 200


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m tools.mutation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = found.add_argument
    add("--sample", type=int, default=SAMPLE, metavar="N", help=f"how many mutants, drawn (default {SAMPLE})")
    add("--all", action="store_true", help="every mutant: ten times as long as a sample")
    add("--seed", type=int, default=1, metavar="N", help="draws the sample (default 1)")
    add("--only", default="", metavar="TEXT", help="only mutants whose name begins so, such as bq_server.game.step:120")
    add("--workers", type=int, default=1, metavar="N", help="servers at once (default 1)")
    add("--tests", action="store_true", help="show what the stories don't see to the tests of the game")
    add("--list", action="store_true", help="print the names of the mutants and end")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 when the stories see 95 % and, with --tests, the tests the rest; 1 when not; 2 for a wrong call."""
    options = parser().parse_args(arguments)
    every = every_site()
    chosen = [site for site in every if site.name.startswith(options.only)]
    if options.list or not chosen:
        print("\n".join(f"{site.name:<60} {site.mistake}" for site in chosen) or "no mutant has such a name")
        return 0 if chosen else 2
    if not options.all and len(chosen) > options.sample:
        chosen = sorted(Random(options.seed).sample(chosen, options.sample))  # noqa: S311 - no secret
    missed: list[Site] = []
    try:
        for site, verdict in _judged(every, chosen, options.workers):
            print(f"{site.name:<60} {site.mistake:<16} {'' if verdict.seen else 'NOT SEEN: '}{verdict.why}", flush=True)
            if not verdict.seen:
                missed.append(site)
    except UnsoundError as error:
        print(f"the stories fail without a mutant: {error}")
        return 2
    survivors = [site for site in missed if not (options.tests and _tests_see(site))]
    _report(chosen, missed, survivors, tests=options.tests)
    enough = 100 * (len(chosen) - len(missed)) / len(chosen) >= WANTED_PERCENT
    return 0 if enough and not (options.tests and survivors) else 1


def _judged(every: Sequence[Site], chosen: Sequence[Site], workers: int) -> Iterator[tuple[Site, Verdict]]:
    numbers = {site: number for number, site in enumerate(every)}
    with ExitStack() as running:
        servers = queue.SimpleQueue[WarmServer]()
        first = running.enter_context(WarmServer(len(every)))
        found = survey(first)
        able = sum(bool(found.plays(numbers[site], site)) for site in chosen)
        print(f"{able} of {len(chosen)} mutants would come to something else in a story", flush=True)
        servers.put(first)
        for _ in range(min(workers, len(chosen)) - 1):
            servers.put(running.enter_context(WarmServer(len(every))))

        def judged(site: Site) -> Verdict:
            server = servers.get()
            try:
                return judge(server, found, numbers[site], site)
            finally:
                servers.put(server)

        with ThreadPoolExecutor(workers) as pool:
            yield from zip(chosen, pool.map(judged, chosen), strict=True)


def _tests_see(site: Site) -> bool:
    """Whether a test of the game fails with the mutant."""
    command = [*(sys.executable, "-m", "pytest", "-x", "-q", "-p", "tools.mutation.mutated", "-p", "no:cacheprovider")]
    done = subprocess.run(  # noqa: S603 - this very program
        [*command, *TESTS], cwd=REPOSITORY, env={**os.environ, VARIABLE: site.name}, capture_output=True, check=False
    )
    return done.returncode == 1


def _report(chosen: Sequence[Site], missed: Sequence[Site], survivors: Sequence[Site], *, tests: bool) -> None:
    unseen = by_module(missed)
    print(f"\n{'module':<44} mutants  seen by stories")
    for module, number in sorted(by_module(chosen).items()):
        print(f"{module:<44} {number:7}  {number - unseen[module]:15}")
    seen = len(chosen) - len(missed)
    print(f"{'all':<44} {len(chosen):7}  {seen:15}  {100 * seen / len(chosen):.1f} %")
    if missed:
        print("\nnot seen by a story:" if not tests else "\nnot seen by a story, nor by a test of the game:")
    for site in survivors if tests else missed:
        text = (REPOSITORY / (site.module.replace(".", "/") + ".py")).read_text("utf-8").splitlines()[site.line - 1]
        print(f"  {site.name}  {site.mistake}\n      {text.strip()}")


if __name__ == "__main__":
    sys.exit(main())
