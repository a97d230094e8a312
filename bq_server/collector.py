"""Python's garbage collector, which looks for objects that hold one another and that nothing else holds."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

COLLECT_AFTER = (20_000, 20, 50)
"""Objects made before the collector looks at the newest of them, and how often until it looks at older ones. A batch of
facts makes thousands that nothing refers to in a circle; Python's default looks after every 700."""


def pause() -> None:
    """Look at nothing until `resume`. What is imported stays: looking at it takes a third as long as importing it."""
    gc.disable()


def resume() -> None:
    """Look again."""
    gc.enable()


@contextmanager
def paused() -> Iterator[None]:
    """Between `pause` and `resume`, however it ends."""
    pause()
    try:
        yield
    finally:
        resume()


def freeze() -> None:
    """Look at everything once more, and from then on seldom, and at nothing that is there now.

    What a start has made lives for ever, and to look at it again takes long.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    resume()
