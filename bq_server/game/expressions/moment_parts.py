"""The parts of a timestamp that CEL defines, in UTC or in a time zone, which the engine doesn't support."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from datetime import timezone as fixed

from bq_server.game.facts import timezone

ACCESSORS: dict[str, Callable[[datetime], int]] = {
    "getFullYear": lambda moment: moment.year,
    "getMonth": lambda moment: moment.month - 1,
    "getDate": lambda moment: moment.day,
    "getDayOfMonth": lambda moment: moment.day - 1,
    "getDayOfYear": lambda moment: moment.timetuple().tm_yday - 1,
    "getDayOfWeek": lambda moment: moment.isoweekday() % 7,
    "getHours": lambda moment: moment.hour,
    "getMinutes": lambda moment: moment.minute,
    "getSeconds": lambda moment: moment.second,
    "getMilliseconds": lambda moment: moment.microsecond // 1000,
}
"""By the name in CEL, counting as CEL does: months, days of the month and of the year from 0, but `getDate` from 1."""

_OFFSET = re.compile(r"([+-]?)(\d{1,2}):(\d{2})", re.ASCII)


def zone(name: str) -> tzinfo:
    """The zone of an IANA name or an offset such as +09:00. Raises `ValueError` for any other text."""
    found = _OFFSET.fullmatch(name)
    if found is None:
        return timezone(name)
    ahead = timedelta(hours=int(found[2]), minutes=int(found[3]))
    if ahead >= timedelta(hours=24) or int(found[3]) > 59:
        raise ValueError("must be an offset of less than 24 hours, such as +09:00")
    return fixed(-ahead if found[1] == "-" else ahead)


def accessor(name: str, of_zone: str | None) -> Callable[[datetime], int]:
    """The function for this part of a timestamp, in UTC or in a zone. Raises `ValueError` for an invalid zone."""
    part = ACCESSORS[name]
    if of_zone is None:
        return part
    there = zone(of_zone)

    def told(moment: datetime) -> int:
        try:
            return part(moment.astimezone(there))
        except OverflowError:
            # The first and the last day of the calendar don't exist in every zone.
            return part(moment)

    return told


def zoned(name: str) -> Callable[[object, object], int]:
    """What the engine calls for `moment.name(zone)`. It raises `ValueError` if these aren't a timestamp and a zone."""

    def told(moment: object, of_zone: object) -> int:
        if not isinstance(moment, datetime) or not isinstance(of_zone, str):
            raise ValueError(f"{name} with a time zone is called on a timestamp")
        return accessor(name, of_zone)(moment)

    return told
