"""Mutate one operator of the game at a time, and report which mutants the shipped stories don't see.

A mutant is `bq-server` with one comparison, sign, `and`, `or` or condition of the step and the mechanics mistaken for
its opposite. One server has them all and switches between them. First every story is played without a mutant, which
tells where each comes by and whether a mutant would have come to something else there. Then each mutant plays the
likeliest of the stories that it can change until one fails, and all that are left play each story in every mode
together. With --results, a run that was broken off is continued. With --tests, what the stories don't see is shown to
the tests of the game too.

What changes nothing anybody is told, but only what it costs, is listed with reasons and left out; --prove plays random
games with each such mutant instead.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from tools.mutation import equal, proof
from tools.mutation.mutated import VARIABLE
from tools.mutation.mutation_run import MutationRun
from tools.mutation.operators import REPOSITORY, MutationSite, every_site, source_of
from tools.mutation.stories import UnsoundError, by_module

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
    add("--all", action="store_true", help="every mutant: less than an hour")
    add("--seed", type=int, default=1, metavar="N", help="draws the sample (default 1)")
    add("--only", default="", metavar="TEXT", help="only mutants whose name begins so, such as bq_server.game.step:120")
    add("--most", type=int, metavar="N", help="at most so many plays of each mutant: sooner done, and sees fewer")
    add("--results", type=Path, metavar="FILE", help="keeps what was seen, which isn't played again")
    add("--workers", type=int, default=1, metavar="N", help="servers at once (default 1)")
    add("--tests", action="store_true", help="show what the stories don't see to the tests of the game")
    add("--prove", action="store_true", help="play random games with the mutants that are listed as changing nothing")
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
    if options.prove:
        # In a process of its own: there the game has to be imported with its mutants.
        command = [sys.executable, "-m", proof.__name__, "--seed", str(options.seed), "--only", options.only]
        return subprocess.run(command, cwd=REPOSITORY, check=False).returncode  # noqa: S603 - this very program
    equals = equal.reasons(every)
    equal_ones = by_module([site for site in chosen if site in equals])
    chosen = [site for site in chosen if site not in equals]
    if not chosen:
        print("all of these are listed as changing nothing: see --prove")
        return 0
    if not options.all and len(chosen) > options.sample:
        chosen = _sample(chosen, options.sample, Random(options.seed))  # noqa: S311 - no secret
    missed: list[MutationSite] = []
    try:
        for site, verdict in MutationRun(every, options.workers, options.most, options.results).judged(chosen):
            print(f"{site.name:<60} {site.mistake:<16} {'' if verdict.seen else 'NOT SEEN: '}{verdict.why}", flush=True)
            if not verdict.seen:
                missed.append(site)
    except UnsoundError as error:
        print(f"the stories fail without a mutant: {error}")
        return 2
    survivors = [site for site in missed if not (options.tests and _tests_see(site))]
    _report(chosen, equal_ones, missed, survivors, tests=options.tests)
    enough = 100 * (len(chosen) - len(missed)) / len(chosen) >= WANTED_PERCENT
    return 0 if enough and not (options.tests and survivors) else 1


def _sample(sites: Sequence[MutationSite], size: int, random: Random) -> list[MutationSite]:
    """About so many mutants, of each module its share, and at least one."""
    found: list[MutationSite] = []
    for module, count in by_module(sites).items():
        own = [site for site in sites if site.module == module]
        found += random.sample(own, max(1, round(size * count / len(sites))))
    return sorted(found)


def _tests_see(site: MutationSite) -> bool:
    """Whether a test of the game fails with the mutant."""
    command = [*(sys.executable, "-m", "pytest", "-x", "-q", "-p", "tools.mutation.mutated", "-p", "no:cacheprovider")]
    done = subprocess.run(  # noqa: S603 - this very program
        [*command, *TESTS], cwd=REPOSITORY, env={**os.environ, VARIABLE: site.name}, capture_output=True, check=False
    )
    return done.returncode == 1


def _report(
    chosen: Sequence[MutationSite],
    equals: Mapping[str, int],
    missed: Sequence[MutationSite],
    survivors: Sequence[MutationSite],
    *,
    tests: bool,
) -> None:
    unseen, played = by_module(missed), by_module(chosen)
    print(f"\n{'module':<44} changing nothing  played  seen by stories")
    for module in sorted({*played, *equals}):
        number = played[module]
        print(f"{module:<44} {equals.get(module, 0):16}  {number:6}  {number - unseen[module]:15}")
    seen = len(chosen) - len(missed)
    every = sum(equals.values())
    print(f"{'all':<44} {every:16}  {len(chosen):6}  {seen:15}  {100 * seen / len(chosen):.1f} %")
    if missed:
        print("\nnot seen by a story:" if not tests else "\nnot seen by a story, nor by a test of the game:")
    for site in survivors if tests else missed:
        text = source_of(site.module).splitlines()[site.line - 1]
        print(f"  {site.name}  {site.mistake}\n      {text.strip()}")


if __name__ == "__main__":
    sys.exit(main())
