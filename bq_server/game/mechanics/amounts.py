"""Exact amounts. Adding doubles depends on their order, so sums and maxima are whole numbers of millionths."""

import math
from decimal import Decimal

MILLIONTHS = 1_000_000
MAX_AMOUNT = 10**12
"""Largest amount, of either sign, that one fact may add to a sum or a maximum."""
_FEW_DIGITS = 10**9


def to_millionths(value: float) -> int:
    """Round to the nearest millionth, halves to even.

    Raises `ValueError` when the value is not a finite number of at most `MAX_AMOUNT` either way.
    """
    if -_FEW_DIGITS < value < _FEW_DIGITS:
        return nearest_millionths(value)
    if not math.isfinite(value) or abs(value) > MAX_AMOUNT:
        raise ValueError(f"must be a number between -{MAX_AMOUNT:,} and {MAX_AMOUNT:,}")
    return nearest_millionths(value)


def nearest_millionths(value: float) -> int:
    """A finite number in millionths, rounded to the nearest, halves to even."""
    if -_FEW_DIGITS < value < _FEW_DIGITS:
        # Doubles distinguish decimals of at most 15 digits: the one that gives this double is the one meant.
        found = round(value * MILLIONTHS)
        if found / MILLIONTHS == value:
            return found
    # The shortest decimal with this double is what the sender wrote: 0.1 is a tenth, not 0.1000000000000000055.
    return int(value) * MILLIONTHS if value == int(value) else round(Decimal(repr(value)) * MILLIONTHS)


def from_millionths(amount: int) -> int | float:
    """The number as JSON shows it: an integer if it is one."""
    return amount / MILLIONTHS if amount % MILLIONTHS else amount // MILLIONTHS
