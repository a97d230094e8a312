"""What the stream, the store and the groups raise when they can't work, as refusals of requests."""

from collections.abc import Iterator
from contextlib import contextmanager

from bq_server.concurrency.group_commit import GroupClosed, GroupFull
from bq_server.game.mechanics.periods import ProfileUnreadable
from bq_server.processing.faults import GameUnreadable, is_passing
from bq_server.refusals import Code, Refusal, overloaded
from bq_server.store.database import StoreDamaged, StoreUnavailable
from bq_server.stream.connection import StreamUnavailable
from bq_server.stream.writer import StreamFull

DAMAGED_SECONDS = 600
"""When to retry what a damaged database refused: a backup must be restored first."""


@contextmanager
def unavailable(what: str = "Events can't be taken now") -> Iterator[None]:
    """Turns what the stream and the store raise into refusals."""
    try:
        yield
    except Exception as error:
        refusal = refusal_of(error, what)
        if refusal is None:
            raise
        raise refusal from error


def refusal_of(error: BaseException, what: str = "Events can't be taken now") -> Refusal | None:
    """The refusal for what the stream or the store raised; None for anything else."""
    match error:
        case StreamUnavailable():
            detail = f"{what}: the stream is not available ({error}). Send it again in a moment."
            return Refusal(Code.STREAM_UNAVAILABLE, detail)
        case StreamFull():
            detail = "The queue is full. Nothing was accepted: retry when it has drained."
            return Refusal(Code.STREAM_FULL, detail)
        case StoreDamaged():
            detail = f"{what}: the database is damaged ({error}). Retrying doesn't help; restoring a backup does."
            return Refusal(Code.STORE_UNAVAILABLE, detail, retry_after=DAMAGED_SECONDS)
        case StoreUnavailable():
            detail = f"{what}: the store is not available ({error}). Send it again in a moment."
            return Refusal(Code.STORE_UNAVAILABLE, detail)
        case GameUnreadable() | ProfileUnreadable():
            return unreadable(error)
        case GroupFull():
            return overloaded()
        case GroupClosed():
            detail = "The server is stopping. Nothing was accepted: retry in a moment."
            return Refusal(Code.STOPPING, detail)
        case Refusal():
            return error
    if is_passing(error):
        lack = str(error) or type(error).__name__
        detail = f"{what}: the server is short of a resource ({lack}). Send it again in a moment."
        return Refusal(Code.STORE_UNAVAILABLE, detail)
    return None


def unreadable(error: Exception) -> Refusal:
    """The refusal of what needs a game, or a profile, that this program can't read."""
    detail = f"{error}. Run the program that wrote it, or a newer one, or apply another game."
    return Refusal(Code.GAME_UNREADABLE, detail[0].upper() + detail[1:])
