"""Places that await: judged by session like all others, and found again after a crash or a hang."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kato_fast import flags, rollout
from kato_fast.rollout import Choice, crash, explain, fallbacks, pairs
from kato_fast.rollout.judge import SESSION_CALLS
from tests.rollout.hanging import Hanging
from tests.rollout.simulated import Traffic

ROOT = Path(__file__).parents[2]
FLAG = "host_repairs"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    fallbacks.forget()
    pairs.judges.clear()
    yield
    pairs.judges.clear()


def awaited(side):
    async def call(session: str, value: int) -> int:
        await asyncio.sleep(0)
        return side(value)

    return call


def choice_of(original, candidate) -> Choice:
    return Choice(FLAG, "drill", awaited(original), awaited(candidate), key=lambda session, value: session)


def run(choice: Choice, sessions: int, calls: int = SESSION_CALLS) -> int:
    """How many calls there were until the flag was taken back; every one is answered, and rightly."""

    async def requests() -> int:
        for number in range(sessions * calls):
            if flags.resolution(FLAG).origin == "latch":
                return number
            assert await choice(f"session {number // calls}", number) == number + 1
        return sessions * calls

    return asyncio.run(requests())


def metric() -> str:
    return rollout.latches().get(FLAG, {}).get("metric", "")


def plus_one(value: int) -> int:
    return value + 1


def failing(side, every: int):
    count = iter(range(10**9))

    def candidate(value: int) -> int:
        if next(count) % every == every - 1:
            raise RuntimeError("drill")
        return side(value)

    return candidate


def test_errors_are_found(monkeypatch) -> None:
    """In one of 100 calls."""
    traffic = Traffic(monkeypatch)
    flags.set_mode(FLAG, "canary:50", by="test")
    assert run(choice_of(traffic.original, failing(traffic.candidate, 100)), 200) < 4000
    assert metric() == "errors"


def test_errors_that_are_rare_enough_are_no_alarm(monkeypatch) -> None:
    """What went well counts too: three errors in ten thousand calls of the candidate are tolerable."""
    traffic = Traffic(monkeypatch)
    flags.set_mode(FLAG, "canary:100", by="test")
    assert run(choice_of(traffic.original, failing(traffic.candidate, 3333)), 500) == 10_000
    assert metric() == "" and pairs.judge_of(FLAG).errors == 3 and pairs.judge_of(FLAG).calls == 10_000


@pytest.mark.parametrize("times, found", [(1.1, True), (2.0, True), (1.0, False)])
def test_slower_is_found(monkeypatch, times: float, found: bool) -> None:
    traffic = Traffic(monkeypatch, times=times)
    flags.set_mode(FLAG, "canary:50", by="test")
    run(choice_of(traffic.original, traffic.candidate), 2000 if found else 200)
    assert (metric() in ("latency", "tail", "tail99")) == found
    if not found:
        assert pairs.judge_of(FLAG).pairs > 50, "or a rollout never leaves its first stage"


def test_an_error_of_the_original_is_its_own_and_no_session_of_a_candidate_that_failed() -> None:
    def broken(value: int) -> int:
        raise RuntimeError("drill")

    flags.set_mode(FLAG, "canary:100", by="test")
    choice = choice_of(plus_one, broken)
    assert asyncio.run(choice("one", 1)) == 2
    judge = pairs.judge_of(FLAG)
    assert (judge.errors, judge.calls, judge.original_calls) == (1, 1, 0)
    choice.original, choice.key = awaited(broken), lambda *_: None
    with pytest.raises(RuntimeError, match="drill"):
        asyncio.run(choice("one", 1))
    assert (judge.original_errors, judge.original_calls) == (1, 1)


def test_what_shadow_cannot_compare_is_said() -> None:
    flags.set_mode(FLAG, "shadow", by="test")
    run(choice_of(plus_one, plus_one), 1)
    assert [(one["reason"], one["count"]) for one in explain()] == [("unplanned_writes", SESSION_CALLS)]


def test_a_hang_before_anything_is_awaited(monkeypatch) -> None:
    """The engine answers a prediction of KATO 2.1 in the event loop's thread."""
    hanging = Hanging(monkeypatch)

    def candidate(session: str, value: int) -> int:
        hanging.wait()
        return value + 1

    flags.set_mode(FLAG, "on", by="test")
    choice = Choice(FLAG, "drill", awaited(plus_one), candidate)
    hanging.is_looked_for(lambda: asyncio.run(choice("one", 1)))
    assert metric() == "hang"


def test_one_inside_of_another_is_still_looked_at() -> None:
    seen: list = []

    def inner(value: int) -> int:
        return value

    def outer(value: int) -> int:
        inner_choice(value)
        seen.extend(flag for flag, _ in pairs.under_way.values())
        return value

    flags.set_mode("batch", "on", by="test")
    flags.set_mode(FLAG, "on", by="test")
    inner_choice = Choice("batch", "inner", inner, inner)
    Choice(FLAG, "outer", outer, outer)(1)
    assert seen == [FLAG] and not pairs.under_way


CRASHES = """
import asyncio, ctypes, os, sys
from kato_fast import rollout

async def original(): return 1
async def later():
    await asyncio.sleep(0.01)
    ctypes.string_at(0)
async def beside():
    await asyncio.sleep(0.005)
    if sys.argv[1] == "innocent":
        ctypes.string_at(0)

async def run():
    rollout.start("test", {"host_repairs": "on"})
    candidate = {"at once": lambda: ctypes.string_at(0)}.get(sys.argv[1], later)
    await asyncio.gather(rollout.Choice("host_repairs", "drill", original, candidate)(), beside())

asyncio.run(run())
"""


@pytest.mark.parametrize("how, found", [("at once", True), ("later", True), ("innocent", False)])
def test_a_crash_is_found_by_the_next_process(folder: Path, how: str, found: bool) -> None:
    """In a step of the candidate; while it waits, another task's crash is not its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", CRASHES, how], env=env, capture_output=True, timeout=60)
    assert done.returncode < 0, done.stderr
    assert [flag for flag, _ in crash.find()] == [FLAG] * found


def test_a_cancelled_task_may_clean_up_and_leaves_no_mark(folder: Path) -> None:
    cleaned: list = []

    async def candidate(value: int) -> int:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            cleaned.append(value)
        return value

    async def run() -> None:
        task = asyncio.create_task(Choice(FLAG, "drill", awaited(plus_one), candidate)(5))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    flags.set_mode(FLAG, "on", by="test")
    rollout.start("test")
    try:
        asyncio.run(run())
        assert cleaned == [5] and not any(crash.marks._map[1:])
    finally:
        rollout.stop()
