"""Lists, numbers, times and rewards as they are said aloud."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import assert_never

from bq_server.game.document.fields import WEEKDAYS, Weekday
from bq_server.game.document.rewards import BadgeReward, PointsReward, Reward

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


def listed(parts: Iterable[str], word: str = "and") -> str:
    """`a, b and c`."""
    *before, last = parts
    return f"{', '.join(before)} {word} {last}" if before else last


def counted(number: float, noun: str) -> str:
    """`1 point`, `2,500 points`."""
    return f"{amount(number)} {noun}" if number == 1 else f"{amount(number)} {noun}s"


def times(number: int) -> str:
    """`once`, `3 times`."""
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")


def amount(number: float) -> str:
    """A number with as many decimals as it has."""
    return f"{int(number):,}" if number == int(number) else f"{number:,.6f}".rstrip("0")


def length(duration: timedelta) -> str:
    """`1 day and 6 hours`."""
    seconds, microseconds = divmod(duration // timedelta(microseconds=1), 1_000_000)
    parts = []
    for size, unit in _UNITS:
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(counted(number, unit))
    rest = seconds + microseconds / 1_000_000
    if rest or not parts:
        parts.append(counted(rest, "second"))
    return listed(parts)


def moment(when: datetime) -> str:
    """To the minute, or as far as it goes."""
    exact = when.astimezone(UTC).replace(tzinfo=None)
    text = exact.isoformat(" ", "auto" if exact.second or exact.microsecond else "minutes")
    return f"{text} UTC"


def between(starts_at: datetime | None, ends_at: datetime | None) -> str:
    """`from ... until ...`, either, or nothing."""
    first = None if starts_at is None else f"from {moment(starts_at)}"
    last = None if ends_at is None else f"until {moment(ends_at)}"
    return " ".join(filter(None, (first, last)))


def day_of_year(month: int, day: int) -> str:
    """`1 January`."""
    return f"{day} {_MONTHS[month - 1]}"


def weekday(number: int) -> str:
    """The name of a day, from Monday, 0."""
    return _DAYS[number]


def weekdays(days: Sequence[Weekday]) -> str:
    """In the order of the week: `Monday to Friday`, `Saturday and Sunday`."""
    numbers = [number for number, day in enumerate(WEEKDAYS) if day in days]
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{_DAYS[numbers[0]]} to {_DAYS[numbers[-1]]}"
    return listed(_DAYS[number] for number in numbers)


def zone(name: str) -> str:
    """Whose clock it is."""
    return "in the participant's time zone" if name == "participant" else f"in {name}"


def points(number: int, currency: str | None) -> str:
    """`1 point`, `5 gems`."""
    return counted(number, "point") if currency is None else f"{amount(number)} {currency}"


def rewards(given: Sequence[Reward]) -> str:
    """`50 points and the badge champion`."""
    return listed(map(_reward, given))


def _reward(given: Reward) -> str:
    match given.kind:
        case PointsReward(points=number, currency=currency):
            return points(number, currency)
        case BadgeReward(badge=code):
            return f"the badge {code}"
        case never:
            assert_never(never)


def titled(code: str, name: str | None) -> str:
    """A code with the name it is shown under, if that is another."""
    return code if name is None or name == code else f'{code} "{name}"'
