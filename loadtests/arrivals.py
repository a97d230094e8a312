"""When a user sends: a Poisson process, drawn ahead, so that a slow answer delays arrivals but removes none."""

from random import Random


class PoissonArrivals:
    """The arrivals of one user: exponential gaps of mean `1 / rate` seconds; N such users make N * `rate` a second.

    Gaps count from arrival to arrival, not from answer to arrival: waiting after each answer would ask a slower
    server for less. All times are seconds of one monotonic clock.
    """

    def __init__(self, rate: float, now: float, random: Random) -> None:
        self._rate = rate
        self._random = random
        self._due = now + random.expovariate(rate)

    def wait(self, now: float) -> float:
        """Seconds until the next arrival is due; 0 when it is overdue."""
        return max(0.0, self._due - now)

    def take(self, now: float) -> float:
        """Take the next arrival; returns how many seconds it is late."""
        late = now - self._due
        self._due += self._random.expovariate(self._rate)
        return max(0.0, late)

    def take_overdue(self, now: float) -> int:
        """Take every arrival that was due before `now`; returns how many."""
        taken = 0
        while self._due < now:
            self.take(now)
            taken += 1
        return taken
