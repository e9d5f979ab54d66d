"""Says whether a candidate is worse, at any moment, however often one looks.

Each test is a bet against "it is no worse": the capital is multiplied by a factor whose expectation is at most one as
long as that is true, so that it ever grows to k times has a chance of at most 1/k (Ville's inequality). Bets on
several alternatives at once are the mean of their capitals. With five tests, capital 5/alpha is an alarm: a false one
has a chance of at most alpha, whatever the number of looks. The judges of several workers share one alpha (shares.py).

Pairs are the same call made by both sides in random order, so that "no worse" makes each outcome as likely as its
mirror image. Where a call cannot be made twice, sessions are compared: the sides were drawn by the hash of the session.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from typing import Optional

from kato_fast.observe import Sketch

ALPHA = 0.001

#: The tests; what is not pure has no pairs for memory and answers.
TESTS = ("latency", "tail", "tail99", "errors", "memory")

#: Slower by less than this is not slower; what a promotion must rule out.
TOLERANCE, PROMOTE_TOLERANCE = 1.02, 1.25

#: Errors of the candidate alone that are tolerable.
ERROR_RATE = 0.0005

#: A leak is at least that large when it is called one.
LEAST_LEAK = 16 << 20

#: Calls of a session that make its latency; sessions that are kept.
SESSION_CALLS, SESSIONS = 20, 4096


class Bets:
    """Capital from bets on an event whose chance is at most p0 if all is well. odds: the alternatives, as ratios."""

    __slots__ = ("logs", "odds")

    def __init__(self, odds: tuple[float, ...] = (1.1, 1.22, 1.5, 2.33, 9.0)) -> None:
        self.odds = odds
        self.logs = [0.0] * len(odds)

    def update(self, happened: bool, p0: float = 0.5) -> None:
        """One more observation. p0 may depend on all before it, not on itself."""
        for i, ratio in enumerate(self.odds):
            total = 1 - p0 + ratio * p0  # p1 = ratio * p0 / total
            self.logs[i] += math.log(ratio / total) if happened else -math.log(total)

    def evidence(self) -> float:
        """The logarithm of the capital."""
        most = max(self.logs)
        return most + math.log(sum(math.exp(log - most) for log in self.logs) / len(self.logs))


#: For rare events: an alternative may be far from p0.
RARE = (2.0, 4.0, 10.0, 20.0, 40.0)


class Judge:
    """Of one flag in one rollout of this process. Used from many threads.

    alpha: the chance of a false alarm that all judges of the rollout share. number: which of them this is, from 1; the
        n-th takes alpha / (n (n + 1)), which adds up to alpha for any number of them.
    """

    def __init__(self, alpha: float = ALPHA, number: int = 1) -> None:
        self.limit = math.log(len(TESTS) * number * (number + 1) / alpha)
        self._lock = threading.Lock()
        self._bets = {name: Bets() for name in ("latency", "tail", "tail99", "memory")}
        self._errors = (Bets(RARE), Bets((2.0, 4.0, 16.0, 64.0, 256.0)))
        self._fine = Bets()
        self._tails = {"tail": _Tail(0.95), "tail99": _Tail(0.99)}
        self.pairs = self.different = self.errors = self.calls = self.original_calls = self.original_errors = 0
        self.times = {"original": Sketch(), "candidate": Sketch()}
        self.grown = {"original": 0, "candidate": 0}
        self._sessions: OrderedDict[tuple[bool, str], list[int]] = OrderedDict()
        self._waiting: deque[int] = deque(maxlen=64)
        self.pure = False

    def pair(self, original_ns: int, candidate_ns: int, original_grew: int = 0, candidate_grew: int = 0) -> None:
        """The same call by both, in random order; durations, and bytes by which memory grew."""
        with self._lock:
            self.pure = True
            self.pairs += 1
            self._durations(original_ns, candidate_ns)
            self.grown["original"] += original_grew
            self.grown["candidate"] += candidate_grew
            if original_grew != candidate_grew:
                self._bets["memory"].update(candidate_grew > original_grew)

    def _durations(self, original_ns: int, candidate_ns: int) -> None:
        self.times["original"].add(original_ns)
        self.times["candidate"].add(candidate_ns)
        self._bets["latency"].update(candidate_ns > original_ns * TOLERANCE)
        self._fine.update(candidate_ns <= original_ns * PROMOTE_TOLERANCE)
        for name, tail in self._tails.items():
            outcome = tail.outcome(original_ns, candidate_ns)
            if outcome is not None:
                self._bets[name].update(outcome)

    def wrote(self) -> None:
        """What would be written was compared; that says nothing about time."""
        with self._lock:
            self.pairs += 1

    def session(self, candidate: bool, key: str, nanoseconds: int) -> bool:
        """A call that could not be made twice: the first twenty of a session give one duration. True for a new pair."""
        with self._lock:
            calls = self._sessions.setdefault((candidate, key), [])
            if len(self._sessions) > SESSIONS:
                self._sessions.popitem(last=False)
            if len(calls) >= SESSION_CALLS:
                return False
            calls.append(nanoseconds)
            if len(calls) < SESSION_CALLS:
                return False
            median = sorted(calls)[SESSION_CALLS // 2]
            if not candidate:
                self._waiting.append(median)
            elif self._waiting:
                self.pairs += 1
                self._durations(self._waiting.popleft(), median)
                return True
            return False

    def call(self, candidate: bool, failed: bool) -> None:
        """A call of either side ended; failed: the candidate's where the original had no error."""
        with self._lock:
            if candidate:
                self.calls += 1
                self.errors += failed
                self._errors[0].update(failed, ERROR_RATE)
            else:
                self.original_calls += 1
                self.original_errors += failed
            if failed:
                share = self.calls / (self.calls + self.original_calls)
                self._errors[1].update(candidate, min(max(share, 1e-4), 1 - 1e-4))

    def differs(self) -> None:
        """A wrong answer: one is enough."""
        with self._lock:
            self.different += 1

    def evidence(self) -> dict[str, float]:
        """Test → logarithm of its capital. Errors must be too many, and more than the original's."""
        with self._lock:
            found = {name: self._bets[name].evidence() for name in self._bets}
            first, second = (bets.evidence() for bets in self._errors)
            found["errors"] = first if self.pure and not self.original_errors else min(first, second)
            if self.grown["candidate"] - self.grown["original"] < LEAST_LEAK:
                found["memory"] = min(found["memory"], 0.0)
            return found

    def alarm(self) -> Optional[str]:
        """What is worse: a test's name or ``answers``; None while nothing is."""
        if self.different:
            return "answers"
        name, most = max(self.evidence().items(), key=lambda item: item[1])
        return name if most >= self.limit else None

    def fine(self) -> bool:
        """Whether "a quarter slower" is ruled out, at one in twenty."""
        return self._fine.evidence() >= math.log(20)

    def report(self, metric: str) -> dict:
        """For the file of a rollback: metric, effect, interval, evidence."""
        evidence = self.evidence()
        shown = {name: round(value, 3) for name, value in sorted(evidence.items())}
        return {
            "summary": self._summary(metric),
            "metric": metric,
            "effect": self.effect(),
            "interval": self.interval(),
            "evidence": {"log_capital": shown, "limit": round(self.limit, 3)},
            "pairs": self.pairs,
            "calls": {"original": self.original_calls, "candidate": self.calls},
            "errors": {"original": self.original_errors, "candidate": self.errors},
            "different": self.different,
            "grown_bytes": dict(self.grown),
        }

    def effect(self) -> Optional[float]:
        """Median of the candidate as a multiple of the original's."""
        original, candidate = (self.times[side].quantile(0.5) for side in ("original", "candidate"))
        return None if not original or candidate is None else candidate / original

    def interval(self) -> Optional[list[float]]:
        """Of the effect, 99.9 %, from the ranks around both medians (each by the binomial distribution)."""
        count = self.times["original"].count
        if count < 20:
            return None
        reach = 3.5 / (2 * math.sqrt(count))
        low, high = max(0.0, 0.5 - reach), min(1.0, 0.5 + reach)
        original, candidate = self.times["original"].quantile, self.times["candidate"].quantile
        return [candidate(low) / original(high), candidate(high) / original(low)]

    def _summary(self, metric: str) -> str:
        if metric == "answers":
            return f"{self.different} wrong answer{'s' if self.different > 1 else ''} in {self.pairs} compared"
        if metric == "errors":
            return f"{self.errors} errors in {self.calls} calls, the original has {self.original_errors}"
        if metric == "memory":
            grown = self.grown
            return f"{grown['candidate']:,} bytes grown in {self.pairs} pairs, the original {grown['original']:,}"
        effect = self.effect()
        return f"{effect:.2f} times the original's median in {self.pairs} pairs" if effect else "slower"


class _Tail:
    """Pairs of which one side is above a quantile of the original's earlier durations, and the other is not."""

    BLOCK = 256

    def __init__(self, quantile: float) -> None:
        self._quantile = quantile
        self._sketch = Sketch()
        self._threshold: Optional[float] = None

    def outcome(self, original_ns: int, candidate_ns: int) -> Optional[bool]:
        """Whether it is the candidate; None where both or none are. The threshold is of earlier blocks alone."""
        threshold = self._threshold
        self._sketch.add(original_ns)
        if self._sketch.count % self.BLOCK == 0:
            self._threshold = (self._sketch.quantile(self._quantile) or 0.0) * 1e9
        if threshold is None:
            return None
        above = candidate_ns > threshold
        return above if above != (original_ns > threshold) else None
