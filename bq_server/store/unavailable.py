"""That the store can't be used now, which is nobody's mistake."""


class StoreUnavailable(Exception):
    """The database can't be read or written now: the disk is full or gone, or another process holds it."""


class StoreDamaged(StoreUnavailable):
    """A page of the database that was to be read is damaged: trying again doesn't help."""
