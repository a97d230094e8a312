"""Counts of a run that Locust doesn't keep. Plain sums, so that those of several generators add up."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self


@dataclass(slots=True)
class Tally:
    """All counts are of this run so far."""

    due: int = 0
    """Requests that should have been sent."""

    answered: int = 0
    """Requests that were answered, or failed."""

    late: int = 0
    """Requests sent well after they were due: the same user's last answer, or the generator itself, was slow."""

    accepted: int = 0
    """New events the server took: each must become one fact."""

    repeated: int = 0
    """Events sent once more under their key: none may become a second fact."""

    unknown: int = 0
    """Events whose response, if any, didn't say whether they were accepted."""

    events: Counter[str] = field(default_factory=Counter)
    """Events taken, new or repeated, by the path of the route."""

    def as_dict(self) -> dict[str, Any]:
        """The counts, as JSON takes them."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"events": dict(self.events)}

    @classmethod
    def from_dict(cls, counts: Mapping[str, Any]) -> Self:
        """The reverse of `as_dict`."""
        return cls(**{**counts, "events": Counter(counts["events"])})

    def add(self, other: Self) -> None:
        """Add the counts of another generator."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
