"""Notices that something has become worse than it was, by the judge that also watches over rollouts.

The judge compares two sides of one call. Here the sides are two seconds: the last one, and one of the last hour, drawn
at random. While nothing changes, either is as likely to be the slower one: its bets stay fair however often one looks.
A judge whose capital is below its stake is replaced by a new one, so that a long good time does not hide a bad minute
(an e-detector: Shin, Ramdas, Rinaldo, "E-detectors", 2023); the mean time to a false alarm is at least 1/ALPHA seconds.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import Optional

from kato_fast.observe import Sketch
from kato_fast.observe.metrics import Latency
from kato_fast.rollout.judge import TESTS, Bets, Judge

#: Of what is just short of a regression; of seconds that do not change at all, far less.
ALPHA = 1e-5
LIMIT = math.log(len(TESTS) / ALPHA)
#: Less than this is no regression: a quarter slower.
TOLERANCE = 1.25
#: Seconds before a second belongs to the past, that are remembered, that must be known.
YOUNG, PAST, ENOUGH = 60, 3600, 60
#: Capital against "it is still worse" that ends an alert. What is worse for so many seconds is how it is now.
RECOVERED, ACCEPTED = math.log(20), 3600


class _Past(ABC):
    """Values of earlier seconds. What was found to be worse does not join them until it is accepted."""

    def __init__(self, seed: Optional[int] = None) -> None:
        self._draw = random.Random(seed)
        self._young: deque[float] = deque()
        self._old: deque[float] = deque(maxlen=PAST)
        self._better = Bets()
        self._worse_for = 0
        self.worse: Optional[str] = None
        self._restart()

    def add(self, value: float) -> None:
        """The last second's value."""
        if len(self._old) >= ENOUGH:
            self._compare(TOLERANCE * self._old[self._draw.randrange(len(self._old))], value)
        self._young.append(value)
        if len(self._young) > YOUNG:
            oldest = self._young.popleft()
            if self.worse is None:
                self._old.append(oldest)

    def _compare(self, before: float, now: float) -> None:
        if self.worse is None:
            self.worse = self._found(before, now)
            return
        self._worse_for += 1
        self._better.update(now <= before)
        accepted = self._worse_for >= ACCEPTED
        if accepted:
            self._old.clear()
        if accepted or self._better.evidence() >= RECOVERED:
            self.worse, self._worse_for, self._better = None, 0, Bets()
            self._restart()
        elif self._better.evidence() < 0:
            self._better = Bets()

    @abstractmethod
    def _found(self, before: float, now: float) -> Optional[str]:
        """One more pair, before with the tolerance; in words what is wrong, if the judge says so."""

    @abstractmethod
    def _restart(self) -> None:
        """Begin with a new judge."""


class Slower(_Past):
    """Durations in nanoseconds, one of each second."""

    def _restart(self) -> None:
        self._judge = Judge(ALPHA)

    def _found(self, before: float, now: float) -> Optional[str]:
        self._judge.pair(int(before), int(now))
        evidence = self._judge.evidence()
        if max(evidence.values()) >= LIMIT:
            return self._text()
        if evidence["latency"] < 0:
            self._restart()
        return None

    def _text(self) -> str:
        effect, interval = self._judge.effect() or 1.0, self._judge.interval()
        reach = f" ({TOLERANCE * interval[0]:.3g} to {TOLERANCE * interval[1]:.3g})" if interval else ""
        return f"{TOLERANCE * effect:.3g} times as long{reach} as before"


class MoreOften(_Past):
    """Shares of something bad. Seconds with equal shares, most of them none, say nothing."""

    def _restart(self) -> None:
        self._bets, self._shares, self._pairs = Bets(), 0.0, 0

    def _found(self, before: float, now: float) -> Optional[str]:
        self._shares += now
        self._pairs += 1
        if before != now:
            self._bets.update(now > before)
        if self._bets.evidence() >= LIMIT:
            return f"{self._shares / self._pairs:.2%}, more than before"
        if self._bets.evidence() < 0:
            self._restart()
        return None


class Changes:
    """All that is watched: median and tail of each endpoint's and path's seconds, and the share of failed requests."""

    #: Requests in a second without which its tail is none.
    TAIL = 20

    def __init__(self) -> None:
        self._before: dict[str, Sketch] = {}
        self._slower: dict[str, Slower] = {}
        self._failed = MoreOften()

    def look(self, durations: Iterable[tuple[str, Latency]], calls: float, failed: float) -> None:
        """Once a second. durations: by name. calls, failed: of the last second."""
        for name, series in durations:
            before = self._before.get(name)
            if before is None or series.total.count != before.count:
                self._before[name] = whole = series.so_far()
                self._second(name, _since(whole, before or Sketch()))
        if calls:
            self._failed.add(failed / calls)

    def _second(self, name: str, last: Sketch) -> None:
        self._add(f"median of {name}", last, 0.5)
        if last.count >= self.TAIL:
            self._add(f"99th percentile of {name}", last, 0.99)

    def _add(self, name: str, last: Sketch, q: float) -> None:
        if name not in self._slower:
            self._slower[name] = Slower()
        self._slower[name].add(1e9 * (last.quantile(q) or 0.0))

    def slower(self) -> list[str]:
        """What takes longer than before, in words."""
        return [f"{name}: {one.worse}" for name, one in sorted(self._slower.items()) if one.worse is not None]

    def failing(self) -> Optional[str]:
        """Whether more requests fail than before, in words."""
        return self._failed.worse


def _since(whole: Sketch, before: Sketch) -> Sketch:
    """What was counted after ``before``."""
    last = Sketch()
    for index, count in whole.bins.items():
        more = count - before.bins.get(index, 0)
        if more:
            last.bins[index] = more
    last.count, last.sum, last.most = whole.count - before.count, whole.sum - before.sum, whole.most
    return last
