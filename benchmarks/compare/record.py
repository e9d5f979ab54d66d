"""What a comparison found: entries that are held against a floor and a goal, and curves.

Sides of an entry are timed as in ``benchmarks.measure``: round by round in turn. CPU time decides; wall time is stored
beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Optional

from benchmarks.measure import Timing, duration

#: Units in which more is better; in all others less is.
TIMES, SHARE, PER_SECOND = "x", "%", "per s"
MORE_IS_BETTER = (TIMES, SHARE, PER_SECOND)


@dataclass
class Entry:
    """One figure.

    row: of the table in docs/performance.md; 0 where it has none. peer: who the ratio is against. floor, goal: in the
    entry's unit. times: side to its timing. per: what one timing is of. notes: match rate, and what else belongs to it.
    """

    row: int
    what: str
    value: float
    unit: str
    peer: str = ""
    floor: Optional[float] = None
    goal: Optional[float] = None
    times: Mapping[str, Timing] = field(default_factory=dict)
    per: str = "call"
    notes: dict = field(default_factory=dict)

    @property
    def reached(self) -> str:
        """``goal``, ``floor`` or ``missed``; empty where nothing was asked."""
        for name, bound in (("goal", self.goal), ("floor", self.floor)):
            if bound is not None and self._holds(bound):
                return name
        return "" if self.floor is None else "missed"

    def _holds(self, bound: float) -> bool:
        return self.value >= bound if self.unit in MORE_IS_BETTER else self.value <= bound

    def described(self) -> dict:
        """As JSON fields."""
        plain = {name: value for name, value in vars(self).items() if name != "times"}
        return {**plain, "reached": self.reached, "times": {k: time.described() for k, time in self.times.items()}}


def against(row: int, what: str, times: Mapping[str, Timing], peer: str, **fields) -> Entry:
    """How many times faster ``times["ours"]`` is than ``times[peer]``, in CPU time."""
    ratio = median(times[peer].cpu) / median(times["ours"].cpu)
    return Entry(row, what, ratio, TIMES, peer, times={k: times[k] for k in ("ours", peer)}, **fields)


def scaled(times: Mapping[str, Timing], units: Mapping[str, float]) -> dict[str, Timing]:
    """Timings of calls that do so many units of work each, per unit: sides that differ in size can still take turns."""
    return {
        name: Timing([value / units[name] for value in time.cpu], [value / units[name] for value in time.wall])
        for name, time in times.items()
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


@dataclass
class Curve:
    """Lines of a plot with logarithmic axes: name to [x, y] points."""

    name: str
    title: str
    x: str
    y: str
    lines: dict[str, list[list[float]]] = field(default_factory=dict)

    def add(self, line: str, x: float, y: float) -> None:
        """One more point."""
        self.lines.setdefault(line, []).append([x, y])


@dataclass
class Comparison:
    """What a group found. data: what it was asked of. checked: which answers were equal before anything was timed."""

    group: str
    data: dict
    checked: str
    entries: list[Entry] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    run: dict = field(default_factory=dict)

    def described(self) -> dict:
        """As JSON fields."""
        return {
            "group": self.group,
            "run": self.run,
            "data": self.data,
            "checked": self.checked,
            "entries": [entry.described() for entry in self.entries],
            "curves": [vars(curve) for curve in self.curves],
        }

    def store(self, folder: Path) -> Path:
        """Write it as JSON; the folder is made."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"compare-{self.group}.json"
        path.write_text(json.dumps(self.described(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    def text(self) -> str:
        """For people."""
        lines = [f"== {self.group}", f"  data: {self.data}", f"  checked: {self.checked}"]
        for entry in self.entries:
            told = " / ".join(figure(bound, entry.unit) for bound in (entry.floor, entry.goal) if bound is not None)
            where = f"{entry.row:>2}  {entry.what}" + (f", against {entry.peer}" if entry.peer else "")
            lines.append(f"  {where}: {figure(entry.value, entry.unit)}  [{told}] {entry.reached.upper()}")
            for name, time in entry.times.items():
                spread = f"{duration(median(time.cpu))} ({duration(min(time.cpu))} to {duration(max(time.cpu))}"
                lines.append(f"        {name}: {spread}; wall {duration(median(time.wall))}) per {entry.per}")
            if entry.notes:
                lines.append(f"        {entry.notes}")
        for curve in self.curves:
            lines += [f"  {curve.title}, {line}: {points}" for line, points in curve.lines.items()]
        return "\n".join(lines)


def figure(value: float, unit: str) -> str:
    """With three digits and the unit."""
    if unit == SHARE:
        return f"{100 * value:.1f} %"
    digits = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{digits} {unit}"


def rates(ask: Callable[[int], int], rounds: int, patterns: int) -> dict:
    """The share of patterns that match, over the rounds' states; ask tells how many."""
    found = [ask(number) / patterns for number in range(rounds)]
    return {"median": median(found), "least": min(found), "most": max(found)}
