"""Samples over time, kept with their extremes so that a long window is drawn from few numbers.

Every series has one value per sample (NaN where it had none), and the least and the greatest of each 8 and each 64 of
them. A window of n samples in b buckets reads at most 16 numbers per bucket, or n / 64 of them, whichever is more.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Optional

#: Samples whose extremes are kept together.
FINE, COARSE = 8, 64
#: Samples above the capacity before the oldest are dropped.
SLACK = 64 * COARSE
#: Most series of one history; more are not recorded.
MAX_SERIES = 256


class _Series:
    """One value per sample; extremes of finished and open blocks."""

    def __init__(self, samples: int) -> None:
        self.raw = array("f", [math.nan]) * samples
        self.blocks = {size: _Extremes(size, samples) for size in (FINE, COARSE)}

    def add(self, value: float) -> None:
        index = len(self.raw)
        self.raw.append(value)
        for extremes in self.blocks.values():
            extremes.add(index, self.raw[-1])  # as stored, so that an extreme is one of the values

    def drop(self, samples: int) -> None:
        del self.raw[:samples]
        for extremes in self.blocks.values():
            extremes.drop(samples)

    def extremes(self, first: int, last: int) -> Optional[tuple[float, float, bool]]:
        """Least and greatest of the samples first..last-1, and whether the least came first; None without values."""
        size = COARSE if last - first >= 2 * COARSE else FINE if last - first >= 2 * FINE else 1
        if size == 1:
            return _in_order([value for value in self.raw[first:last] if value == value])
        kept = self.blocks[size]
        low = kept.low[first // size : -(-last // size)]
        high = kept.high[first // size : -(-last // size)]
        least, greatest = min(low), max(high)
        return None if least > greatest else (least, greatest, low.index(least) <= high.index(greatest))


class _Extremes:
    def __init__(self, size: int, samples: int) -> None:
        self.size = size
        blocks = -(-samples // size)
        self.low = array("f", [math.inf]) * blocks
        self.high = array("f", [-math.inf]) * blocks

    def add(self, index: int, value: float) -> None:
        if index % self.size == 0:
            self.low.append(math.inf)
            self.high.append(-math.inf)
        if value < self.low[-1]:
            self.low[-1] = value
        if value > self.high[-1]:
            self.high[-1] = value

    def drop(self, samples: int) -> None:
        del self.low[: samples // self.size]
        del self.high[: samples // self.size]


def _in_order(values: list) -> Optional[tuple[float, float, bool]]:
    if not values:
        return None
    least, greatest = min(values), max(values)
    return least, greatest, values.index(least) <= values.index(greatest)


class History:
    """Named series over common times. capacity: samples kept; the oldest go. Use from one thread.

    Times are epoch seconds and never go back: a clock that was set back stands still here until it has caught up.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._times = array("d")
        self._series: dict[str, _Series] = {}
        self.refused = 0  # values of series beyond MAX_SERIES

    def __len__(self) -> int:
        return len(self._times)

    def names(self) -> list[str]:
        """The series that have ever had a value."""
        return list(self._series)

    def add(self, moment: float, values: Mapping[str, Optional[float]]) -> None:
        """One sample: a value of every series that has one. None and what is not finite count as no value."""
        if self._times and moment < self._times[-1]:
            moment = self._times[-1]
        for name in values:
            if name not in self._series and not self._new(name):
                self.refused += 1
        self._times.append(moment)
        for name, series in self._series.items():
            value = values.get(name)
            series.add(value if value is not None and math.isfinite(value) else math.nan)
        if len(self._times) > self.capacity + SLACK:
            self._drop()

    def _new(self, name: str) -> bool:
        if len(self._series) >= MAX_SERIES:
            return False
        self._series[name] = _Series(len(self._times))
        return True

    def _drop(self) -> None:
        samples = (len(self._times) - self.capacity) // COARSE * COARSE
        del self._times[:samples]
        for series in self._series.values():
            series.drop(samples)

    def last(self, name: str) -> Optional[float]:
        """The latest value of a series, or None."""
        series = self._series.get(name)
        value = series.raw[-1] if series is not None and series.raw else math.nan
        return value if value == value else None

    def points(self, name: str, start: float, end: float) -> list[tuple[float, float]]:
        """(time, value) of every sample of one series from start to end, both included."""
        series = self._series.get(name)
        if series is None:
            return []
        first, last = self._span(start, end)
        return [(self._times[i], series.raw[i]) for i in range(first, last) if series.raw[i] == series.raw[i]]

    def window(self, names: Iterable[str], start: float, end: float, points: int) -> tuple[list, dict[str, list]]:
        """Times from start to end, at most ``points`` of them, and the values of each series, None where it has none.

        Where there are more samples than that, each two times stand for a bucket of samples and carry its least and its
        greatest value, in the order in which they came: no extreme is lost, and every value is one that was recorded.
        """
        first, last = self._span(start, end)
        if last - first <= points:
            times = list(self._times[first:last])
            return times, {name: self._values(name, first, last) for name in names}
        edges = self._edges(first, last, max(1, points // 2))
        times = [self._times[at] for a, b in edges for at in (a, (a + b) // 2)]
        return times, {name: self._extremes(name, edges) for name in names}

    def _span(self, start: float, end: float) -> tuple[int, int]:
        return bisect_left(self._times, start), bisect_left(self._times, math.nextafter(end, math.inf))

    def _edges(self, first: int, last: int, buckets: int) -> list[tuple[int, int]]:
        """Buckets of equal size that begin where blocks do; they do not move while samples are added."""
        size = -(-(last - first) // buckets)
        step = COARSE if size >= 2 * COARSE else FINE if size >= 2 * FINE else 1
        size = -(-size // step) * step
        starts = range(first // step * step, last, size)
        return [(at, min(at + size, last)) for at in starts]

    def _values(self, name: str, first: int, last: int) -> list:
        series = self._series.get(name)
        if series is None:
            return [None] * (last - first)
        return [value if value == value else None for value in series.raw[first:last]]

    def _extremes(self, name: str, edges: list[tuple[int, int]]) -> list:
        series = self._series.get(name)
        values: list = []
        for first, last in edges:
            found = None if series is None else series.extremes(first, last)
            if found is None:
                values += (None, None)
            else:
                least, greatest, rising = found
                values += (least, greatest) if rising else (greatest, least)
        return values
