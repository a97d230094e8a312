"""What an open-loop run showed, in words and as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.open_loop.generator import Recording
from loadtests.percentiles import Percentiles

TOLERANCE = 0.02
"""By how much the achieved rate may differ from the requested one."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Rates a second, times in milliseconds from the moment a request was due; `lag` from acceptance to the fact."""

    seconds: float
    requested: float
    achieved: float
    """Requests answered before the schedule ended, whatever the answer."""
    latency: Percentiles
    """Of accepted requests."""
    refused: Percentiles
    outcomes: Mapping[str, int]
    lateness: Percentiles
    """How long after they were due requests were sent; contained in `latency`."""
    generator_us: float
    """Processor time of the generator for each request, in microseconds."""
    pause: Percentiles | None = None
    """How long probes waited: the pauses of the server's loop as they are felt outside."""
    lag: Percentiles | None = None

    @classmethod
    def of(cls, recording: Recording, seconds: float, lag: Percentiles | None = None) -> "Figures":
        """The figures of a recording whose schedule lasted so many seconds."""
        return cls(
            seconds=seconds,
            requested=recording.due / seconds,
            achieved=recording.in_time / seconds,
            latency=Percentiles.of(recording.latencies),
            refused=Percentiles.of(recording.refused_latencies),
            outcomes=dict(recording.outcomes),
            lateness=Percentiles.of(recording.lateness),
            generator_us=recording.processor_seconds * 1e6 / max(1, recording.due),
            pause=Percentiles.of(recording.probes) if recording.probes else None,
            lag=lag,
        )

    @property
    def valid(self) -> bool:
        """Whether the requested load was answered."""
        return abs(self.achieved - self.requested) <= TOLERANCE * self.requested

    @property
    def verdict(self) -> str:
        """`VALID`, or why the figures don't belong to the requested rate."""
        if self.valid:
            return "VALID"
        return (
            f"INVALID: {self.achieved:.0f} of {self.requested:.0f} requests/s were answered in time (more than "
            f"{TOLERANCE:.0%} apart), so the server doesn't keep up and its latencies grow with the length of the run"
        )

    def as_json(self) -> dict[str, Any]:
        """For a report file."""
        return asdict(self) | {"valid": self.valid}

    def __str__(self) -> str:
        outcomes = ", ".join(
            f"{count} {what}" for what, count in sorted(self.outcomes.items(), key=lambda each: -each[1])
        )
        lines = [
            f"rate       requested {self.requested:.1f}/s, achieved {self.achieved:.1f}/s over {self.seconds:g} s",
            f"answers    {outcomes or 'none'}",
            f"latency    {self.latency}",
        ]
        if self.refused.count:
            lines.append(f"refusals   {self.refused}")
        if self.lag is not None:
            lines.append(f"lag        {self.lag} from acceptance to the fact ({self.lag.count} facts)")
        if self.pause is not None:
            lines.append(f"pauses     {self.pause} (probes of /livez)")
        lines += [
            f"generator  {self.generator_us:.0f} us of processor time a request; sent late by {self.lateness}",
            self.verdict,
        ]
        return "\n".join(lines)
