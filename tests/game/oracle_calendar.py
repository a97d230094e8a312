"""Days, weeks, months and the wall clock, for the second opinion."""

from datetime import UTC, date, datetime, timedelta, tzinfo

WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def day(at: int, zone: tzinfo) -> date:
    return (EPOCH + timedelta(microseconds=at)).astimezone(zone).date()


def wall(at: int, zone: tzinfo) -> datetime:
    """What the wall clock shows."""
    return (EPOCH + timedelta(microseconds=at)).astimezone(zone).replace(tzinfo=None)


def micros(moment: str) -> int:
    return int((datetime.fromisoformat(moment) - EPOCH).total_seconds()) * 10**6


def on(number: int, rest: set[str]) -> bool:
    return WEEK[start_of(number, "daily").weekday()] not in rest


def next_on(number: int, kind: str, rest: set[str]) -> int:
    number += 1
    while kind == "daily" and not on(number, rest):
        number += 1
    return number


def month_of(number: int, kind: str) -> int:
    begins = datetime(2000, 1, 3) + timedelta(hours=number) if kind == "hourly" else start_of(number, kind)
    return begins.year * 12 + begins.month


def streak_period(shown: datetime, kind: str) -> int:
    if kind == "hourly":
        return int((shown - datetime(2000, 1, 3)).total_seconds() // 3600)
    return period(shown.date(), kind)


def end_of_the_next(number: int, kind: str, rest: set[str]) -> datetime:
    """What the wall clock shows when the period after one ends."""
    if kind == "hourly":
        return datetime(2000, 1, 3) + timedelta(hours=number + 2)
    following = number + 1
    while kind == "daily" and WEEK[start_of(following, kind).weekday()] in rest:
        following += 1
    return start_of(following + 1, kind)


def period(local: date, kind: str) -> int:
    if kind == "daily":
        return (local - date(2000, 1, 3)).days
    if kind == "weekly":
        return (local - date(2000, 1, 3)).days // 7
    if kind == "monthly":
        return local.year * 12 + local.month - 1
    raise ValueError(f"the oracle knows no period {kind}")


def start_of(number: int, kind: str) -> datetime:
    """What the wall clock shows when a period begins."""
    if kind == "monthly":
        return datetime(number // 12, number % 12 + 1, 1)
    first = date(2000, 1, 3) + timedelta(days=number * (7 if kind == "weekly" else 1))
    return datetime(first.year, first.month, first.day)
