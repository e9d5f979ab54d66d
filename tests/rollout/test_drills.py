"""Faults injected into the candidate of every flag: noticed, taken back, and no request lost."""

from __future__ import annotations

import math
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kato_fast import flags, observe, rollout
from kato_fast.flags import FLAGS
from kato_fast.rollout import Choice, Rules, fallbacks, pairs, replay
from kato_fast.rollout.compare import differences
from kato_fast.rollout.judge import Judge
from tests.rollout import functions


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    fallbacks.forget()
    pairs.judges.clear()
    yield
    pairs.settle()
    pairs.judges.clear()


def original(value):
    sum(range(2000))  # the candidates of the drills are quicker, so that only their fault is found
    return value + 1


def run(choice: Choice, calls: int) -> None:
    """Every request is answered, and rightly, until the flag is taken back or the calls are over."""
    choice.budget.free = calls
    for i in range(calls):
        assert choice(i) == i + 1
        if i % 32 == 31:
            pairs.settle()
        if flags.resolution(choice.flag).origin == "latch":
            return
    pairs.settle()


def metric(flag: str) -> str:
    return rollout.latches().get(flag, {}).get("metric", "")


@pytest.mark.parametrize("flag", FLAGS)
class TestEachFlag:
    def test_errors(self, flag: str) -> None:
        """In one of 100 calls; at most 500 calls of the candidate."""
        count = iter(range(10**9))

        def candidate(value):
            if next(count) % 100 == 99:
                raise RuntimeError("drill")
            return value + 1

        flags.set_mode(flag, "canary:100", by="test")
        run(Choice(flag, "drill", original, candidate, pure=True, key=str), 1000)
        assert metric(flag) == "errors" and next(count) < 1100
        assert flags.mode(flag).kind == "off"

    def test_one_wrong_answer(self, flag: str) -> None:
        """Shown by the call that is compared, at once. The wrong one is the comparison's alone."""
        main = threading.get_ident()

        def candidate(value):
            return value + (2 if value == 40 and threading.get_ident() != main else 1)

        flags.set_mode(flag, "canary:50", by="test")
        run(Choice(flag, "drill", original, candidate, pure=True, key=str), 200)
        assert metric(flag) == "answers" and rollout.latches()[flag]["report"]["different"] == 1

    def test_a_hang(self, flag: str) -> None:
        release = threading.Event()

        def candidate(value):
            if threading.current_thread() is not threading.main_thread():
                release.wait(30)
            return value + 1

        choice = Choice(flag, "drill", original, candidate, pure=True)
        flags.set_mode(flag, "shadow", by="test")
        try:
            assert choice(1) == 2
            start = time.monotonic()
            while not metric(flag):
                pairs.look_for_hangs()
                assert time.monotonic() - start < pairs.HANG_SECONDS + 5
                time.sleep(0.02)
            assert metric(flag) == "hang" and flags.mode(flag).kind == "off"
        finally:
            release.set()


def test_a_leak() -> None:
    kept: list[bytearray] = []

    def candidate(value):
        kept.append(bytearray(os.urandom(1)) * (256 << 10))
        return value + 1

    flags.set_mode("batch", "shadow", by="test")
    run(Choice("batch", "drill", original, candidate, pure=True), 600)
    assert metric("batch") in ("memory", "latency")  # what leaks that much is slower too


@pytest.mark.parametrize("times", [1.1, 2.0])
def test_slower(times: float) -> None:
    """Durations as measured elsewhere: here a busy machine would decide."""
    draw = random.Random(11)
    judge = Judge()
    while judge.pairs < 20_000 and not judge.alarm():
        both = draw.lognormvariate(14, 1)
        judge.pair(int(both * draw.lognormvariate(0, 0.3)), int(both * times * draw.lognormvariate(0, 0.3)))
    assert judge.alarm() in ("latency", "tail", "tail99")
    assert judge.pairs <= (20_000 if times < 1.2 else 500), judge.pairs
    report = judge.report("latency")
    low, high = report["interval"]
    assert low < report["effect"] < high and (times < 1.25 or not judge.fine())


def test_equally_fast_is_fine_and_no_alarm() -> None:
    draw = random.Random(12)
    judge = Judge()
    for _ in range(3000):
        judge.pair(int(draw.lognormvariate(14, 0.3)), int(draw.lognormvariate(14, 0.3)))
    assert judge.alarm() is None and judge.fine()


def test_no_false_rollback() -> None:
    """A against A: 10^5 requests each. KATO_FAST_ROLLOUTS=1000 is the long run; at most one in 1,000 may alarm."""
    numpy = pytest.importorskip("numpy", reason="the simulation needs numpy")
    rollouts = int(os.environ.get("KATO_FAST_ROLLOUTS", "40"))
    generator = numpy.random.default_rng(2026)
    alarms = sum(_alarms(numpy, generator, 100_000) for _ in range(rollouts))
    assert alarms <= max(1, rollouts // 1000), f"{alarms} of {rollouts}"


def _alarms(numpy, generator, requests: int) -> bool:
    """The judge's bets, on arrays; test_the_simulation_is_the_judge holds both together."""
    original, candidate = generator.lognormal(14, 0.5, (2, requests)).astype(numpy.int64)
    limit = Judge().limit
    if _most(numpy, candidate > original * 1.02) >= limit:
        return True
    for quantile in (0.95, 0.99):
        threshold = numpy.repeat(
            [numpy.quantile(original[: block * 256], quantile) for block in (1, 4, 16, 64)],
            [3 * 256, 12 * 256, 48 * 256, requests - 64 * 256],
        )
        above, below = candidate[256:] > threshold, original[256:] > threshold
        if _most(numpy, above[above != below]) >= limit:
            return True
    return False


def _most(numpy, happened) -> float:
    logs = []
    for ratio in Judge()._bets["latency"].odds:
        total = 0.5 + 0.5 * ratio
        logs.append(numpy.cumsum(numpy.where(happened, math.log(ratio / total), -math.log(total))))
    return float(numpy.max(numpy.logaddexp.reduce(logs, axis=0)) - math.log(len(logs)))


def test_the_simulation_is_the_judge() -> None:
    numpy = pytest.importorskip("numpy", reason="the simulation needs numpy")
    happened = numpy.random.default_rng(5).random(500) < 0.55
    judge, most = Judge(), -math.inf
    for one in happened:
        judge._bets["latency"].update(bool(one))
        most = max(most, judge._bets["latency"].evidence())
    assert math.isclose(most, _most(numpy, happened), rel_tol=1e-9)


def test_a_difference_leaves_a_file_that_plays_again(folder: Path) -> None:
    choice = Choice("batch", "place", functions.original, functions.wrong, pure=True)
    flags.set_mode("batch", "shadow", by="test")
    for value in (0.25, 0.5, 0.5):
        assert choice(value) == functions.original(value)
    pairs.settle()
    (path,) = (folder / "differences").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ValueError, match=r"is not of kato_fast; --allow tests"):
        replay.again(path)
    again = replay.again(path, ("tests",))
    assert again["differences"] == again["recorded"] == ["answer.value: 1.0 is not 1.000000000000001"]
    assert flags.mode("batch").kind == "shadow"  # who looks wants all of them
    found = {tuple(s["labels"].values()): s["value"] for s in _series("kato_fast_shadow_total")}
    assert found["batch", "different"] >= 2 and found["batch", "same"] >= 1


def _series(name: str) -> list[dict]:
    return observe.snapshot()["metrics"][name]["series"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": "kato-fast/difference/2"}'])
def test_what_is_no_such_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)
    with pytest.raises(ValueError, match="is no file of a difference"):
        replay.again(tmp_path / "x")


def test_what_is_not_pure_is_never_called_twice() -> None:
    calls = []
    choice = Choice("batch", "writes", lambda: calls.append("original"), lambda: calls.append("candidate"))
    flags.set_mode("batch", "shadow", by="test")
    choice()
    pairs.settle()
    assert calls == ["original"]
    assert [entry["reason"] for entry in rollout.explain()] == ["unplanned_writes"]


def test_the_budget_drops_and_counts() -> None:
    choice = Choice("indexes", "cheap", original, original, pure=True)
    flags.set_mode("indexes", "shadow", by="test")
    before = _results("indexes")
    for i in range(2000):
        choice(i)
    pairs.settle()
    found = {result: count - before.get(result, 0) for result, count in _results("indexes").items()}
    assert sum(found.values()) == 2000 and found.get("dropped_budget", 0) + found.get("dropped_busy", 0) > 1000


def _results(flag: str) -> dict[str, int]:
    series = [one for one in _series("kato_fast_shadow_total") if one["labels"]["flag"] == flag]
    return {one["labels"]["result"]: one["value"] for one in series}


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1.0, 1.0, True),
        (0.0, -0.0, False),
        (math.nan, math.nan, True),
        (1, 1.0, False),
        (1, True, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ([1, 2], (1, 2), False),
        (b"x", b"x", True),
        ([[1.0]], [[1.0 + 2e-16]], False),
    ],
)
def test_bit_for_bit(a, b, equal: bool) -> None:
    assert (differences(a, b) == []) is equal


def test_tolerance_and_ties() -> None:
    assert differences({"p": 1.0}, {"p": 1.0 + 1e-13}, Rules({"p": 1e-12})) == []
    assert differences({"q": 1.0}, {"q": 1.0 + 1e-13}, Rules({"p": 1e-12})) != []
    one = [{"n": "a", "p": 2}, {"n": "b", "p": 1}, {"n": "c", "p": 1}]
    swapped = [one[0], one[2], one[1]]
    assert differences(one, swapped) != [] and differences(one, swapped, Rules(ties="p")) == []
    assert differences(one, [one[1], one[0], one[2]], Rules(ties="p")) != []
