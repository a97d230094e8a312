"""Moments: how times are stored, read and written.

A moment is an `int`: microseconds since 1970-01-01T00:00:00Z. It sorts, it fits SQL, and no time zone hides in it.
"""

import re
from datetime import UTC, datetime, timedelta

SECOND = 1_000_000
HOUR = 3600 * SECOND
PLAUSIBLE_FROM = 946_857_600 * SECOND
"""2000-01-03: earlier timestamps come from clocks that were never set, which start in 1970, 1980 or 2000."""

_END_OF_DAY = re.compile(r"([^T ]{8,10}[Tt ])24((?::?00(?::?00(?:[.,]0+)?)?)(?:[-+Z].*)?)")
_LEAP_SECOND = re.compile(r"(.{8,10}[Tt ]\d\d:?(?:14|29|44|59):?)60((?:[.,]\d+)?(?:[-+Z].*)?)")
_NUMBER = r"[0-9]+(?:\.[0-9]*)?"
_DURATION = re.compile(
    rf"P(?=[0-9T])(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=[0-9])(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
FIRST_MOMENT = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
LAST_MOMENT = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
"""The first and the last moment of the calendar, the years 1 to 9999 in UTC."""


def parse_timestamp(text: str) -> int:
    """Read an ISO 8601 date and time; one without an offset is UTC (Events API, Event Schema).

    Raises `ValueError` with a sentence for the sender if the text isn't a date and time between the years 1 and 9999 in
    UTC.
    """
    try:
        later = 0
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            text, later = _usual(text)
            moment = datetime.fromisoformat(text)
        if len(text) <= len("2026-W15-5"):
            raise ValueError("a date alone")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        elif moment.tzinfo is not UTC:
            moment = moment.astimezone(UTC)
        return (moment + timedelta(microseconds=later) - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        raise ValueError(
            "must be an ISO 8601 date and time such as 2026-04-10T10:30:00Z (without an offset it is taken as UTC)"
        ) from None


def _usual(text: str) -> tuple[str, int]:
    """The text as Python reads it, and how many microseconds later it means.

    Python reads neither a `z`, nor a leap second (RFC 3339), nor 24:00 as the end of a day (ISO 8601).
    """
    if text.endswith("z"):
        text = text[:-1] + "Z"
    if found := _END_OF_DAY.fullmatch(text):
        return f"{found[1]}00{found[2]}", 24 * HOUR
    if found := _LEAP_SECOND.fullmatch(text):
        return f"{found[1]}59{found[2]}", SECOND
    return text, 0


def is_duration(text: str) -> bool:
    """Whether the text is an ISO 8601 duration of fixed length: weeks, days of 24 hours, hours, minutes and seconds."""
    return _DURATION.fullmatch(text) is not None


def format_timestamp(moment: int) -> str:
    """Write a moment as ISO 8601 in UTC with `Z`, with as many of 0, 3 or 6 decimals as it needs.

    Anything outside the years 1 to 9999, such as the end of a period, is written as their first or last moment.
    """
    moment = max(FIRST_MOMENT, min(moment, LAST_MOMENT))
    value = _EPOCH + timedelta(microseconds=moment)
    fraction = moment % SECOND
    timespec = "seconds" if fraction == 0 else "milliseconds" if fraction % 1000 == 0 else "microseconds"
    return value.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"
