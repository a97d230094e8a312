"""File descriptors: how many this process may have, and how many are left."""

import os
import resource

MOST = 65_536
"""More than any sensible number of connections; a larger table makes children slow to start."""

RESERVE = 96
"""Reserved for everything that isn't a connection: the database, the stream, logs, what a request opens."""


FEWEST = 128
"""Fewer are no limit that anybody sets on purpose: a start would end somewhere in the middle."""


def attainable() -> int:
    """The limit that `raise_limit` comes to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(MOST, hard)
    return MOST if soft == resource.RLIM_INFINITY else max(soft, wanted)


def raise_limit() -> int:
    """Raise this process's soft limit as far as possible; returns the resulting limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = attainable()
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def in_use() -> int | None:
    """How many descriptors this process has open; None if that can't be determined."""
    for directory in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(directory)) - 1  # noqa: PTH208 - a list of thousands of paths is not wanted
        except OSError:
            continue
    return None
