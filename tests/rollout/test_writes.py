"""A path that writes: compared as what would be written, never written twice; under canary judged by its sessions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kato_fast import flags, rollout
from kato_fast.rollout import Choice, Declined, Writes, fallbacks, pairs, ramp, replay


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    fallbacks.forget()
    pairs.judges.clear()
    ramp._bases.clear()
    yield
    pairs.judges.clear()


def replanned(call: dict) -> dict:
    return {"value": call["value"] + (1 if call["value"] == 3 else 0)}


def recorded(call: dict) -> dict:
    return call["written"]


class Store:
    """Values that were written."""

    def __init__(self) -> None:
        self.values: list[int] = []

    def put(self, value: int) -> None:
        self.values.append(value)


class Noting:
    """The store with its writes noted."""

    def __init__(self, store: Store, seen: list) -> None:
        self.put = lambda value: (store.put(value), seen.append({"value": value}))


def original(store, value: int) -> str:
    store.put(value)
    return "original"


def made(planned=lambda store, value: [{"value": value}], candidate=None) -> Choice:
    writes = Writes(
        watched=lambda args, seen: (Noting(args[0], seen), *args[1:]),
        planned=planned,
        effect=lambda writes: writes[0],
        record=lambda store, value: {"value": value},
        replan=replanned,
        recorded=recorded,
    )
    if candidate is None:

        def candidate(store, value: int) -> str:
            store.put(value)
            return "candidate"

    return Choice("native_store", "put", original, candidate, key=lambda store, value: f"s{value}", writes=writes)


@pytest.mark.parametrize("mode", ["shadow", "canary:0"])
def test_the_plan_is_compared_and_written_once(mode: str) -> None:
    store, choice = Store(), made()
    flags.set_mode("native_store", mode, by="test")
    assert [choice(store, value) for value in range(5)] == ["original"] * 5
    assert store.values == list(range(5))
    judge = pairs.judge_of("native_store")
    assert (judge.pairs, judge.different, judge.errors) == (5, 0, 0) and rollout.explain() == []


def test_a_difference_leaves_one_file_that_plays_again(folder: Path) -> None:
    store, choice = Store(), made(lambda store, value: [replanned({"value": value})])
    flags.set_mode("native_store", "shadow", by="test")
    for value in (1, 2, 3, 3, 4):
        choice(store, value)
    assert store.values == [1, 2, 3, 3, 4] and pairs.judge_of("native_store").different == 2
    (path,) = (folder / "differences").iterdir()
    again = replay.again(path, ("tests",))
    assert again["differences"] == again["recorded"] == ["answer.value: 3 is not 4"]
    assert flags.mode("native_store").kind == "shadow"  # who looks wants all of them


def test_one_wrong_plan_ends_a_canary() -> None:
    store, choice = Store(), made(lambda store, value: [replanned({"value": value})])
    flags.set_mode("native_store", "canary:0", by="test")
    for value in range(10):
        choice(store, value)
    assert rollout.latches()["native_store"]["metric"] == "answers" and store.values == list(range(10))


def test_a_plan_that_fails_or_declines_disturbs_nobody() -> None:
    def planned(store, value):
        raise Declined("unsupported") if value % 2 else RuntimeError("no way")

    store, choice = Store(), made(planned)
    flags.set_mode("native_store", "shadow", by="test")
    assert [choice(store, value) for value in range(4)] == ["original"] * 4
    assert store.values == [0, 1, 2, 3] and pairs.judge_of("native_store").errors == 2
    assert [entry["reason"] for entry in rollout.explain()] == ["unsupported"]


def test_the_budget_holds() -> None:
    store, choice = Store(), made()
    choice.budget.free, choice.budget.left_ns = 3, -1e12
    flags.set_mode("native_store", "shadow", by="test")
    for value in range(10):
        choice(store, value)
    assert pairs.judge_of("native_store").pairs == 3 and store.values == list(range(10))


def test_an_original_that_raises_is_not_compared() -> None:
    def broken(value):
        raise OSError("disk full")

    store, choice = Store(), made()
    store.put = broken
    flags.set_mode("native_store", "shadow", by="test")
    with pytest.raises(OSError, match="disk full"):
        choice(store, 1)
    assert "native_store" not in pairs.judges


def test_errors_under_canary_are_judged_by_sessions() -> None:
    """One of 50 writes fails before it has had an effect: the original writes it, and the flag is taken back."""
    calls = iter(range(10**9))

    def candidate(store, value):
        if next(calls) % 50 == 49:
            raise RuntimeError("drill")
        store.put(value)
        return "candidate"

    store, choice = Store(), made(candidate=candidate)
    flags.set_mode("native_store", "canary:50", by="test")
    count = 0
    while "native_store" not in rollout.latches() and count < 4000:
        choice(store, count)
        count += 1
    assert rollout.latches()["native_store"]["metric"] == "errors" and store.values == list(range(count))


def test_slower_sessions_under_canary_are_seen() -> None:
    """Durations as measured elsewhere: here a busy machine would decide."""
    judge = pairs.judge_of("native_store")
    for session in range(200):
        for call in range(20):
            judge.session(False, f"o{session}", 1000 + call)
            judge.session(True, f"c{session}", 2000 + call)
    assert judge.pairs == 200 and judge.alarm() in ("latency", "tail", "tail99")


def test_a_rollout_leaves_shadow_without_durations() -> None:
    store, choice = Store(), made()
    ramp.start("native_store", by="test", least_seconds=0, least_pairs=20)
    ramp.turn()
    for value in range(20):
        choice(store, value)
    ramp.turn()
    assert ramp.states()["native_store"]["stage"] == "canary:1"
    ramp.turn()
    for value in range(40):
        choice(store, value)
    ramp.turn()
    assert ramp.states()["native_store"]["stage"] == "canary:1"  # from here on durations are needed
