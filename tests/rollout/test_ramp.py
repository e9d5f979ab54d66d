"""A rollout goes from stage to stage by itself, survives a restart, and stops for what is worse or unclear."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from kato_fast import flags, rollout
from kato_fast.flags import watch
from kato_fast.rollout import pairs, ramp
from kato_fast.rollout.judge import Judge

FLAG = "batch"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    pairs.judges.clear()
    ramp._bases.clear()
    yield
    pairs.judges.clear()


def compare(count: int, candidate_ns: int = 500) -> Judge:
    """So many pairs; the original takes 1,000 ns."""
    judge = pairs.judge_of(FLAG)
    for _ in range(count):
        judge.pair(1000, candidate_ns)
        judge.call(True, False)
    return judge


def begin(**more) -> None:
    ramp.start(FLAG, by="test", least_seconds=0, least_pairs=20, **more)


def stage() -> tuple[str, str]:
    found = ramp.states()[FLAG]
    return found["state"], found["stage"]


def test_from_shadow_to_on() -> None:
    begin()
    seen = []
    for _ in range(20):
        ramp.turn()
        seen.append(str(flags.mode(FLAG)))
        if stage()[0] == "done":
            break
        compare(20)
    assert tuple(dict.fromkeys(seen)) == ramp.STAGES
    assert stage() == ("done", "on")
    assert [one["stage"] for one in ramp.states()[FLAG]["history"]] == list(ramp.STAGES)
    ramp.turn()
    assert stage() == ("done", "on")


def test_no_stage_is_left_without_calls_of_its_own() -> None:
    begin()
    ramp.turn()
    compare(20)
    ramp.turn()
    assert stage() == ("running", "canary:1")
    for _ in range(5):
        ramp.turn()
    compare(19)
    ramp.turn()
    assert stage() == ("running", "canary:1")
    compare(1)
    ramp.turn()
    assert stage() == ("running", "canary:5")


def test_at_100_percent_calls_count() -> None:
    begin(first="canary:100")
    compare(40)
    ramp.turn()
    judge = pairs.judge_of(FLAG)
    for _ in range(20):
        judge.call(True, False)
    ramp.turn()
    assert stage() == ("done", "on")


def test_not_before_its_time() -> None:
    ramp.start(FLAG, by="test", least_seconds=60, least_pairs=20)
    ramp.turn()
    compare(100)
    ramp.turn()
    assert stage() == ("running", "shadow")


def test_what_may_be_slower_stays() -> None:
    begin()
    ramp.turn()
    compare(200, candidate_ns=1300)
    ramp.turn()
    assert stage() == ("running", "shadow")


def test_a_wrong_answer_stays() -> None:
    begin()
    ramp.turn()
    compare(200).differs()
    ramp.turn()
    assert stage() == ("running", "shadow")


def test_a_restart_goes_on_at_its_stage() -> None:
    begin()
    ramp.turn()
    compare(20)
    ramp.turn()
    pairs.judges.clear()
    ramp._bases.clear()
    watch._seen.clear()
    assert stage() == ("running", "canary:1") and str(flags.mode(FLAG)) == "canary:1"
    ramp.turn()
    compare(20)
    ramp.turn()
    assert stage() == ("running", "canary:5")


def test_a_rollback_ends_it() -> None:
    begin()
    rollout.roll_back(FLAG, "errors", {"summary": "of a test"})
    ramp.turn()
    assert stage() == ("rolled back", "shadow") and flags.mode(FLAG).kind == "off"
    with pytest.raises(ValueError, match="--clear batch"):
        begin()
    rollout.clear(FLAG, by="test")
    begin()
    assert stage() == ("running", "shadow")


def test_what_is_unclear_for_a_day_is_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    begin()
    later = time.time() + ramp.MOST_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    ramp.turn()
    assert stage() == ("paused", "shadow")
    ramp.turn()
    ramp.resume(FLAG, by="test")
    assert stage() == ("running", "shadow")
    with pytest.raises(ValueError, match="no rollout that is paused"):
        ramp.resume(FLAG, by="test")


def test_stopping_gives_the_flag_back() -> None:
    begin()
    assert str(flags.mode(FLAG)) == "shadow"
    assert ramp.stop(FLAG, by="test") and not ramp.stop(FLAG, by="test")
    assert flags.mode(FLAG).kind == "off" and ramp.states() == {}


@pytest.mark.parametrize(
    "more, message",
    [
        ({"first": "on"}, "first must be one of shadow"),
        ({"least_seconds": -1}, "least_seconds must be from 0"),
        ({"least_seconds": float("nan")}, "least_seconds must be from 0"),
        ({"least_pairs": 3}, "least_pairs must be from 20"),
    ],
)
def test_bad_input(more, message) -> None:
    with pytest.raises(ValueError, match=message):
        ramp.start(FLAG, by="test", **more)
    with pytest.raises(ValueError, match="batch"):
        ramp.start("bach", by="test")
    assert ramp.states() == {}
