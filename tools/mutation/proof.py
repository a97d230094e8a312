"""Show that the mutants listed in `equal.toml` change nothing: `python -m tools.mutation.proof --help`.

In this process the game has every mutant. Random games are played without any, and then with each that is listed, as
far as it would come to something else there: what anybody is told must be the same.
"""

import argparse
import sys
from collections.abc import Sequence

from tools.mutation.mutated import install_all

COUNT = 150
MOST = 250


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="python -m tools.mutation.proof", description=__doc__)
    add = found.add_argument
    add("--count", type=int, default=COUNT, metavar="N", help=f"games of each kind (default {COUNT})")
    add("--seed", type=int, default=1, metavar="N", help="draws the games (default 1)")
    add("--most", type=int, default=MOST, metavar="N", help=f"games of each mutant (default {MOST})")
    add("--only", default="", metavar="TEXT", help="only mutants whose name begins so")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 when none changes anything; 1 when one does."""
    options = parser().parse_args(arguments)
    install_all()
    from tools.mutation.equal import reasons
    from tools.mutation.operators import every_site
    from tools.mutation.trials import Trials, drawn

    every = every_site()
    listed = reasons(every)
    trials = Trials(drawn(options.count, options.seed))
    trials.survey()
    wrong, unmet = 0, 0
    for number, site in enumerate(every):
        if site not in listed or not site.name.startswith(options.only):
            continue
        plays = len(trials.reached.get(number, ()))
        different = trials.differs(number, options.most)
        known = trials.came_by[number]
        unmet += not known
        wrong += different is not None
        same = f"the same in {min(plays, options.most)} games" if plays else f"never anything else in {known} games"
        told = same if different is None else f"OTHERWISE in game {different}"
        print(f"{site.name:<60} {site.mistake:<16} {told}: {listed[site]}", flush=True)
    print(f"\n{len(listed)} mutants are listed; {wrong} change something; {unmet} are in code that no random game runs")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
