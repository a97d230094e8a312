"""What earlier runs have found, in a file of one JSON object a line, so that a run can be continued.

What a story reaches is kept as long as the story and all mutated modules are the same, and which mutants it sees or
doesn't as long as the story and the mutant's module are. That none sees a mutant is never kept: another story may.
"""

import hashlib
import json
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from harness.stories.scenario import LoadedGame, Scenario
from tools.mutation.operators import MutationSite, source_of
from tools.mutation.stories import Play, Reached, Verdict


class KeptResults:
    """The results of a file, which need not exist yet; without one, of this run alone."""

    def __init__(self, path: Path | None, sites: Iterable[MutationSite], stories: Mapping[str, Scenario]) -> None:
        self._path = path
        self._modules = {site.module: _digest(source_of(site.module)) for site in sites}
        self._all = _digest(repr(sorted(self._modules.items())))
        self._stories = {name: _digest_of(story) for name, story in stories.items()}
        self._verdicts: dict[str, Verdict] = {}
        self._passed: dict[str, set[Play]] = defaultdict(set)
        self._reached: dict[Play, Reached] = {}
        if path is not None and path.exists():
            for line in path.read_text("utf-8").splitlines():
                self._take(json.loads(line))

    def seen(self, site: MutationSite) -> Verdict | None:
        """What is still true of a mutant; None when it has to be played."""
        return self._verdicts.get(site.name)

    def passed(self, site: MutationSite) -> frozenset[Play]:
        """What still doesn't see a mutant."""
        return frozenset(self._passed[site.name])

    def reached(self, play: Play) -> Reached | None:
        """What a play still reaches; None when it isn't known."""
        return self._reached.get(play)

    def keep_verdict(self, site: MutationSite, verdict: Verdict) -> None:
        """Add what saw a mutant, at once."""
        if verdict.by is not None:
            self._write(verdict.by, mutant=site.name, module=self._modules[site.module], why=verdict.why)

    def keep_passed(self, site: MutationSite, play: Play) -> None:
        """Add what doesn't see a mutant, at once."""
        self._write(play, mutant=site.name, module=self._modules[site.module])

    def keep_reached(self, play: Play, found: Reached) -> None:
        """Add what a play reaches, at once."""
        self._write(play, modules=self._all, state=b64encode(found.state).decode(), seconds=found.seconds)

    def _write(self, play: Play, **told: object) -> None:
        if self._path is not None:
            mode, name = play
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**told, "mode": mode, "story": name, "digest": self._stories[name]}) + "\n")

    def _take(self, row: Mapping[str, Any]) -> None:
        if self._stories.get(row["story"]) != row["digest"]:
            return
        play = cast("Play", (row["mode"], row["story"]))
        if "mutant" in row:
            if self._modules.get(row["mutant"].partition(":")[0]) != row["module"]:
                return
            if "why" in row:
                self._verdicts[row["mutant"]] = Verdict(True, row["why"], play)
            else:
                self._passed[row["mutant"]].add(play)
        elif row["modules"] == self._all:
            self._reached[play] = Reached(b64decode(row["state"]), row["seconds"])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest_of(story: Scenario) -> str:
    """Of all that is played, wherever it is written."""

    def document(game: LoadedGame | None) -> object:
        return None if game is None else game.document

    games = {number: document(game) for number, game in story.games.items()}
    return _digest(repr((story.story, document(story.game), games)))
