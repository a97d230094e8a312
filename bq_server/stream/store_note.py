"""What the stream notes of the store: the highest seq of a fact there, by which a store that was set back is told.

A fact is committed before it is noted here, so that the store is never behind its note, unless somebody has put an
older copy of it in its place.
"""

from msgspec import Struct


class StoreNote(Struct):
    """The note of one installation's store, and what this process knows beyond it."""

    field: str
    """Its name in the hash of counts: the note of another installation means nothing here."""
    last: int = 0
    """The highest seq that this process saw committed, or 0."""
    lost: int = 0
    """How many facts were committed that the store had no more when the next ones came, not yet reported."""
    _kept: int = 0
    """What stays noted until that is reported."""

    @property
    def seq(self) -> int:
        """What is to be noted."""
        return max(self.last, self._kept)

    def saw_committed(self, before: int, last: int) -> None:
        """Facts were committed: the highest seq before them, and with them. To be called in the order of commits."""
        if before < self.last:
            self.lost += self.last - before
            self._kept = max(self._kept, self.last)
        self.last = last

    def saw(self, last: int) -> None:
        """The store has so many: others may have committed some. A reader may be a moment late."""
        self.last = max(self.last, last)

    def begin(self, last: int) -> None:
        """Start from what the store has, in the order of commits: what it has no more is reported."""
        self.last, self.lost, self._kept = last, 0, 0


def note_of(installation_id: str) -> StoreNote:
    """The note of this installation's store."""
    return StoreNote(f"facts:{installation_id}")
