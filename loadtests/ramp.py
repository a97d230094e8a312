"""A load that grows step by step until the server no longer keeps its promise, to find the knee."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from loadtests.judgement import Judgement, LoadLimits, LoadOutcome
from loadtests.timeline import Timeline, TimelineWindow


@dataclass(frozen=True, slots=True)
class Step:
    """What a rate of requests showed. `requested` is that of the promised route, a second."""

    requested: float
    window: TimelineWindow

    def broken(self, limits: LoadLimits) -> str | None:
        """Why the promise isn't kept at this rate; None if it is."""
        if self.window.answered < limits.achieved_share * self.requested * self.window.seconds:
            return f"{self.window.rate:.0f} of {self.requested:.0f} requests/s were answered"
        if self.window.failed:
            return f"{self.window.failed} requests failed"
        if self.window.p99 > limits.p99_ms:
            return f"p99 is {self.window.p99:.1f} ms"
        return None


@dataclass(slots=True)
class Ramp:
    """Decides how many users there are from second to second. Rates are requests a second, of the promised route."""

    rate_per_user: float
    step_users: int
    step_seconds: int
    most_users: int
    share: float
    """Of all requests, how many go to the promised route."""
    limits: LoadLimits
    steps: list[Step] = field(default_factory=list)
    _users: int = 0
    _since: int = 0

    def begin(self) -> None:
        """Start from the first step."""
        self.steps.clear()
        self._users = 0

    def users(self, now: float, timeline: Timeline) -> int | None:
        """How many users there should be now, in seconds of the system's clock; None when the ramp is over."""
        if not self._users:
            self._users, self._since = self.step_users, int(now) + 1  # the second that has begun counts to no step
        elif now >= self._since + self.step_seconds:
            window = timeline.window(self._since, self._since + self.step_seconds)
            self.steps.append(Step(self._users * self.rate_per_user * self.share, window))
            if self.steps[-1].broken(self.limits) or self._users + self.step_users > self.most_users:
                return None
            self._users += self.step_users
            self._since = int(now) + 1
        return self._users


def judge_ramp(steps: Sequence[Step], limits: LoadLimits, generator_errors: int) -> Judgement:
    """The knee in words. FAILED when not even the first step was kept; INVALID when there is none to judge."""
    if generator_errors:
        return Judgement(LoadOutcome.INVALID, [f"the load test itself raised {generator_errors} errors (see the log)"])
    if not steps:
        return Judgement(LoadOutcome.INVALID, ["no step was finished: run longer"])
    held = [step for step in steps if step.broken(limits) is None]
    last = steps[-1]
    reason = last.broken(limits)
    if not held:
        return Judgement(LoadOutcome.FAILED, [f"already at {last.requested:.0f} requests/s {reason}"])
    best = held[-1]
    found = f"kept up to {best.requested:.0f} requests/s with p99 {best.window.p99:.1f} ms"
    beyond = "the knee was not reached" if reason is None else f"at {last.requested:.0f} requests/s {reason}"
    return Judgement(LoadOutcome.PASSED, [found, beyond])


def told(steps: Sequence[Step]) -> str:
    """A line for each step."""
    lines = [f"{'requested/s':>12}{'answered/s':>12}{'failed':>8}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}"]
    for step in steps:
        seen = step.window
        times = "".join(f"{each:>9.1f}" for each in (seen.p50, seen.p95, seen.p99))
        lines.append(f"{step.requested:>12.1f}{seen.rate:>12.1f}{seen.failed:>8}{times}")
    return "\n".join(lines)
