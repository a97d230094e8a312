"""Python's garbage collector, which looks for cycles of objects."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

COLLECT_AFTER = (5_000, 5, 600)
"""Objects created before the collector looks at the newest of them, and how often until it looks at older ones. A batch
of facts creates thousands without any cycle; Python's default looks after every 700. Nothing else runs while it looks,
so what a long refold creates must not come to it all at once: 400,000 objects took it 40 ms."""


def pause() -> None:
    """Stop collecting until `resume`."""
    gc.disable()


def resume() -> None:
    """Collect again, but never what exists now: what was imported lives for ever.

    Looking at it even once takes a tenth as long as importing it, and finds next to nothing.
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
    """`resume`, and collect seldom from now on."""
    resume()
    gc.set_threshold(*COLLECT_AFTER)
