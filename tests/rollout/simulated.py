"""Traffic whose durations and memory are drawn, not measured, so that a busy machine changes nothing.

Each thread has a clock of its own.
"""

from __future__ import annotations

import random
import threading
from typing import Callable

import pytest

from kato_fast.rollout import choice, pairs


class Simulated(threading.local):
    """What this thread's calls took so far, and by how much memory grew."""

    now = grown = 0

    def clock(self) -> int:
        self.now += 1
        return self.now

    def resident(self) -> int:
        return self.grown


class Traffic:
    """Two sides of a place that adds one.

    times: how long the candidate takes, as a multiple. leak: its bytes a call.
    """

    def __init__(self, patch: pytest.MonkeyPatch, *, times: float = 1.0, leak: int = 0, seed: int = 7) -> None:
        self._here = Simulated()
        self._random = random.Random(seed)
        patch.setattr(choice, "perf_counter_ns", self._here.clock)
        patch.setattr(pairs, "perf_counter_ns", self._here.clock)
        patch.setattr(pairs, "_resident", self._here.resident)
        self.original = self._side(1.0, 0)
        self.candidate = self._side(times, leak)

    def _side(self, times: float, leak: int) -> Callable[[int], int]:
        def call(value: int) -> int:
            self._here.now += int(1e6 * times * self._random.lognormvariate(0, 0.15))
            self._here.grown += leak
            return value + 1

        return call
