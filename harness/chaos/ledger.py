"""The ledger of a run: what was sent and acknowledged compared with the facts, and the verdict."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from harness.chaos.destruction import ToldLoss
from harness.chaos.options import Options

MOST_SHOWN = 5
"""Findings of a kind that are kept with full details; the others are only counted."""


class Kind(StrEnum):
    """What can be wrong. None of it may happen."""

    LOST = "lost"
    """An acknowledged event, or deed, that is not a fact, or what a member was never told of a group."""
    DOUBLED = "doubled"
    """An event, or deed, that is more than one fact, or a reward that was given twice, or told."""
    ALTERED = "altered"
    """A fact that differs from its event, or from what was acknowledged."""
    FOREIGN = "foreign"
    """A fact of an event that nobody sent."""
    DIFFERENCE = "difference"
    """A participant's state, or a ranking, that is not what follows from the events."""
    UNTOLD = "untold"
    """An award that no webhook reported."""
    INVENTED = "invented"
    """A webhook about an award that didn't happen, or happened fewer times, or that changed between two tries."""
    UNEXPECTED = "unexpected"
    """An answer that no fault excuses."""


class LedgerFinding(Struct, frozen=True):
    """One thing that is wrong; `details` are lines with everything known about it."""

    kind: Kind
    subject: str
    details: tuple[str, ...] = ()


class ChaosLatency(Struct, frozen=True):
    """How long acknowledged requests outside of faults took, in milliseconds; None if there were none."""

    requests: int
    p50: float | None
    p99: float | None

    @classmethod
    def of(cls, milliseconds: Iterable[float]) -> "ChaosLatency":
        """The figures of these requests."""
        ordered = sorted(milliseconds)
        return cls(len(ordered), _percentile(ordered, 0.50), _percentile(ordered, 0.99))


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """By nearest rank."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


class ChaosLedger(Struct):
    """Everything a run showed. Counts are of events unless they say otherwise."""

    options: Options
    unsent: int = 0
    """Not sent when the time was up."""
    sent: int = 0
    acknowledged: int = 0
    unknown_facts: int = 0
    """Never acknowledged, but facts nevertheless: the answer was lost."""
    unknown_absent: int = 0
    """Never acknowledged, and no facts."""
    given_up: int = 0
    """Not acknowledged although their clients tried until the end."""
    facts: int = 0
    destroyed: int = 0
    """Acknowledged, removed from the stream by a fault, and reported as lost, each by its message id."""
    told_lost: ToldLoss = field(default_factory=ToldLoss)
    duplicates_sent: int = 0
    duplicates_refused: int = 0
    """Acknowledgements of an event beyond its first: each was answered, and none made a second fact."""
    retries: int = 0
    """Requests made again because the try before had failed."""
    dead: int | None = None
    """Dead letters; None if unknown."""
    participants: int = 0
    """Whose states were compared."""
    rankings: int = 0
    """Leaderboard windows that were compared."""
    deeds: int = 0
    """Claims of rewards, transfers of points and referrals that were tried."""
    deeds_done: int = 0
    deeds_refused: int = 0
    made: Counter[str] = field(default_factory=Counter)
    """By type, the facts that the server made by itself: points that expired, places in contests, steps of groups."""
    webhooks_caused: int = 0
    """Awards that a webhook had to report."""
    webhooks_delivered: int = 0
    """Webhooks that were accepted, each counted once."""
    faults: Counter[str] = field(default_factory=Counter)
    """How often each fault struck, or how many events it concerned."""
    latency: dict[str, ChaosLatency] = field(default_factory=dict)
    """By route, and of all."""
    recovery_seconds: float = 0.0
    """The longest time from a fault's beginning until the server was ready again."""
    verified: str = ""
    """What `bq-server verify` said in the end; empty when it found no difference."""
    broken_off: str = ""
    """Why the run couldn't be completed, if so."""
    counts: Counter[Kind] = field(default_factory=Counter)
    findings: list[LedgerFinding] = field(default_factory=list)

    def find(self, kind: Kind, subject: str, details: Iterable[str] = ()) -> None:
        """Enter something that is wrong."""
        self.counts[kind] += 1
        if self.counts[kind] <= MOST_SHOWN:
            self.findings.append(LedgerFinding(kind, subject, tuple(details)))

    def shows_all(self, kind: Kind) -> bool:
        """Whether no further finding of the kind would be shown, so that its details aren't needed."""
        return self.counts[kind] >= MOST_SHOWN

    @property
    def lost(self) -> int:
        """Acknowledged events that are no fact."""
        return self.counts[Kind.LOST]

    @property
    def doubled(self) -> int:
        """Events that are more than one fact."""
        return self.counts[Kind.DOUBLED]

    @property
    def altered(self) -> int:
        """Facts that say something else than was sent or acknowledged."""
        return self.counts[Kind.ALTERED]

    @property
    def foreign(self) -> int:
        """Facts that nobody sent."""
        return self.counts[Kind.FOREIGN]

    @property
    def differences(self) -> int:
        """Participants and rankings that are not what follows from the events."""
        return self.counts[Kind.DIFFERENCE]

    @property
    def webhooks_lost(self) -> int:
        """Awards that nobody was told of."""
        return self.counts[Kind.UNTOLD]

    @property
    def webhooks_invented(self) -> int:
        """Webhooks of what didn't happen."""
        return self.counts[Kind.INVENTED]

    @property
    def problems(self) -> list[str]:
        """Why the run failed, a sentence each; empty when it passed."""
        found = [f"{count} {_WORDS[kind]}" for kind in Kind if (count := self.counts[kind])]
        if self.broken_off:
            return [*found, self.broken_off]
        if self.unsent:
            found.append(f"{self.unsent} events were not sent: the server did not take the others in time")
        if not self.acknowledged:
            found.append("no event was acknowledged: a run that does nothing shows nothing")
        if self.given_up:
            found.append(f"{self.given_up} events were still not taken when their clients had to stop")
        if self.dead:
            found.append(f"{self.dead} dead letters, of events that are all valid")
        if idle := [fault for fault in self.options.faults if not self.faults[fault]]:
            found.append(f"never injected: {', '.join(idle)}")
        if self.told_lost.events < self.destroyed and not self.told_lost.at_least:
            found.append(f"the server counted {self.told_lost} lost events, and there are {self.destroyed}")
        if self.verified:
            found.append(f"bq-server verify: {self.verified}")
        return found

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong, and something was done."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """The ledger as a JSON document."""
        options = self.options
        figures = (
            *(
                "unsent",
                "sent",
                "acknowledged",
                "unknown_facts",
                "unknown_absent",
                "given_up",
                "facts",
                "destroyed",
                "duplicates_sent",
            ),
            *("duplicates_refused", "lost", "doubled", "altered", "foreign", "differences", "retries", "dead"),
            *("participants", "rankings", "recovery_seconds", "deeds", "deeds_done", "deeds_refused"),
            *("webhooks_caused", "webhooks_delivered", "webhooks_lost", "webhooks_invented"),
        )
        return {
            "passed": self.passed,
            "problems": self.problems,
            "seed": options.seed,
            "seconds": options.seconds,
            "rate": options.rate,
            "clients": options.clients,
            **{name: getattr(self, name) for name in figures},
            "told_lost": self.told_lost.events,
            "told_lost_at_least": self.told_lost.at_least,
            "unexpected": self.counts[Kind.UNEXPECTED],
            "made": dict(self.made),
            "faults": {fault: self.faults[fault] for fault in options.faults},
            "latency_ms": {
                route: {"requests": each.requests, "p50": each.p50, "p99": each.p99}
                for route, each in self.latency.items()
            },
            "findings": [
                {"kind": each.kind, "subject": each.subject, "details": list(each.details)} for each in self.findings
            ],
        }


_WORDS: Mapping[Kind, str] = {
    Kind.LOST: "acknowledged events or deeds, or rewards of groups, are lost",
    Kind.DOUBLED: "events or deeds are more than one fact, or rewards given twice",
    Kind.ALTERED: "facts are not what was sent or acknowledged",
    Kind.FOREIGN: "facts are of events or deeds that nobody sent",
    Kind.DIFFERENCE: "participants or rankings differ from what follows from the events",
    Kind.UNTOLD: "awards were not told by a webhook",
    Kind.INVENTED: "webhooks told of what didn't happen",
    Kind.UNEXPECTED: "answers that no fault excuses",
}
