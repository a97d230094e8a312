"""Python's garbage collector, which looks for objects that hold one another and that nothing else holds."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

COLLECT_AFTER = (20_000, 20, 50)
"""Objects made before the collector looks at the newest of them, and how often until it looks at older ones. A batch of
facts makes thousands that nothing refers to in a circle; Python's default looks after every 700."""


def pause() -> None:
    """Look at nothing until `resume`."""
    gc.disable()


def resume() -> None:
    """Look again, but never at what there is now: what was imported lives for ever.

    To look at it even once takes a tenth as long as importing it, and finds next to nothing.
    """
    gc.freeze()
    gc.enable()


@contextmanager
def paused() -> Iterator[None]:
    """Between `pause` and `resume`, however it ends."""
    pause()
    try:
        yield
    finally:
        resume()


def relax() -> None:
    """`resume`, and look seldom from now on."""
    resume()
    gc.set_threshold(*COLLECT_AFTER)
