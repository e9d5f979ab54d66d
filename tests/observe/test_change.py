"""Change detection: a regression is found, noise is not, and it ends when it is over."""

from __future__ import annotations

import os
import random
from typing import Optional

import pytest

from kato_fast import observe
from kato_fast.service.monitor import change

#: Of the seconds without a change; 1,000,000 were tried by hand.
SECONDS = int(os.environ.get("KATO_FAST_CASES", "1000")) * 10


def noise(draw: random.Random, factor: float = 1.0) -> float:
    """A second's median: wild, as on a machine that does other things too."""
    return factor * draw.lognormvariate(14, 0.5)


def first_alarm(watched, draw: random.Random, seconds: int, value) -> Optional[int]:
    for second in range(seconds):
        watched.add(value(draw))
        if watched.worse is not None:
            return second
    return None


def test_noise_is_no_regression() -> None:
    draw = random.Random(7)
    assert first_alarm(change.Slower(7), draw, SECONDS, noise) is None
    rare = lambda draw: 0.02 if draw.random() < 0.03 else 0.0  # noqa: E731
    assert first_alarm(change.MoreOften(7), draw, SECONDS, rare) is None


@pytest.mark.parametrize("factor, within", [(10, 40), (3, 120), (2, 400)])
def test_a_regression_is_found(factor: float, within: int) -> None:
    """Median of ten runs, after a good hour."""
    found = []
    for seed in range(10):
        draw, watched = random.Random(seed), change.Slower(seed)
        assert first_alarm(watched, draw, 1000, noise) is None
        seconds = first_alarm(watched, draw, 1000, lambda draw: noise(draw, factor))
        found.append(1000 if seconds is None else seconds)
    print(f"{factor} times as long: found after {sorted(found)} s")
    assert sorted(found)[5] <= within
    assert "times as long" in watched.worse


def test_a_small_difference_is_none() -> None:
    draw, watched = random.Random(3), change.Slower(3)
    assert first_alarm(watched, draw, 600, noise) is None
    assert first_alarm(watched, draw, 1000, lambda draw: noise(draw, 1.1)) is None


def test_it_ends_when_it_is_over() -> None:
    draw, watched = random.Random(4), change.Slower(4)
    first_alarm(watched, draw, 600, noise)
    assert first_alarm(watched, draw, 200, lambda draw: noise(draw, 5)) is not None
    for _ in range(50):
        watched.add(noise(draw, 5))
    assert watched.worse is not None
    for _ in range(400):
        watched.add(noise(draw))
    assert watched.worse is None


def test_what_stays_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change, "ACCEPTED", 300)
    draw, watched = random.Random(5), change.Slower(5)
    first_alarm(watched, draw, 600, noise)
    assert first_alarm(watched, draw, 200, lambda draw: noise(draw, 5)) is not None
    seconds = [watched.add(noise(draw, 5)) or watched.worse for _ in range(600)]
    assert seconds[250] is not None and seconds[-1] is None


def test_more_failures_are_found() -> None:
    draw, watched = random.Random(6), change.MoreOften(6)
    assert first_alarm(watched, draw, 300, lambda draw: 0.0) is None
    assert first_alarm(watched, draw, 300, lambda draw: 0.01 if draw.random() < 0.5 else 0.0) is not None
    assert "%, more than before" in watched.worse


def test_seconds_are_told_apart() -> None:
    """What one second counted is not counted again in the next."""
    changes = change.Changes()
    series = observe.latency("kato_fast_change_test_seconds", "").labels()
    seen: list[float] = []
    changes._add = lambda name, last, q: seen.append(last.count)  # type: ignore[method-assign]
    for count in (3, 0, 25):
        for _ in range(count):
            series.record(0.001)
        changes.look([("x", series)], count, 0)
    assert seen == [3, 25, 25]
