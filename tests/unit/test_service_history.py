"""History: every extreme is kept, whatever the window and however few the points; old samples go."""

from __future__ import annotations

import math
import random
import time

import pytest

from kato_fast.service.monitor import history
from kato_fast.service.monitor.history import MAX_SERIES, History


def naive(points: list[tuple[float, float]], start: float, end: float) -> list[float]:
    return [value for moment, value in points if start <= moment <= end]


def test_few_samples_are_given_as_they_are() -> None:
    kept = History(100)
    for i in range(10):
        kept.add(i, {"a": i, "b": None if i < 5 else 2 * i})
    times, values = kept.window(["a", "b", "unknown"], 2, 7, 50)
    assert times == [2, 3, 4, 5, 6, 7]
    assert values == {"a": [2, 3, 4, 5, 6, 7], "b": [None, None, None, 10, 12, 14], "unknown": [None] * 6}
    assert kept.last("a") == 9 and kept.last("unknown") is None
    assert kept.points("b", 0, 5.5) == [(5, 10)]


def test_extremes_survive(rng: random.Random) -> None:
    for _ in range(60):
        count, points = rng.randrange(1, 5000), rng.randrange(2, 400)
        kept, all_points = History(10_000), []
        for i in range(count):
            value = None if rng.random() < 0.1 else float(rng.randrange(-1000, 1000))
            kept.add(i, {"a": value})
            if value is not None:
                all_points.append((i, value))
        start = rng.randrange(count)
        end = rng.randrange(start, count)
        times, values = kept.window(["a"], start, end, points)
        inside = naive(all_points, start, end)
        shown = [value for value in values["a"] if value is not None]
        assert len(times) == len(values["a"]) <= max(points, 2) + 2 and times == sorted(times)
        if inside:
            assert min(shown) <= min(inside) and max(shown) >= max(inside)
        assert set(shown) <= {value for _, value in all_points}


def test_a_spike_in_a_million_is_seen_quickly() -> None:
    kept = History(1_000_000)
    for i in range(1_000_000):
        kept.add(i, {"a": 1.0 if i != 654_321 else 99.0, "b": 2.0 if i != 123_456 else -7.0})
    start = time.perf_counter()
    times, values = kept.window(["a", "b"], 0, 1e6, 800)
    took = time.perf_counter() - start
    assert max(values["a"]) == 99 and min(values["a"]) == 1
    assert min(values["b"]) == -7 and max(values["b"]) == 2
    at = times[values["a"].index(99)]
    assert abs(at - 654_321) <= 2 * 1_000_000 / 400
    assert len(times) <= 802
    assert took < 0.1, f"{took:.3f} s for two series"


def test_old_samples_go(rng: random.Random) -> None:
    kept = History(500)
    total = 20_000
    for i in range(total):
        kept.add(i, {"a": i})
    assert 500 <= len(kept) <= 500 + history.SLACK
    times, values = kept.window(["a"], 0, total, 10)
    assert max(values["a"]) == total - 1
    assert min(values["a"]) >= total - len(kept) - 1
    first, last = total - 400, total - 100
    _, values = kept.window(["a"], first, last, 20)
    assert min(values["a"]) <= first and max(values["a"]) >= last


def test_order_within_a_bucket() -> None:
    kept = History(1000)
    for i in range(128):
        kept.add(i, {"up": i, "down": -i})
    _, values = kept.window(["up", "down"], 0, 127, 2)
    assert values == {"up": [0, 127], "down": [0, -127]}


def test_series_may_begin_late_and_are_limited() -> None:
    kept = History(1000)
    for i in range(100):
        kept.add(i, {"a": i})
    for i in range(100, 300):
        kept.add(i, {"a": i, "late": 5})
    _, values = kept.window(["late"], 0, 299, 10)
    assert values["late"][0] is None and values["late"][-1] == 5
    for i in range(MAX_SERIES + 5):
        kept.add(300 + i, {f"s{i}": 1})
    assert len(kept.names()) == MAX_SERIES and kept.refused == 7


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_what_is_not_finite_is_no_value(value) -> None:
    kept = History(100)
    kept.add(1, {"a": value})
    assert kept.last("a") is None
    assert kept.window(["a"], 0, 2, 10) == ([1], {"a": [None]})


def test_a_clock_that_goes_back_stands_still() -> None:
    kept = History(100)
    for moment in (5, 6, 3, 7):
        kept.add(moment, {"a": moment})
    assert kept.window(["a"], 0, 10, 10)[0] == [5, 6, 6, 7]
