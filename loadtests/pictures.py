"""What a run looked like: latency against rate for a ramp, against time for any other."""

from collections.abc import Sequence

from loadtests.judgement import LoadLimits
from loadtests.plot import Chart, Line
from loadtests.ramp import Step
from loadtests.timeline import Timeline, TimelineWindow

PARTS = 60
"""Points of a line over time, at most."""

LATENCY = "milliseconds since the request was due"


def picture(steps: Sequence[Step], timeline: Timeline, limits: LoadLimits) -> str | None:
    """The picture as SVG, of the async route; None where there is nothing to show."""
    if steps:
        points = [(step.requested, step.window) for step in steps]
        title, x = "Latency against rate", "requested requests per second, async route"
        subtitle = f"steps of {steps[0].window.seconds} s, Poisson arrivals; the last step is where the ramp ended"
    else:
        windows = timeline.windows(PARTS)
        if not windows:
            return None
        began = windows[0].start
        points = [(float(each.start + each.seconds / 2 - began), each) for each in windows]
        rate = sum(each.answered for each in windows) / sum(each.seconds for each in windows)
        title, x = "Latency over time", "seconds"
        subtitle = f"{rate:.0f} requests answered a second on the async route, Poisson arrivals"
    drawable = [(place, window) for place, window in points if window.answered]
    if not drawable:
        return None
    return Chart(title, subtitle, x, LATENCY, _lines(drawable), limits.p99_ms).svg()


def _lines(points: Sequence[tuple[float, TimelineWindow]]) -> list[Line]:
    return [
        Line("p50", [(x, window.p50) for x, window in points]),
        Line("p95", [(x, window.p95) for x, window in points]),
        Line("p99", [(x, window.p99) for x, window in points]),
    ]
