"""Line charts as SVG, written by hand: a picture needs no plotting library."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 860, 480
LEFT, RIGHT, TOP, BOTTOM = 76, 150, 64, 60
COLOURS = ("#2f6fb7", "#e08214", "#c0392b", "#5e8c31", "#7b4fa3", "#00838f")
"""Of the lines, in turn: told apart by those who see no red and green, too, since each line is named at its end."""

INK, FAINT, LIMIT = "#222222", "#dddddd", "#888888"
NAME_GAP = 15.0
"""Pixels that the names at the ends of the lines keep from each other."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: points (x, y) in the order of x; a y that isn't above 0 has no place on a logarithmic axis."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart whose y axis is logarithmic, as latencies want it."""

    title: str
    subtitle: str
    x: str
    y: str
    lines: Sequence[Line]
    limit: float | None = None
    """Of milliseconds, drawn across."""

    def svg(self) -> str:
        """The picture. Raises `ValueError` where there is nothing to draw."""
        lines = [Line(each.name, _drawable(each.points)) for each in self.lines]
        points = [point for each in lines for point in each.points]
        if not points:
            raise ValueError("there is nothing to draw")
        area = _Area.around(points, self.limit)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            'font-family="system-ui, sans-serif" font-size="13">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            _text(LEFT, 28, self.title, size=18, weight="bold"),
            _text(LEFT, 48, self.subtitle, colour="#666666"),
            *area.grid(),
            _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, self.x, anchor="middle"),
            f'<g transform="translate(20 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)">'
            f"{_text(0, 0, self.y, anchor='middle')}</g>",
        ]
        if self.limit is not None:
            parts += _limit(area, self.limit)
        parts += _lines(area, lines)
        return "\n".join([*parts, "</svg>"]) + "\n"


@dataclass(frozen=True, slots=True)
class _Area:
    """Where values lie on the picture."""

    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    most_x: float

    @classmethod
    def around(cls, points: Sequence[tuple[float, float]], limit: float | None) -> "_Area":
        values = [y for _, y in points] + ([limit] if limit else [])
        largest = max(x for x, _ in points)
        ticks = _linear_ticks(largest)
        # A little below the least, so that a line or the limit doesn't lie on the axis.
        return cls(ticks, _logarithmic_ticks(0.9 * min(values), max(values)), max(largest, ticks[-1]))

    def x(self, value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value / self.most_x

    def y(self, value: float) -> float:
        low, high = math.log(self.y_ticks[0]), math.log(self.y_ticks[-1])
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (math.log(value) - low) / (high - low)

    def grid(self) -> Iterator[str]:
        for tick in self.y_ticks:
            y = self.y(tick)
            yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{FAINT}"/>'
            yield _text(LEFT - 8, y + 4, f"{tick:g}", anchor="end")
        bottom = HEIGHT - BOTTOM
        for tick in self.x_ticks:
            x = self.x(tick)
            yield f'<line x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 5}" stroke="{INK}"/>'
            yield _text(x, bottom + 20, f"{tick:,g}", anchor="middle")
        yield f'<line x1="{LEFT}" y1="{bottom}" x2="{WIDTH - RIGHT}" y2="{bottom}" stroke="{INK}"/>'


def _drawable(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if math.isfinite(y) and y > 0]


def _lines(area: _Area, lines: Sequence[Line]) -> Iterator[str]:
    ends: list[tuple[float, float, str, str]] = []
    for number, line in enumerate(each for each in lines if each.points):
        colour = COLOURS[number % len(COLOURS)]
        places = [(area.x(x), area.y(y)) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places)
        ends.append((places[-1][1], places[-1][0], line.name, colour))
    lowest = -math.inf
    for y, x, name, colour in sorted(ends):
        lowest = max(y + 4, lowest + NAME_GAP)
        yield _text(x + 10, lowest, name, colour=colour)


def _limit(area: _Area, limit: float) -> Iterator[str]:
    y = area.y(limit)
    yield (
        f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{LIMIT}" stroke-dasharray="6 4"/>'
    )
    yield _text(LEFT + 6, y - 5, f"promise: {limit:g} ms", colour=LIMIT)


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 13, weight: str = "normal", colour: str = INK
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{colour}">{escape(text)}</text>'
    )


def _linear_ticks(largest: float) -> list[float]:
    """Five to ten round numbers from 0 to the largest."""
    largest = largest if largest > 1e-9 else 1.0  # what is smaller has no digits left when it is rounded
    magnitude = 10 ** math.floor(math.log10(largest))
    step = next(factor * magnitude for factor in (0.1, 0.2, 0.5, 1.0) if largest / (factor * magnitude) <= 10)
    return [round(number * step, 10) for number in range(math.ceil(largest / step - 1e-9) + 1)]


def _logarithmic_ticks(least: float, most: float) -> list[float]:
    """1, 2, 5, 10, ... around all values."""
    found: list[float] = []
    exponent = math.floor(math.log10(least))
    while not found or found[-1] < most or len(found) < 2:
        found += [factor * 10.0**exponent for factor in (1, 2, 5)]
        exponent += 1
    above = next((index for index, tick in enumerate(found) if tick >= most), len(found) - 1)
    below = max((index for index, tick in enumerate(found) if tick <= least), default=0)
    return [float(f"{tick:.6g}") for tick in found[below : max(above, below + 1) + 1]]
