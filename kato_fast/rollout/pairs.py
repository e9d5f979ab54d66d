"""Beside the requests: the same call by both sides, in random order, within a budget; compared and judged.

One daemon thread makes the pairs; a candidate whose original may not be called twice is asked in the request's thread,
after it. Per Choice the first 100 calls are free; after them, pairs may take 1 % of the time that the requests' own
calls take. What does not fit is dropped and counted.
"""

from __future__ import annotations

import contextvars
import logging
import os
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from queue import SimpleQueue
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Callable, Optional

from kato_fast import flags, observe
from kato_fast.rollout import latch, replay, shares
from kato_fast.rollout.compare import differences
from kato_fast.rollout.crash import marks
from kato_fast.rollout.judge import Judge

if TYPE_CHECKING:
    from kato_fast.rollout.choice import Choice

log = logging.getLogger("kato_fast.rollout")

FREE, SHARE, WAITING = 100, 0.01, 64

#: A candidate that takes longer than this hangs: while it is compared, and once it is trusted. A busy machine delays a
#: call by a second now and then, and a flag that is on is taken out for everybody.
HANG_SECONDS = 1.0
HANG_SECONDS_ON = 10.0

_results = observe.counter("kato_fast_shadow_total", "Calls to compare, by what became of them.", ("flag", "result"))

_compared = observe.counter("kato_fast_compared_total", "Calls made by both sides and compared.", ("flag",))
_mismatches = observe.counter("kato_fast_mismatch_total", "Of them, those whose answers differ.", ("flag",))


class Inside:
    """This thread is in the flag's candidate: for the crash latch, and for the look for hangs."""

    __slots__ = ("_before", "_flag", "_mark", "_thread")

    def __init__(self, flag: str) -> None:
        self._flag = flag

    def __enter__(self) -> None:
        self._mark = marks.enter(self._flag)
        self._thread = threading.get_ident()
        self._before = under_way.get(self._thread)
        under_way[self._thread] = (self._flag, perf_counter_ns())

    def __exit__(self, *exc_info: object) -> None:
        if self._before is None:
            under_way.pop(self._thread, None)
        else:  # one inside of another, which goes on
            under_way[self._thread] = (self._before[0], perf_counter_ns())
        marks.leave(self._mark)


judges: dict[str, Judge] = {}
_rollouts: dict[str, int] = {}
_lock = threading.Lock()
#: Thread → (flag, since when) of candidates under way.
under_way: dict[int, tuple[str, int]] = {}


def judge_of(flag: str) -> Judge:
    """The flag's judge in this process; a new one for each rollout."""
    found = judges.get(flag)
    if found is not None:
        return found
    with _lock:
        if flag not in judges:
            share = shares.take(flag)
            judges[flag], _rollouts[flag] = Judge(number=share.number), share.rollout
        return judges[flag]


def forget_old() -> None:
    """Once a second: judges of a rollout that another process has ended."""
    now = shares.rollouts()
    for flag, rollout in list(_rollouts.items()):
        if now.get(flag, rollout) != rollout:
            forget(flag)


def forget(flag: str) -> None:
    """A new rollout begins."""
    with _lock:
        judges.pop(flag, None)
        _rollouts.pop(flag, None)


def judge_now(flag: str) -> None:
    """Take the flag back if its judge says so."""
    judge = judge_of(flag)
    metric = judge.alarm()
    if metric is not None and flags.resolution(flag).origin not in ("latch", "kill"):
        latch.roll_back(flag, metric, judge.report(metric))
        forget(flag)


class Budget:
    """How much of the requests' time the pairs of one Choice may take."""

    def __init__(self) -> None:
        self.free = FREE
        self.left_ns = 0.0

    def earned(self, took: int) -> None:
        """A request's own call took so long."""
        self.left_ns = min(self.left_ns + SHARE * took, 10e9)

    def allows(self) -> bool:
        """Whether one more may be made; call spent() afterwards."""
        if self.free > 0:
            self.free -= 1
            return True
        return self.left_ns > 0

    def spent(self, took: int) -> None:
        """A pair took so long."""
        self.left_ns -= took


class Worker:
    """The thread that makes the pairs."""

    def __init__(self) -> None:
        self._queue: SimpleQueue = SimpleQueue()
        self._thread: Optional[threading.Thread] = None
        self._start_lock = threading.Lock()

    def offer(self, choice: Choice, args: tuple, kwargs: Mapping[str, Any]) -> None:
        """Compare this call if there is room."""
        if self._queue.qsize() >= WAITING:
            _results.labels(choice.flag, "dropped_busy").inc()
        elif not choice.budget.allows():
            _results.labels(choice.flag, "dropped_budget").inc()
        else:
            self._queue.put((choice, args, dict(kwargs), contextvars.copy_context()))
            self._start()

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            with self._start_lock:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="kato_fast pairs", daemon=True)
                    self._thread.start()

    def abandon(self, ident: int) -> None:
        """Its candidate hangs; another thread goes on."""
        if self._thread is not None and self._thread.ident == ident:
            self._thread = None
            self._start()

    def _run(self) -> None:
        while self._thread is threading.current_thread():
            choice, args, kwargs, context = self._queue.get()
            try:
                context.run(_make, choice, args, kwargs)
            except Exception:
                log.exception("a comparison of %s failed", choice.name)


worker = Worker()


def _make(choice: Choice, args: tuple, kwargs: dict) -> None:
    start = perf_counter_ns()
    sides = ["original", "candidate"]
    random.shuffle(sides)
    before = choice.epoch(*args, **kwargs) if choice.epoch is not None else None
    outcomes = {side: _run_side(choice, getattr(choice, side), args, kwargs) for side in sides}
    choice.budget.spent(perf_counter_ns() - start)
    if choice.epoch is not None and choice.epoch(*args, **kwargs) != before:
        _results.labels(choice.flag, "state_changed").inc()
        return
    _judge(choice, args, kwargs, outcomes)


def allowed(choice: Choice) -> bool:
    """Whether one more call may be compared in the request's thread; counted where not."""
    if choice.budget.allows():
        return True
    _results.labels(choice.flag, "dropped_budget").inc()
    return False


def compare_writes(choice: Choice, args: tuple, kwargs: dict, written: list) -> None:
    """The original has written; the candidate's plan of the same call is compared with that. Nothing is written."""
    try:
        start = perf_counter_ns()
        planned, failed, took, _ = _run_side(choice, choice.writes.planned, args, kwargs)
        _judge_writes(choice, args, kwargs, written, planned, failed)
        choice.budget.spent(perf_counter_ns() - start)
    except Exception:
        log.exception("a comparison of %s failed", choice.name)


def _judge_writes(choice: Choice, args: tuple, kwargs: dict, written: list, planned: Any, failed: Any) -> None:
    from kato_fast.rollout.reasons import Declined

    try:
        written = choice.writes.effect(written)
    except Declined as error:
        failed = error
    if isinstance(failed, Declined):
        choice.ledger.fell_back(failed.reason, 0, failed)
        _results.labels(choice.flag, "declined").inc()
        return
    if failed is not None:
        found, planned = [f"the candidate raised {type(failed).__name__}: {failed}"], None
    else:
        planned = choice.writes.effect(planned)
        found = differences(written, planned, choice.rules)
    judge = judge_of(choice.flag)
    judge.wrote()
    judge.call(True, failed is not None)
    if found:
        call = {**choice.writes.record(*args, **kwargs), "written": written}
        sides = (choice.writes.recorded, choice.writes.replan)
        replay.keep_call(choice, sides, (call,), {}, (written, planned), found)
    _count_and_judge(choice, judge, "failed" if failed is not None else "different" if found else "same", bool(found))


def beside(choice: Choice, args: tuple, kwargs: dict, answer: Any, took: int) -> None:
    """The original has answered in this thread; the candidate is asked too if the budget allows, and compared."""
    if not allowed(choice):
        return
    try:
        candidate, failed, candidate_took, _ = _run_side(choice, choice.candidate, args, kwargs)
        choice.budget.spent(candidate_took)
        outcomes = {"original": (answer, None, took, 0), "candidate": (candidate, failed, candidate_took, 0)}
        _judge(choice, args, kwargs, outcomes)
    except Exception:
        log.exception("a comparison of %s failed", choice.name)


def _run_side(choice: Choice, side: Callable, args: tuple, kwargs: dict) -> tuple[Any, Optional[Exception], int, int]:
    """(answer, error, nanoseconds, bytes grown)."""
    candidate = side is not choice.original
    memory = _resident()
    answer = error = None
    with Inside(choice.flag) if candidate else nullcontext():
        start = perf_counter_ns()
        try:
            answer = side(*args, **kwargs)
        except Exception as raised:
            error = raised
        took = perf_counter_ns() - start
    if candidate:
        choice.ledger.times["shadow"].record_ns(took)
    return answer, error, took, _resident() - memory


def _judge(choice: Choice, args: tuple, kwargs: dict, outcomes: dict) -> None:
    from kato_fast.rollout.reasons import Declined

    original, error, took, grew = outcomes["original"]
    candidate, failed, candidate_took, candidate_grew = outcomes["candidate"]
    if isinstance(failed, Declined):
        choice.ledger.fell_back(failed.reason, 0, failed)
        _results.labels(choice.flag, "declined").inc()
        return
    judge = judge_of(choice.flag)
    judge.pair(took, candidate_took, grew, candidate_grew)
    judge.call(False, False)
    judge.call(True, failed is not None and error is None)
    if failed is not None and error is None:
        result, found = "failed", [f"the candidate raised {type(failed).__name__}: {failed}"]
    elif (failed is None) != (error is None) or type(failed) is not type(error):
        result, found = "different", [f"the original raised {error!r}, the candidate {failed!r}"]
    else:
        found = [] if error is not None else differences(choice.view(original), choice.view(candidate), choice.rules)
        result = "different" if found else "same"
    if found:
        replay.keep(choice, args, kwargs, original, candidate, found)
    _count_and_judge(choice, judge, result, bool(found))


def _count_and_judge(choice: Choice, judge: Judge, result: str, found: bool) -> None:
    _results.labels(choice.flag, result).inc()
    _compared.labels(choice.flag).inc()
    if found:
        _mismatches.labels(choice.flag).inc()
    if result == "different":
        judge.differs()
    if result == "different" or judge.pairs % 8 == 0:
        # A person who only looks wants all differences; a rollout ends with the first.
        if flags.mode(choice.flag).kind != "shadow" or judge.alarm() != "answers":
            judge_now(choice.flag)


def look_for_hangs() -> None:
    """Called by the watcher: a candidate that does not come back takes its flag out for all later calls."""
    now = perf_counter_ns()
    for ident, (flag, since) in list(under_way.items()):
        compared = flags.mode(flag).kind in ("shadow", "canary")
        if now - since > 1e9 * (HANG_SECONDS if compared else HANG_SECONDS_ON):
            under_way.pop(ident, None)
            worker.abandon(ident)
            if flags.resolution(flag).origin not in ("latch", "kill"):
                summary = f"a call has not come back for {(now - since) / 1e9:.1f} s"
                latch.roll_back(flag, "hang", {"summary": summary, "evidence": "hang"})


@contextmanager
def waiting() -> Iterator[None]:
    """The candidate waits for a server, as the original would: that is no hang, and drivers have deadlines."""
    thread = threading.get_ident()
    call = under_way.pop(thread, None)
    try:
        yield
    finally:
        if call is not None:
            under_way[thread] = (call[0], perf_counter_ns())


def figures() -> dict:
    """Flag → what its judge knows, for the command line."""
    with _lock:
        known = dict(judges)
    return {
        flag: {**judge.report("latency"), "alarm": judge.alarm(), "fine": judge.fine()} for flag, judge in known.items()
    }


def _resident() -> int:
    """Bytes of this process in memory; 0 where the system does not say."""
    try:
        return int(os.pread(_statm(), 128, 0).split()[1]) * 4096
    except (OSError, IndexError, ValueError):
        return 0


_statm_handle: tuple[int, int] = (0, -1)


def _statm() -> int:
    global _statm_handle
    if _statm_handle[0] != os.getpid():
        _statm_handle = (os.getpid(), os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC))
    return _statm_handle[1]


def settle(seconds: float = 10.0) -> None:
    """Wait until what was offered is compared; for tests and for a clean end."""
    end = time.monotonic() + seconds
    while (worker._queue.qsize() or under_way) and time.monotonic() < end:
        time.sleep(0.005)


def _after_fork() -> None:
    """A child judges for itself, with a share of its own."""
    global _lock
    _lock = threading.Lock()
    judges.clear()
    _rollouts.clear()


os.register_at_fork(after_in_child=_after_fork)
