"""nomemory.py CALL: makes the call with the 1st, 2nd, ... allocation failing, alone and with the rest.

Each time it must raise MemoryError or give the right answer, and the engine must be whole afterwards.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any, Callable

import calls

try:
    import _testcapi
except ImportError:
    _testcapi = None

#: So many right answers in a row: the failure lies behind the call.
ENOUGH = 12
MOST = 20_000


def outcome(call: Callable, subject: calls.Subject, first: int, last: int) -> Any:
    """The answer, or None for MemoryError."""
    _testcapi.set_nomemory(first, last)
    try:
        answer = call(subject)
    except MemoryError:
        answer = None
    finally:
        _testcapi.remove_mem_hooks()
    return answer


def check_whole(knowledge: calls.core.Knowledge) -> None:
    """Counters equal a recount, and every name leads to its pattern."""
    symbols, members, totals = Counter(), Counter(), Counter()
    for name in knowledge.names():
        pattern = knowledge.pattern(name)
        flat = [symbol for event in pattern["pattern_data"] for symbol in event]
        assert pattern["name"] == name == knowledge.name(pattern["pattern_data"])
        totals["patterns"] += pattern["frequency"]
        for symbol, count in Counter(flat).items():
            symbols[symbol] += count * pattern["frequency"]
            members[symbol] += pattern["frequency"]
    expected = {s: {"frequency": symbols[s], "pattern_member_frequency": members[s]} for s in symbols}
    assert knowledge.symbols() == expected
    assert list(knowledge.totals().values()) == [totals["patterns"], sum(symbols.values()), sum(members.values())]


def check_usable(subject: calls.Subject) -> None:
    check_whole(subject.knowledge)
    check_whole(subject.indexed)
    assert calls.ABC in [p["sequence"] for p in subject.knowledge.predict(calls.STATE, 0.0, 10)]
    assert "a" in subject.bloom


def walk(call: Callable, expected: Any, alone: bool) -> tuple[int, int]:
    """How many times MemoryError came, out of how many."""
    failed = right = n = 0
    while right < ENOUGH:
        assert n < MOST, "the call never ends without a failure"
        subject = calls.Subject()
        answer = outcome(call, subject, n, n + 1 if alone else 0)
        n += 1
        if answer is None:
            failed += 1
            right = 0
        else:
            assert answer == expected, f"allocation {n}: {answer!r:.300}, not {expected!r:.300}"
            right += 1
        check_usable(subject)
    return failed, n


def main(name: str) -> int:
    def call(subject: calls.Subject) -> tuple:
        return (calls.CALLS[name](subject),)

    expected = call(calls.Subject())
    call(calls.Subject())  # caches that fill at the second call
    for alone in (True, False):
        failed, n = walk(call, expected, alone)
        print(f"{name}: {failed} of {n} without memory, {'one' if alone else 'all behind one'} failing")
    return 0


if __name__ == "__main__":
    if not hasattr(_testcapi, "set_nomemory"):
        print("this interpreter has no _testcapi.set_nomemory")
        sys.exit(77)
    sys.exit(main(sys.argv[1]))
