"""Judging many mutants: the likeliest stories with each alone, then every story with all that are left."""

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tools.mutation.judge import judge_alone, judge_from_start, judge_together
from tools.mutation.kept import KeptResults
from tools.mutation.operators import MutationSite
from tools.mutation.stories import Play, Survey, Verdict, every_story, survey
from tools.mutation.warm_server import WarmServer

ALONE = 4
"""How many plays each mutant has alone: with more, most pass."""


class MutationRun:
    """Servers that judge mutants."""

    def __init__(
        self, every: Sequence[MutationSite], workers: int = 1, most: int | None = None, results: Path | None = None
    ) -> None:
        """`workers` servers at once; of each mutant at most so many plays; `results` keeps what was seen."""
        self._every = every
        self._numbers = {site: number for number, site in enumerate(every)}
        self._workers = workers
        self._most = most
        self._results = results
        self._servers = queue.SimpleQueue[WarmServer]()
        self._found = Survey({})
        self._kept = KeptResults(None, (), {})
        self._left: dict[int, MutationSite] = {}

    def judged(self, chosen: Sequence[MutationSite]) -> Iterator[tuple[MutationSite, Verdict]]:
        """Each with what became of it, those that aren't seen last. Raises `UnsoundError`."""
        workers = min(self._workers, len(chosen))
        with ExitStack() as running, ThreadPoolExecutor(workers) as pool:
            first = running.enter_context(WarmServer(len(self._every)))
            stories = every_story()
            self._kept = KeptResults(self._results, self._every, stories)
            found = self._found = survey(first, stories, self._kept)
            self._servers.put(first)
            for _ in range(workers - 1):
                self._servers.put(running.enter_context(WarmServer(len(self._every))))
            able = sum(bool(found.plays(self._numbers[site], site)) for site in chosen)
            print(f"{able} of {len(chosen)} mutants would come to something else in a story", flush=True)
            for site, verdict in zip(chosen, pool.map(self._alone, chosen), strict=True):
                if verdict is not None:
                    yield site, verdict
            print(f"{len(self._left)} are left", flush=True)
            if self._most is None:
                for verdicts in pool.map(self._together, sorted(found.seconds, key=found.seconds.__getitem__)):
                    yield from verdicts
            yield from ((site, Verdict(False, self._why_unseen(number))) for number, site in self._left.items())

    def _alone(self, site: MutationSite) -> Verdict | None:
        """What the likeliest plays see; None when others may."""
        number = self._numbers[site]
        kept = self._kept.seen(site)
        if kept is not None and kept.by is not None:
            self._found.note(site, kept.by, self._found.seconds[kept.by], seen=True)
            return kept
        with self._server() as server:
            if number in self._found.at_start:
                verdict: Verdict | None = judge_from_start(server, self._found, number)
            else:
                verdict = self._judged_alone(server, number, site)
        if verdict is None:
            self._left[number] = site
        else:
            self._kept.keep_verdict(site, verdict)
        return verdict

    def _judged_alone(self, server: WarmServer, number: int, site: MutationSite) -> Verdict | None:
        known = self._kept.passed(site)
        for play in known:
            self._found.note(site, play, self._found.seconds[play], seen=False)
        plays = [each for each in self._found.plays(number, site) if each not in known]
        for play in plays[: max((self._most or ALONE) - len(known), 0)]:
            if (verdict := judge_alone(server, self._found, number, site, [play])) is not None:
                return verdict
            self._kept.keep_passed(site, play)
        return None

    def _together(self, play: Play) -> list[tuple[MutationSite, Verdict]]:
        """What a play sees of all that are left."""
        able = self._found.differed[play]
        some = {
            number: site
            for number, site in list(self._left.items())
            if number in able and not self._found.was_played(site, play)
        }
        with self._server() as server:
            verdicts = judge_together(server, self._found, play, some)
        for number, verdict in verdicts.items():
            self._kept.keep_verdict(some[number], verdict)
            self._left.pop(number, None)
        return [(some[number], verdict) for number, verdict in verdicts.items()]

    def _why_unseen(self, number: int) -> str:
        plays = sum(number in each for each in self._found.differed.values())
        if plays:
            return f"differed in {plays} plays"
        return "reached, with nothing that shows" if self._found.is_reached(number) else "not reached"

    @contextmanager
    def _server(self) -> Iterator[WarmServer]:
        server = self._servers.get()
        try:
            yield server
        finally:
            self._servers.put(server)
