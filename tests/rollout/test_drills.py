"""Faults injected into the candidate of every flag: noticed, taken back, and no request lost."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from kato_fast import flags, observe, rollout
from kato_fast.flags import FLAGS
from kato_fast.rollout import Choice, Rules, fallbacks, pairs, replay
from kato_fast.rollout.compare import differences
from kato_fast.rollout.judge import ERROR_RATE, RARE, TOLERANCE, Bets, Judge
from tests.rollout import functions
from tests.rollout.hanging import Hanging
from tests.rollout.simulated import Traffic
from tests.stalls import Stalls, stalled

ROOT = Path(__file__).parents[2]


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
            break
    pairs.settle()
    end = time.monotonic() + 5
    while flags.resolution(choice.flag).origin == "latch" and not metric(choice.flag) and time.monotonic() < end:
        time.sleep(0.002)  # it is off first, and the report is written then


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

    def test_a_hang(self, flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
        assert pairs.HANG_SECONDS == 1  # the promise; twelve times that would only be waited for
        monkeypatch.setattr(pairs, "HANG_SECONDS", 0.1)
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

    @pytest.mark.parametrize("times", [1.1, 2.0])
    def test_slower(self, flag: str, times: float, monkeypatch: pytest.MonkeyPatch) -> None:
        traffic = Traffic(monkeypatch, times=times)
        choice = Choice(flag, "drill", traffic.original, traffic.candidate, pure=True, key=str)
        flags.set_mode(flag, "canary:50", by="test")
        run(choice, 2000)
        assert metric(flag) in ("latency", "tail", "tail99")
        report = rollout.latches()[flag]["report"]
        assert report["pairs"] <= (1500 if times < 2 else 100), report["pairs"]
        low, high = report["interval"]
        assert low < report["effect"] < high
        choice.candidate = pytest.fail
        assert choice(1) == 2  # off at once

    def test_a_leak(self, flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """256 KiB a call, as the system would say; that it does say so is the next test's."""
        traffic = Traffic(monkeypatch, leak=256 << 10)
        flags.set_mode(flag, "shadow", by="test")
        run(Choice(flag, "drill", traffic.original, traffic.candidate, pure=True), 600)
        assert metric(flag) == "memory" and rollout.latches()[flag]["report"]["pairs"] < 200


CRASHES = """
import ctypes, os, sys
from kato_fast import rollout
from kato_fast.flags import FLAGS
for flag in FLAGS:
    child = os.fork()
    if child == 0:
        rollout.start("test", {flag: "on"})
        rollout.Choice(flag, "drill", lambda: 1, lambda: ctypes.string_at(0))()
    os.waitpid(child, 0)
"""


def test_a_crash_of_each_flag(folder: Path) -> None:
    """A process each; the next one starts with that flag off, and with the others on."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", CRASHES], env=env, check=True, capture_output=True, timeout=60)
    rollout.start("test", dict.fromkeys(FLAGS, "on"))
    try:
        assert {flag: metric(flag) for flag in FLAGS} == dict.fromkeys(FLAGS, "crash")
        assert all(flags.resolution(flag).origin == "latch" for flag in FLAGS)
    finally:
        rollout.stop()


FOLLOWER = """
import json, time
from kato_fast import flags
from tests.stalls import Stalls
flags.start(dict.fromkeys(flags.FLAGS, "on"))
with Stalls() as stalls:
    print("ready", flush=True)
    left = set(flags.FLAGS)
    while left:
        for flag in [flag for flag in left if flags.mode(flag).kind == "off"]:
            left.remove(flag)
            print(json.dumps([flag, time.time(), stalls.found]), flush=True)
        time.sleep(0.005)
"""


def test_a_rollback_of_each_flag_reaches_the_other_workers(folder: Path) -> None:
    """Within a second; only time in which threads beside, of both processes, did not run either is not ours."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = {}
    with subprocess.Popen([sys.executable, "-c", FOLLOWER], env=env, stdout=subprocess.PIPE, text=True) as follower:
        try:
            assert follower.stdout.readline() == "ready\n"
            with Stalls() as own:
                for flag in FLAGS:
                    began[flag] = time.time()
                    rollout.roll_back(flag, "errors", {"summary": "drill"})
                ended = time.time()
            for _ in FLAGS:
                flag, moment, stalls = json.loads(follower.stdout.readline())
                start = began[flag]
                not_ours = stalled(stalls, start, moment) + stalled(own.found, start, min(moment, ended))
                assert moment - start - not_ours <= 1, (flag, moment - start, not_ours)
        finally:
            follower.kill()


@pytest.mark.parametrize("how, found", [("working", "hang"), ("waiting", "")])
def test_a_hang_of_a_flag_that_is_on(monkeypatch, how: str, found: str) -> None:
    """Loading much from a database that is slow is none."""
    hanging = Hanging(monkeypatch)

    def candidate(value):
        with rollout.waiting() if how == "waiting" else nullcontext():
            hanging.wait()
        return value + 1

    flags.set_mode("batch", "on", by="test")
    choice = Choice("batch", "drill", original, candidate)
    hanging.is_looked_for(lambda: choice(1))
    assert metric("batch") == found


def test_a_real_leak() -> None:
    kept: list[bytearray] = []

    def candidate(value):
        kept.append(bytearray(os.urandom(1)) * (256 << 10))
        return value + 1

    flags.set_mode("batch", "shadow", by="test")
    run(Choice("batch", "drill", original, candidate, pure=True), 600)
    assert metric("batch") in ("memory", "latency")  # what leaks that much is slower too


@pytest.mark.parametrize("times", [1.1, 2.0])
def test_slower_in_noise(times: float) -> None:
    """With noise like that of a service; the limits are the promised ones."""
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


COINS = Bets().odds
ROLLOUTS = int(os.environ.get("KATO_FAST_ROLLOUTS", "40"))


@pytest.mark.parametrize("workers", [1, 8])
def test_no_false_rollback(workers: int) -> None:
    """A against A: 10^5 requests each, by all workers. KATO_FAST_ROLLOUTS=1000 is the long run: at most one alarm."""
    numpy = pytest.importorskip("numpy", reason="the simulation needs numpy")
    generator = numpy.random.default_rng(2026)
    alarms = sum(
        any(_alarms(numpy, generator, 100_000 // workers, number) for number in range(1, workers + 1))
        for _ in range(ROLLOUTS)
    )
    assert alarms <= max(1, ROLLOUTS // 1000), f"{alarms} of {ROLLOUTS}"


def _alarms(numpy, generator, requests: int, number: int) -> bool:
    """The judge's bets, on arrays; test_the_simulation_is_the_judge holds both together."""
    original, candidate = generator.lognormal(14, 0.5, (2, requests)).astype(numpy.int64)
    limit = Judge(number=number).limit
    coins, errors = generator.random(requests) < 0.5, generator.random(requests) < ERROR_RATE
    found = [_most(numpy, candidate > original * TOLERANCE, least=limit), _most(numpy, coins, least=limit)]
    found.append(_most(numpy, errors, ERROR_RATE, RARE, least=limit))
    ends = [256 * 4**k for k in range(5) if 256 * 4**k < requests] + [requests]
    limits = numpy.array([numpy.quantile(original[:end], (0.95, 0.99)) for end in ends[:-1]])
    for both in limits.T:
        threshold = numpy.repeat(both, numpy.diff(ends))
        above, below = candidate[256:] > threshold, original[256:] > threshold
        found.append(_most(numpy, above[above != below], least=limit))
    return max(found) >= limit


def _most(numpy, happened, p0: float = 0.5, odds=None, least: float = -math.inf) -> float:
    """The highest evidence of all moments; exact where it is at least that."""
    rounds, won = numpy.arange(1, len(happened) + 1), numpy.cumsum(happened)
    if p0 < 0.1:
        rounds, won = rounds[happened], won[happened]  # in between it only falls
    odds = COINS if odds is None else odds
    totals = [1 - p0 + ratio * p0 for ratio in odds]
    logs = [math.log(ratio) * won - math.log(total) * rounds for ratio, total in zip(odds, totals)]
    if not len(won) or max(float(numpy.max(one)) for one in logs) < least:  # the mean is at most the largest
        return -math.inf
    return float(numpy.max(numpy.logaddexp.reduce(logs, axis=0)) - math.log(len(logs)))


def test_the_simulation_is_the_judge() -> None:
    numpy = pytest.importorskip("numpy", reason="the simulation needs numpy")
    happened = numpy.random.default_rng(5).random(500) < 0.55
    judge, most = Judge(), -math.inf
    for one in happened:
        judge._bets["latency"].update(bool(one))
        most = max(most, judge._bets["latency"].evidence())
    assert math.isclose(most, _most(numpy, happened), rel_tol=1e-9)
    rare, bets, most = numpy.random.default_rng(6).random(5000) < 0.002, Bets(RARE), -math.inf
    for one in rare:
        bets.update(bool(one), ERROR_RATE)
        most = max(most, bets.evidence())
    assert math.isclose(most, _most(numpy, rare, ERROR_RATE, RARE), rel_tol=1e-9)
    assert _most(numpy, rare, ERROR_RATE, RARE, least=most + 2) == -math.inf


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
