"""When those who were given points must be looked at, because some of these expire."""

from collections.abc import Iterable, Mapping

from bq_server.causes import currency_of
from bq_server.game.document.points import PointsExpiry
from bq_server.game.mechanics.expiry import expires_at
from bq_server.store.batch import NewEntry


def first_expiries(expiring: Mapping[str | None, PointsExpiry], entries: Iterable[NewEntry]) -> dict[str, int]:
    """When the first of new points expire, by participant."""
    found: dict[str, int] = {}
    for entry in entries:
        expiry = expiring.get(currency_of(entry.cause)) if entry.amount > 0 else None
        if expiry is not None:
            moment = expires_at(expiry, entry.occurred_at)
            found[entry.participant_id] = min(found.get(entry.participant_id, moment), moment)
    return found
