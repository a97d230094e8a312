"""What the rules read from a fact, before any state is looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

from bq_server.game.conditions import Variables
from bq_server.game.effects import RuleWarning
from bq_server.game.facts import Fact
from bq_server.game.on_time.track import Parts, Track

Warnings = dict[tuple[str, str], RuleWarning]
"""By definition and message."""


@dataclass(slots=True)
class Read:
    """A fact with what the tracks that it concerns read from it."""

    fact: Fact
    parts: list[tuple[Track, Parts]]


def read(tracks: Sequence[Track], fact: Fact, warnings: Warnings) -> Read:
    """Read a fact; what expressions can't read of it is counted among the warnings."""
    variables = Variables(fact)

    def warn(definition: str, message: str) -> None:
        known = warnings.get((definition, message))
        sample, count = (known.fact_id, known.count + 1) if known is not None else (fact.fact_id, 1)
        warnings[definition, message] = RuleWarning(definition, message, sample, count)

    found = []
    for track in tracks:
        parts = track.read(fact, variables, warn)
        if parts:
            found.append((track, parts))
    return Read(fact, found)
