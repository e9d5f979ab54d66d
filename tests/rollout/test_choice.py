"""Who answers in which mode, and what happens when the candidate cannot."""

from __future__ import annotations

import asyncio
import logging

import pymongo
import pytest
import redis

from kato_fast import flags
from kato_fast.rollout import Choice, Declined, FallbackForbidden, explain, fallbacks, pairs


@pytest.fixture(autouse=True)
def _own_ledgers() -> None:
    fallbacks.forget()


def original(value, *, more=0):
    """What it is about."""
    return ("original", value + more)


def candidate(value, *, more=0):
    return ("candidate", value + more)


def failing(value, *, more=0):
    raise RuntimeError("no way")


def test_modes() -> None:
    choice = Choice("batch", "test", original, candidate, key=lambda value, more=0: f"key {value}")
    assert choice(1, more=2) == ("original", 3)
    for text, expected in (("on", "candidate"), ("require", "candidate"), ("shadow", "original")):
        flags.set_mode("batch", text, by="test")
        assert choice(1, more=2) == (expected, 3)
    flags.set_mode("batch", "canary:50", by="test")
    answers = {value: choice(value)[0] for value in range(400)}
    assert 140 < sum(answer == "candidate" for answer in answers.values()) < 260
    assert answers == {value: choice(value)[0] for value in range(400)}


def test_looks_like_the_original_and_binds_like_a_function() -> None:
    class Host:
        def method(self, value):
            return (self, "original", value)

    choice = Choice("batch", "test", Host.method, lambda self, value: (self, "candidate", value))
    Host.method = choice
    host = Host()
    assert host.method(1) == (host, "original", 1)
    flags.set_mode("batch", "on", by="test")
    assert host.method(1) == (host, "candidate", 1)
    named = Choice("batch", "test", original, candidate)
    assert (named.__name__, named.__doc__, named.__wrapped__) == ("original", "What it is about.", original)
    assert Host.method is choice and "batch/test" in repr(choice)


def test_a_fallback_is_counted_told_once_and_listed(caplog: pytest.LogCaptureFixture) -> None:
    choice = Choice("batch", "test", original, failing)
    flags.set_mode("batch", "on", by="test")
    with caplog.at_level(logging.WARNING, logger="kato_fast.rollout"):
        assert [choice(i) for i in range(3)] == [("original", i) for i in range(3)]
    assert len(caplog.records) == 1 and "error" in caplog.records[0].message
    (entry,) = explain()
    assert (entry["flag"], entry["name"], entry["reason"], entry["count"]) == ("batch", "test", "error", 3)
    assert entry["detail"] == "RuntimeError: no way" and "test_choice.py:" in entry["where"]
    assert entry["share"] == 1 and 0 < entry["seconds_lost"] < 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "out_of_memory"),
        (pymongo.errors.AutoReconnect(), "connection"),
        (pymongo.errors.ServerSelectionTimeoutError(), "timeout"),
        (redis.exceptions.ConnectionError(), "connection"),
        (redis.exceptions.TimeoutError(), "timeout"),
        (pymongo.errors.DuplicateKeyError("twice"), "error"),
        (TimeoutError(), "timeout"),
        (ConnectionResetError(), "connection"),
        (FileNotFoundError(), "os_error"),
        (NotImplementedError(), "unsupported"),
        (KeyError("x"), "error"),
        (Declined("unsupported", "not today"), "unsupported"),
    ],
)
def test_reason_codes(error: Exception, reason: str) -> None:
    def raises(value):
        raise error

    choice = Choice("batch", "test", original, raises)
    flags.set_mode("batch", "on", by="test")
    assert choice(1) == ("original", 1)
    assert [entry["reason"] for entry in explain()] == [reason]


def test_require_raises() -> None:
    flags.set_mode("batch", "require", by="test")
    with pytest.raises(RuntimeError, match="no way"):
        Choice("batch", "test", original, failing)(1)

    def declines(value):
        raise Declined("unsupported", "not today")

    with pytest.raises(FallbackForbidden, match="batch is on require, but test declined: unsupported: not today"):
        Choice("batch", "test", original, declines)(1)


def test_an_interrupt_is_no_fallback() -> None:
    def interrupted(value):
        raise KeyboardInterrupt

    flags.set_mode("batch", "on", by="test")
    with pytest.raises(KeyboardInterrupt):
        Choice("batch", "test", original, interrupted)(1)
    assert explain() == []


def test_a_failing_path_is_parked_and_tried_again() -> None:
    now = [0.0]
    choice = Choice("batch", "test", original, failing)
    choice.parking._clock = lambda: now[0]
    flags.set_mode("batch", "on", by="test")
    for i in range(20):
        assert choice(i) == ("original", i)
    counts = {entry["reason"]: entry["count"] for entry in explain()}
    assert counts == {"error": 8, "parked": 12}
    assert choice.parking.seconds_left() == 1
    now[0] = 1.5
    choice(1)
    assert choice.parking.seconds_left() == 2
    choice.candidate = candidate
    assert choice(1) == ("original", 1)
    now[0] = 4
    assert choice(1) == ("candidate", 1) and not choice.parking.parked
    assert choice(2) == ("candidate", 2)


def test_a_path_that_always_declines_and_costs_is_parked() -> None:
    def declines(value):
        sum(range(2000))
        raise Declined("unsupported")

    choice = Choice("batch", "test", original, declines)
    flags.set_mode("batch", "on", by="test")
    for i in range(100):
        choice(i)
    counts = {entry["reason"]: entry["count"] for entry in explain()}
    assert counts["unsupported"] <= 64 and counts["parked"] >= 36


def test_async() -> None:
    async def slow(value):
        await asyncio.sleep(0)
        return ("original", value)

    async def fast(value):
        await asyncio.sleep(0)
        return ("candidate", value)

    async def broken(value):
        await asyncio.sleep(0)
        raise RuntimeError("no way")

    async def run() -> None:
        choices = [Choice("batch", "test", slow, other) for other in (fast, candidate, broken)]
        assert [await choice(1) for choice in choices] == [("original", 1)] * 3
        flags.set_mode("batch", "on", by="test")
        assert [await choice(1) for choice in choices] == [("candidate", 1), ("candidate", 1), ("original", 1)]
        flags.set_mode("batch", "require", by="test")
        with pytest.raises(RuntimeError, match="no way"):
            await choices[2](1)

    asyncio.run(run())


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"did you mean batch\?"):
        Choice("bach", "test", original, candidate)
    with pytest.raises(ValueError, match="reason must be a code such as"):
        Declined("Not a code")


def test_beside_the_original_only_the_candidate_is_called_again() -> None:
    """Under shadow, and under canary for keys that are not chosen; what it answers or raises gets to nobody."""
    calls: list[str] = []
    pairs.judges.clear()

    def original(value):
        calls.append("original")
        return value

    def candidate(value):
        calls.append("candidate")
        if value == 3:
            raise RuntimeError("no way")
        return value

    choice = Choice("batch", "test", original, candidate, key=str, beside=True)
    flags.set_mode("batch", "shadow", by="test")
    assert [choice(value) for value in (1, 2, 3)] == [1, 2, 3]
    assert calls == ["original", "candidate"] * 3
    judge = pairs.judge_of("batch")
    assert (judge.pairs, judge.errors, judge.different) == (3, 1, 0)
    flags.set_mode("batch", "canary:0", by="test")
    assert choice(4) == 4 and judge.pairs == 4
    choice.budget.free = 0
    choice.budget.left_ns = -1e12
    assert choice(5) == 5 and judge.pairs == 4
    assert calls[-1] == "original"
    pairs.judges.clear()


def test_a_raising_original_is_not_compared() -> None:
    choice = Choice("batch", "test", failing, candidate, beside=True)
    flags.set_mode("batch", "shadow", by="test")
    pairs.judges.clear()
    with pytest.raises(RuntimeError, match="no way"):
        choice(1)
    assert "batch" not in pairs.judges
