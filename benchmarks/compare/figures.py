"""Plots as SVG, drawn from the stored results: lines over logarithmic axes, and ratios beside their floor and goal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2")
REACHED = {"goal": "#2ca02c", "floor": "#1f77b4", "missed": "#d62728", "": "#999999"}
FONT = 'font-family="sans-serif" font-size="12"'


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" {FONT}>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])


def _text(x: float, y: float, text: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {place} stroke="{colour}" stroke-width="{width}"/>'


class Scale:
    """Values to places, by their logarithm."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self._low = math.floor(math.log10(min(values)))
        self._high = max(self._low + 1, math.ceil(math.log10(max(values))))
        self._start, self._end = start, end

    def place(self, value: float) -> float:
        """Where the value stands."""
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)

    def ticks(self) -> list[float]:
        """The powers of ten."""
        return [10.0**power for power in range(self._low, self._high + 1)]


def curve(plot: dict) -> str:
    """A plot of lines, see ``record.Curve``."""
    width, height, left, top, right, bottom = 860, 420, 70, 40, 250, 50
    points = [point for line in plot["lines"].values() for point in line]
    x = Scale([point[0] for point in points], left, width - right)
    y = Scale([point[1] for point in points], height - bottom, top)
    parts = [_text(left, 22, plot["title"], more=' font-weight="bold"')]
    for tick in x.ticks():
        parts.append(_line(x.place(tick), top, x.place(tick), height - bottom, "#dddddd"))
        parts.append(_text(x.place(tick), height - bottom + 18, f"{tick:,.0f}", "middle"))
    for tick in y.ticks():
        parts.append(_line(left, y.place(tick), width - right, y.place(tick), "#dddddd"))
        parts.append(_text(left - 6, y.place(tick) + 4, f"{tick:,.9g}" if tick < 1e5 else f"{tick:.0e}", "end"))
    parts.append(_text((left + width - right) / 2, height - 10, plot["x"], "middle"))
    parts.append(_text(left, top - 6, plot["y"]))
    for number, (name, line) in enumerate(plot["lines"].items()):
        colour = COLOURS[number % len(COLOURS)]
        places = " ".join(f"{x.place(a):.1f},{y.place(b):.1f}" for a, b in line)
        parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x.place(a):.1f}" cy="{y.place(b):.1f}" r="3" fill="{colour}"/>' for a, b in line]
        at = top + 20 * number + 10
        parts += [
            _line(width - right + 15, at, width - right + 35, at, colour, 2),
            _text(width - right + 42, at + 4, name),
        ]
    return _svg(width, height, parts)


def ratios(entries: Sequence[dict]) -> str:
    """Bars of how many times faster; a dark mark at the floor, a light one at the goal."""
    left, right, row, top = 430, 70, 20, 60
    width, height = 1000, top + row * len(entries) + 20
    values = [value for e in entries for value in (e["value"], e["floor"], e["goal"]) if value]
    x = Scale([1, *values], left, width - right)
    parts = [
        _text(10, 20, "Times faster than the peer (logarithmic); marks: floor and goal", more=' font-weight="bold"')
    ]
    for tick in x.ticks():
        parts.append(_line(x.place(tick), top - 8, x.place(tick), height - 10, "#dddddd"))
        parts.append(_text(x.place(tick), top - 14, f"{tick:,.0f}", "middle"))
    for number, entry in enumerate(entries):
        at = top + row * number
        name = f"{entry['row'] or '–'}  {_short(entry['what'])} / {entry['peer']}"
        parts.append(_text(10, at + 12, name))
        start, end = sorted((x.place(1), x.place(entry["value"])))
        colour = REACHED[entry["reached"]]
        parts.append(f'<rect x="{start:.1f}" y="{at + 2:.1f}" width="{end - start:.1f}" height="13" fill="{colour}"/>')
        parts.append(
            _text(end + 4, at + 13, f"{entry['value']:,.3g}" if entry["value"] < 100 else f"{entry['value']:,.0f}")
        )
        for bound, mark in (("floor", "#000000"), ("goal", "#888888")):
            if entry[bound]:
                place = x.place(entry[bound])
                parts.append(_line(place, at, place, at + 17, mark, 2))
    return _svg(width, height, parts)


def _short(what: str, most: int = 48) -> str:
    return what if len(what) <= most else what[: most - 1] + "…"
