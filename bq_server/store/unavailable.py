"""Errors of a store that can't be used now, through no fault of the code."""


class StoreUnavailable(Exception):
    """The database can't be read or written now: the disk is full or gone, or another process holds it."""


class StoreConflict(StoreUnavailable):
    """Another transaction was in the way, and this one was ended: repeated at once it may succeed."""


class StoreDamaged(StoreUnavailable):
    """A page of the database that had to be read is damaged: trying again doesn't help."""
