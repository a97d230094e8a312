"""Sets of days as `[[first, last], ...]`, in order, with gaps: consecutive days take no more space than one."""

from bisect import bisect_right

Days = list[list[int]]


def has_day(days: Days, day: int) -> bool:
    """Whether the day is in the set."""
    index = bisect_right(days, day, key=lambda each: each[0]) - 1
    return index >= 0 and day <= days[index][1]


def add_day(days: Days, day: int) -> None:
    """Add a day to the set."""
    if has_day(days, day):
        return
    index = bisect_right(days, day, key=lambda each: each[0])
    days.insert(index, [day, day])
    for place in (index + 1, index):
        if 0 < place < len(days) and days[place - 1][1] + 1 == days[place][0]:
            days[place - 1][1] = days.pop(place)[1]


def days_until(days: Days, last: int) -> Days:
    """Those days that are not after the last one."""
    return [[start, min(end, last)] for start, end in days if start <= last]
