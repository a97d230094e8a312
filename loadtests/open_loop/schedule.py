"""When requests are due."""

from random import Random


def poisson(rate: float, seconds: float, random: Random) -> list[float]:
    """The moments of `rate * seconds` arrivals, ascending, in seconds from the start.

    A Poisson process whose count is known has its arrivals independent and uniform: drawn so, a short run has exactly
    the rate that was asked for, and its gaps are still exponential.
    """
    return sorted(random.uniform(0, seconds) for _ in range(round(rate * seconds)))


def at_once(requests: int) -> list[float]:
    """All due at the start: as fast as the connections take them."""
    return [0.0] * requests
