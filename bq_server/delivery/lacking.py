"""What this process may lack to send anything: that says nothing of whoever should have got it, and is no try."""

import errno
from collections.abc import Iterator

_LACKED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


class Lacking(Exception):
    """There were no descriptors, or there was no memory, for a request. The message says what failed."""


def is_lacking(error: BaseException) -> bool:
    """Whether an error comes of a lack of descriptors or memory in this process or on its machine."""
    return any(
        isinstance(each, MemoryError) or (isinstance(each, OSError) and each.errno in _LACKED)
        for each in _origins(error, set())
    )


def _origins(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    """The error, what it was raised from, and what it groups."""
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    yield from _origins(error.__cause__ or error.__context__, seen)
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _origins(each, seen)
