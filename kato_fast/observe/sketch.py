"""DDSketch: quantiles with a relative error of at most 1 %, in buckets that add up exactly.

A value v stands in bucket ceil(log_gamma(v)), gamma = (1 + a) / (1 - a) (Masson, Rim, Lee: "DDSketch", 2019). Counts
and sums are integers, so that the sketch of all workers is that of one process, in any order of merging.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Optional

ACCURACY = 0.01

_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_SCALE = 1 / math.log(_GAMMA)
_log, _ceil = math.log, math.ceil

#: Nanoseconds below count as this one, above as 30 days: at most 1,800 buckets whatever comes.
LEAST, MOST = 1, 30 * 86_400 * 10**9


class Sketch:
    """Durations in whole nanoseconds. Not safe from several threads by itself."""

    __slots__ = ("bins", "count", "most", "sum")

    def __init__(self) -> None:
        self.bins: dict[int, int] = {}
        self.count = 0
        self.sum = 0
        self.most = 0

    def add(self, nanoseconds: int, beside: Optional[Sketch] = None) -> None:
        """Count one value; beside: another sketch that counts it too, for less than twice the time."""
        if nanoseconds < LEAST:
            nanoseconds = LEAST
        elif nanoseconds > MOST:
            nanoseconds = MOST
        index = _ceil(_log(nanoseconds) * _SCALE)
        self._put(index, nanoseconds)
        if beside is not None:
            beside._put(index, nanoseconds)

    def _put(self, index: int, nanoseconds: int) -> None:
        bins = self.bins
        bins[index] = bins.get(index, 0) + 1
        self.count += 1
        self.sum += nanoseconds
        if nanoseconds > self.most:
            self.most = nanoseconds

    def merge(self, other: Sketch) -> None:
        """Add all that the other counted."""
        for index, count in other.bins.items():
            self.bins[index] = self.bins.get(index, 0) + count
        self.count += other.count
        self.sum += other.sum
        self.most = max(self.most, other.most)

    def quantile(self, q: float) -> Optional[float]:
        """In seconds; None of nothing. q: 0 to 1."""
        return self.quantiles((q,))[0]

    def quantiles(self, wanted: Sequence[float]) -> list[Optional[float]]:
        """Several in one walk; they must rise."""
        found: list[Optional[float]] = []
        at, seen, order = 0, 0, sorted(self.bins)
        for q in wanted:
            if not 0 <= q <= 1:
                raise ValueError(f"q must be from 0 to 1, not {q!r}")
            while at < len(order) and seen + self.bins[order[at]] <= q * (self.count - 1):
                seen += self.bins[order[at]]
                at += 1
            value = None if at == len(order) else min(2 * _GAMMA ** order[at] / (_GAMMA + 1), self.most) / 1e9
            found.append(value)
        return found

    def to_dict(self) -> dict:
        """Equal contents give equal dicts, for JSON."""
        bins = {str(index): self.bins[index] for index in sorted(self.bins)}
        return {"count": self.count, "sum_ns": self.sum, "max_ns": self.most, "bins": bins}

    @classmethod
    def from_dict(cls, value: Mapping) -> Sketch:
        """What to_dict() gave. Raises ValueError, KeyError, TypeError for anything else."""
        sketch = cls()
        sketch.bins = {int(index): int(count) for index, count in value["bins"].items()}
        sketch.count, sketch.sum, sketch.most = int(value["count"]), int(value["sum_ns"]), int(value["max_ns"])
        if sum(sketch.bins.values()) != sketch.count or min(sketch.bins.values(), default=0) < 0:
            raise ValueError("the buckets of a sketch do not add up to its count")
        return sketch
