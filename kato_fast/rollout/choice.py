"""The one place that chooses between an original and its replacement, and the only code that runs two paths."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Awaitable, Generator
from time import perf_counter_ns
from typing import Any, Callable, Optional

from kato_fast import flags
from kato_fast.flags import Mode, current
from kato_fast.rollout import pairs
from kato_fast.rollout.compare import EXACT, Rules
from kato_fast.rollout.crash import marks
from kato_fast.rollout.fallbacks import Ledger
from kato_fast.rollout.parking import DECLINED, FAILED, FINE, Parking
from kato_fast.rollout.reasons import Declined, FallbackForbidden, reason_of
from kato_fast.rollout.writes import Writes


class Choice:
    """Calls the original or the candidate, as the flag says; takes the place of the original.

    Args:
        flag: one of ``flags.FLAGS``.
        name: of this place, for people and reports.
        original, candidate: of the same signature, both sync, or the original async. As an attribute of a class, a
            Choice binds like a function.
        key: from the arguments, the session or node that canary chooses by; None without one.
        pure: both only compute, so that shadow and canary may make the call by both sides and compare. What writes or
            remembers is never called twice; without ``writes``, shadow compares nothing and counts
            ``unplanned_writes``.
        writes: how to see what the original writes and what the candidate would write. Under shadow, and where the
            original answers under canary, both are compared within the budget.
        beside: only the candidate merely computes, and without awaiting. Under shadow, and where the original answers
            under canary, it is called after it in the same thread, within the budget, and compared with the answer that
            was given.
        record, players: what a replay needs, from the arguments; and two functions at module level that make both
            answers from that. Without them the arguments themselves are kept.
        rules: what may differ; nothing by default.
        view: an answer as plain data to compare.
        epoch: from the arguments, a token of the state that both read; a pair during which it changes is dropped.

    A candidate that raises has had no effect: the original is called once with the same arguments. It raises Declined
    where the case is not for it. Neither may change its arguments.
    """

    def __init__(
        self,
        flag: str,
        name: str,
        original: Callable,
        candidate: Callable,
        *,
        key: Optional[Callable[..., Optional[str]]] = None,
        pure: bool = False,
        beside: bool = False,
        record: Optional[Callable[..., Any]] = None,
        players: Optional[tuple[Callable, Callable]] = None,
        rules: Rules = EXACT,
        view: Callable[[Any], Any] = lambda answer: answer,
        epoch: Optional[Callable[..., Any]] = None,
        writes: Optional[Writes] = None,
    ) -> None:
        flags.check_flag(flag)
        self.flag, self.name = flag, name
        self.original, self.candidate = original, candidate
        self.key = key
        self.rules, self.view, self.epoch = rules, view, epoch
        self.budget = pairs.Budget()
        self.ledger = Ledger(flag, name)
        self.parking = Parking()
        self.is_async = inspect.iscoroutinefunction(original)
        self.pure = pure and not self.is_async
        self.beside = beside and not inspect.iscoroutinefunction(candidate)
        self.writes = None if self.is_async else writes
        self.by_session = not self.pure and not self.beside
        self.record, self.players = record, players
        functools.update_wrapper(self, original, updated=())

    def __repr__(self) -> str:
        return f"<Choice {self.flag}/{self.name}: {current[self.flag]}; {self.original!r} or {self.candidate!r}>"

    def __get__(self, instance: object, owner: Optional[type] = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        mode = current[self.flag]
        if mode.kind == "off":
            return self.original(*args, **kwargs)
        if self.is_async:
            return self._call_async(mode, args, kwargs)
        if self._takes_candidate(mode, args, kwargs):
            answer = self._candidate(mode, args, kwargs)
        elif self.beside and mode.kind in ("shadow", "canary"):
            return self._original_beside(args, kwargs)
        else:
            answer = self._original_judged(mode, args, kwargs)
        if mode.kind in ("shadow", "canary"):
            self._compare(mode, args, kwargs)
        return answer

    def _compare(self, mode: Mode, args: tuple, kwargs: dict) -> None:
        if self.pure:
            pairs.worker.offer(self, args, kwargs)
        elif mode.kind == "shadow" and not self.beside and self.writes is None:
            self.ledger.fell_back("unplanned_writes", 0)

    def _takes_candidate(self, mode: Mode, args: tuple, kwargs: dict) -> bool:
        if mode.kind == "shadow":
            return False
        if mode.kind == "canary":
            key = None if self.key is None else self.key(*args, **kwargs)
            if key is None:
                self.ledger.fell_back("no_key", 0)
                return False
            if not flags.chosen(self.flag, key):
                return False
        if mode.kind == "require" or self.parking.open():
            return True
        self.ledger.fell_back("parked", 0, detail=self.parking.why)
        return False

    def _original(self, args: tuple, kwargs: dict) -> Any:
        return self._timed_original(args, kwargs)[0]

    def _timed_original(self, args: tuple, kwargs: dict) -> tuple[Any, int]:
        start = perf_counter_ns()
        answer = self.original(*args, **kwargs)
        took = perf_counter_ns() - start
        self._original_took(took)
        return answer, took

    def _original_took(self, took: int) -> None:
        self.budget.earned(took)
        self.parking.spent(took)
        self.ledger.answered("original", took)

    def _original_judged(self, mode: Mode, args: tuple, kwargs: dict) -> Any:
        """With what is to be seen of it beside: its writes, and under canary how its session fares."""
        watched = self.writes is not None and mode.kind in ("shadow", "canary") and pairs.allowed(self)
        written: list = []
        try:
            answer, took = self._timed_original(self.writes.watched(args, written) if watched else args, kwargs)
        except Exception:
            self._judge_original(mode, args, kwargs, None)
            raise
        self._judge_original(mode, args, kwargs, took)
        if watched:
            pairs.compare_writes(self, args, kwargs, written)
        return answer

    def _judge_original(self, mode: Mode, args: tuple, kwargs: dict, took: Optional[int]) -> None:
        """took: None where it raised."""
        if mode.kind == "canary" and self.by_session:
            pairs.judge_of(self.flag).call(False, took is None)
            if took is not None:
                self._session(False, args, kwargs, took)

    def _session(self, candidate: bool, args: tuple, kwargs: dict, took: int) -> None:
        key = None if self.key is None else self.key(*args, **kwargs)
        if key is not None and pairs.judge_of(self.flag).session(candidate, key, took):
            pairs.judge_now(self.flag)

    def _original_beside(self, args: tuple, kwargs: dict) -> Any:
        answer, took = self._timed_original(args, kwargs)
        pairs.beside(self, args, kwargs, answer, took)
        return answer

    def _candidate(self, mode: Mode, args: tuple, kwargs: dict) -> Any:
        start = perf_counter_ns()
        try:
            with pairs.Inside(self.flag):
                answer = self.candidate(*args, **kwargs)
        except Exception as error:
            self._failed(mode, error, perf_counter_ns() - start)
        else:
            self._candidate_took(mode, args, kwargs, perf_counter_ns() - start)
            return answer
        return self._original(args, kwargs)

    def _candidate_took(self, mode: Mode, args: tuple, kwargs: dict, took: int) -> None:
        self.budget.earned(took)
        self.parking.note(FINE, took)
        self.ledger.answered("candidate", took)
        if mode.kind == "canary":
            pairs.judge_of(self.flag).call(True, False)
            if self.by_session:
                self._session(True, args, kwargs, took)

    def _failed(self, mode: Mode, error: Exception, took: int) -> None:
        """Count it; under ``require`` it goes on up."""
        reason = reason_of(error)
        if mode.kind == "require":
            if isinstance(error, Declined):
                raise FallbackForbidden(f"{self.flag} is on require, but {self.name} declined: {error}") from error
            raise error
        self.parking.note(DECLINED if isinstance(error, Declined) else FAILED, took)
        if mode.kind == "canary" and not isinstance(error, Declined):
            pairs.judge_of(self.flag).call(True, True)
            pairs.judge_now(self.flag)
        self.ledger.fell_back(reason, took, error)

    async def _call_async(self, mode: Mode, args: tuple, kwargs: dict) -> Any:
        chosen = self._takes_candidate(mode, args, kwargs)
        if chosen:
            start = perf_counter_ns()
            try:
                with pairs.Inside(self.flag):
                    answer = self.candidate(*args, **kwargs)
                if inspect.isawaitable(answer):
                    answer = await self._step_by_step(answer)
            except Exception as error:
                self._failed(mode, error, perf_counter_ns() - start)
            else:
                self._candidate_took(mode, args, kwargs, perf_counter_ns() - start)
                return answer
        return await self._original_async(mode, args, kwargs, alone=not chosen)

    async def _original_async(self, mode: Mode, args: tuple, kwargs: dict, alone: bool) -> Any:
        """alone: not in the place of a candidate that failed."""
        start = perf_counter_ns()
        try:
            answer = await self.original(*args, **kwargs)
        except Exception:
            if alone:
                self._judge_original(mode, args, kwargs, None)
            raise
        took = perf_counter_ns() - start
        self._original_took(took)
        if alone:
            self._judge_original(mode, args, kwargs, took)
            if self.beside and mode.kind in ("shadow", "canary"):
                pairs.beside(self, args, kwargs, answer, took)
            elif mode.kind == "shadow":
                self.ledger.fell_back("unplanned_writes", 0)
        return answer

    @types.coroutine
    def _step_by_step(self, awaitable: Awaitable) -> Generator[Any, Any, Any]:
        """Await it, marked as long as it runs: while it waits, its thread may be in another's."""
        steps = awaitable.__await__()
        step, given = steps.send, None
        while True:
            mark = marks.enter(self.flag)
            try:
                waits_for = step(given)
            except StopIteration as end:
                return end.value
            finally:
                marks.leave(mark)
            try:
                step, given = steps.send, (yield waits_for)
            except BaseException as error:  # a cancelled task's, above all, which it may catch
                step, given = steps.throw, error
