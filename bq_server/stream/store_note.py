"""What the stream notes of the store: its height, by which a store that was set back is told.

A fact is committed before it is noted here, so that the store is never behind its note, unless somebody has put an
older copy of it in its place.
"""

from msgspec import Struct


class StoreNote(Struct):
    """The note of one installation's store."""

    field: str
    """Its name in the hash of counts: the note of another installation means nothing here."""
    set_back_field: str
    """There, when it was noticed that the store is behind its note; absent once the note is lowered."""
    height: int = 0
    """The highest that this process saw committed, or 0. It is what is noted next."""

    def saw(self, height: int) -> None:
        """The store has this height, committed."""
        self.height = max(self.height, height)


def note_of(installation_id: str) -> StoreNote:
    """The note of this installation's store."""
    return StoreNote(f"facts:{installation_id}", f"set_back:{installation_id}")
