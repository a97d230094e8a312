"""Which cores the server and the generator run on, so that neither takes time from the other."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager


@contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """Children started inside are bound to these cores; none given, or a system that can't: to any."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    # Set before the child starts and inherited: set later it would miss the child's first threads and children.
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def split_cores() -> tuple[set[int], set[int]]:
    """Cores for the server and for the generator, which gets the last one. Empty sets if there is only one."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return (set(cores[:-1]), {cores[-1]}) if len(cores) > 1 else (set(), set())
