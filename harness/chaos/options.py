"""The options of a chaos run."""

import secrets
import sys
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, field

STRIKES = ("kill-server", "kill-stream", "pause-stream", "slow-disk")
"""Faults that strike the server at moments of a schedule."""

HABITS = ("duplicate", "reorder", "late")
"""Faults in how the clients send, all the time."""

FAULTS = (*STRIKES, *HABITS)
"""The default faults: whatever they do, nothing accepted is lost."""

LACKS = ("exhaust-descriptors", "exhaust-memory")
"""Faults that deny the server a resource for a while; they need Linux."""

DESTRUCTIONS = ("trim-stream", "flush-stream")
"""Faults that remove accepted events from the stream: those are lost, and must be reported as lost."""

KILL_STORE = "kill-store"
"""The fault that has the server keep its store on a PostgreSQL of the run's own, which crashes and is started again."""

OF_A_FILE = ("slow-disk", *DESTRUCTIONS)
"""Faults that hold the lock of a store in a file."""

EVERY_FAULT = (*STRIKES, KILL_STORE, *LACKS, *DESTRUCTIONS, *HABITS)

FEWEST_EVENTS = 200
MOST_EVENTS = 500_000
MOST_CLIENTS = 64
SEEDS = 2**32


class Options(Struct, frozen=True):
    """A run of so many seconds of sending, at so many events a second. Raises `ValueError` with a sentence."""

    seconds: float = 60.0
    rate: float = 300.0
    clients: int = 16
    faults: tuple[str, ...] = FAULTS
    seed: int = field(default_factory=lambda: secrets.randbelow(SEEDS))
    keep: Path | None = None
    """Where the server's directory, its log and the ledger are kept; without it, nothing is kept."""

    def __post_init__(self) -> None:
        if unknown := [each for each in self.faults if each not in EVERY_FAULT]:
            raise ValueError(f"there is no fault {', '.join(unknown)}: there are {', '.join(EVERY_FAULT)}")
        if sys.platform != "linux" and (beyond := [each for each in self.faults if each in LACKS]):
            raise ValueError(f"{', '.join(beyond)} can be had on Linux only")
        if KILL_STORE in self.faults and (beyond := [each for each in self.faults if each in OF_A_FILE]):
            raise ValueError(f"{KILL_STORE} is for a store on PostgreSQL, and {', '.join(beyond)} for one in a file")
        if not FEWEST_EVENTS <= self.seconds * self.rate <= MOST_EVENTS:
            raise ValueError(
                f"{self.seconds:g} s at {self.rate:g} events/s are {self.seconds * self.rate:.0f} events: "
                f"it takes {FEWEST_EVENTS} to show anything, and {MOST_EVENTS} are the most"
            )
        if not 1 <= self.clients <= MOST_CLIENTS:
            raise ValueError(f"there can be 1 to {MOST_CLIENTS} clients, not {self.clients}")
        if self.keep is not None and self.keep.exists() and any(self.keep.iterdir()):
            raise ValueError(f"{self.keep} is not empty: events of an earlier run would count as facts nobody sent")


def named(text: str) -> tuple[str, ...]:
    """Faults given as names with commas between; each once, in the order of `EVERY_FAULT`. Raises `ValueError`."""
    names = _stripped(text.split(","))
    if unknown := [name for name in names if name not in EVERY_FAULT]:
        raise ValueError(f"there is no fault {', '.join(unknown)}: there are {', '.join(EVERY_FAULT)}")
    return tuple(name for name in EVERY_FAULT if name in names)


def _stripped(names: Iterable[str]) -> list[str]:
    return [name.strip() for name in names if name.strip()]
