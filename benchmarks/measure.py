"""Timing two sides in one interleaved run, and the record of what came out.

Every round times each side once, so whatever else the machine does hits both alike; the order turns from round to
round. CPU time (of this process, or of the server that is asked) stands beside wall time. Goals are held against CPU
time: on a machine that others use too, wall time measures them.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Optional

#: A side is repeated within its round until it has run this long, which is many ticks of any clock.
LEAST_SECONDS = 0.02
#: A median of fewer says little.
LEAST_ROUNDS = 5


@dataclass
class Timing:
    """Seconds per unit of work, one value per round."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def add(self, cpu: float, wall: float, units: float) -> None:
        """One round: what that many units took."""
        self.cpu.append(cpu / units)
        self.wall.append(wall / units)

    def described(self) -> dict:
        """Median, least and most, as JSON fields."""
        clocks = {"cpu": self.cpu, "wall": self.wall}
        return {
            clock: {"median": median(values), "min": min(values), "max": max(values), "rounds": len(values)}
            for clock, values in clocks.items()
        }


def interleave(sides: Mapping[str, Callable[[int], object]], rounds: int, *, units: float = 1) -> dict[str, Timing]:
    """Time the sides round by round.

    Args:
        sides: name to a function of the round's number; both sides do the same work for the same number.
        rounds: at least LEAST_ROUNDS.
        units: how much one call does; timings are per unit.
    """
    if rounds < LEAST_ROUNDS:
        raise ValueError(f"rounds must be at least {LEAST_ROUNDS}, not {rounds}")
    timings = {name: Timing() for name in sides}
    gc.collect()
    gc.freeze()  # the collector shall not walk the data on behalf of whoever comes first
    try:
        for number in range(rounds):
            for name in turned(list(sides), number):
                timings[name].add(*_timed(sides[name], number, units))
    finally:
        gc.unfreeze()
    return timings


def turned(names: list[str], number: int) -> list[str]:
    """The names, beginning with another one in every round."""
    at = number % len(names)
    return names[at:] + names[:at]


def _timed(work: Callable[[int], object], number: int, units: float) -> tuple[float, float, float]:
    calls = 0
    cpu, wall = time.process_time(), time.perf_counter()
    while True:
        work(number)
        calls += 1
        spent = time.perf_counter() - wall
        if spent >= LEAST_SECONDS:
            return time.process_time() - cpu, spent, units * calls


@dataclass
class Row:
    """One comparison: how many times faster ours is than the peer, or which share of the peer's rate it reaches.

    unit: what one timing is of. goal: what the ratio of the CPU medians has to reach, None where there is none.
    share: the ratio is shown in per cent. notes: what else belongs to the row.
    """

    what: str
    ours_name: str
    ours: Timing
    peer_name: str
    peer: Timing
    unit: str
    goal: Optional[float] = None
    share: bool = False
    notes: dict = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Median of the peer by median of ours, in CPU time."""
        return median(self.peer.cpu) / median(self.ours.cpu)

    def described(self) -> dict:
        """As JSON fields."""
        return {
            "what": self.what,
            "unit": self.unit,
            "ours": {"name": self.ours_name, **self.ours.described()},
            "peer": {"name": self.peer_name, **self.peer.described()},
            "ratio": {"cpu": self.ratio, "wall": median(self.peer.wall) / median(self.ours.wall)},
            "share": self.share,
            "goal": self.goal,
            "reached": None if self.goal is None else self.ratio >= self.goal,
            **({"notes": self.notes} if self.notes else {}),
        }


@dataclass
class Figure:
    """A value without a peer."""

    what: str
    value: float
    unit: str


@dataclass
class Result:
    """What a question found. data: what it was asked of, match rate included. checked: which answers were equal.

    run: command, options, machine, versions; filled by whoever asks.
    """

    question: str
    data: dict
    checked: str
    rows: list[Row] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    run: dict = field(default_factory=dict)

    def row(self, what: str) -> Row:
        """The row of that name."""
        return next(row for row in self.rows if row.what == what)

    def described(self) -> dict:
        """As JSON fields."""
        return {
            "question": self.question,
            "run": self.run,
            "data": self.data,
            "checked": self.checked,
            "rows": [row.described() for row in self.rows],
            "figures": [vars(figure) for figure in self.figures],
        }

    def store(self, path: Path) -> None:
        """Write it as JSON; the folder is made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.described(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def text(self) -> str:
        """For people."""
        head = [f"== {self.question}", *_lines(self.run), *_lines(self.data), f"  checked: {self.checked}"]
        rows = [line for row in self.rows for line in _row_lines(row.described())]
        return "\n".join(head + rows + [f"  {f.what}: {f.value:,.6g} {f.unit}" for f in self.figures])


def _lines(fields: Mapping) -> list[str]:
    return [f"  {key.replace('_', ' ')}: {_plain(value)}" for key, value in fields.items()]


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _row_lines(row: dict) -> list[str]:
    goal = "" if row["goal"] is None else f"  goal {shown(row['goal'], row['share'])}"
    missed = "  MISSED" if row["reached"] is False else ""
    cpu, wall = (shown(row["ratio"][clock], row["share"]) for clock in ("cpu", "wall"))
    lines = [f"  {row['what']}: {cpu} (CPU time; wall {wall}){goal}{missed}"]
    for side in (row["ours"], row["peer"]):
        times = "; ".join(f"{clock} {_spread(side[clock])}" for clock in ("cpu", "wall"))
        lines.append(f"    {side['name']}: {times} per {row['unit']}")
    return lines + ([f"    {_plain(row['notes'])}"] if "notes" in row else [])


def shown(ratio: float, share: bool) -> str:
    """A ratio as times or as per cent."""
    return f"{ratio:.0%}" if share else f"{ratio:.0f} x" if ratio >= 100 else f"{ratio:.1f} x"


def _spread(values: dict) -> str:
    return f"{duration(values['median'])} ({duration(values['min'])} to {duration(values['max'])})"


def duration(seconds: float) -> str:
    """Three digits, with the unit that fits."""
    for scale, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
