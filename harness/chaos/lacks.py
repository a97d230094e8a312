"""Denying a process any descriptor or memory that it doesn't already have. Linux only."""

import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LIMITS = {"exhaust-descriptors": resource.RLIMIT_NOFILE, "exhaust-memory": resource.RLIMIT_AS}

FEWEST_DESCRIPTORS = 3
"""Fewer than any process has, so that none is left, whatever is closed meanwhile."""

MEMORY_LEFT = 0
"""Bytes of address space beyond what is in use: freed memory can be reused, a thread or a large body can't be had."""


@contextmanager
def exhausted(kind: str, pids: Iterable[int]) -> Iterator[None]:
    """Deny these processes anything more of a kind meanwhile; one may have ended, or die from it."""
    limit = LIMITS[kind]
    before = {}
    for pid in pids:
        with suppress(OSError):
            soft, hard = resource.prlimit(pid, limit)
            left = FEWEST_DESCRIPTORS if limit == resource.RLIMIT_NOFILE else _address_space(pid) + MEMORY_LEFT
            resource.prlimit(pid, limit, (left, hard))
            before[pid] = soft, hard
    try:
        yield
    finally:
        for pid, limits in before.items():
            with suppress(OSError):
                resource.prlimit(pid, limit, limits)


def _address_space(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    return pages * resource.getpagesize()
