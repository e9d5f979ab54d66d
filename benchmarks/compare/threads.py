"""Rows 14 and 15: readers beside a writer, and a thread of plain Python beside searches.

The machine is shared and has few cores, so time that a thread waits for a core, which Linux counts, is taken off: what
remains is time that it ran or waited for another thread's lock. The plain wall time stands beside it.
"""

from __future__ import annotations

import functools
import gc
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.compare import Scale
from benchmarks.compare.data import Corpus, knowledge
from benchmarks.compare.record import SHARE, TIMES, Comparison, Entry, percentile
from kato_fast import KnowledgeBase

SYMBOLS, STATES = 20, 400
#: What the writer learns, patterns per second, and how many at a time.
PACE, BATCH = 50_000, 100
ROUNDS = 5


class Clock:
    """Seconds since it was made, of the thread that made it: all, and without waiting for a core."""

    def __init__(self) -> None:
        self._file = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._wall, self._waited = time.perf_counter(), self._waits()

    def _waits(self) -> float:
        return int(self._file.read_text().split()[1]) * 1e-9

    def read(self) -> tuple[float, float]:
        """(wall, wall without waiting for a core)."""
        wall = time.perf_counter() - self._wall
        return wall, max(1e-9, wall - (self._waits() - self._waited))


class Reader(threading.Thread):
    """Searches until stopped, then knows how long each took."""

    def __init__(self, kb: KnowledgeBase, states: list, stop: threading.Event) -> None:
        super().__init__()
        self._kb, self._states, self._stop_asked = kb, states, stop
        self.wall: list[float] = []
        self.served: list[float] = []

    def run(self) -> None:
        at = 0
        while not self._stop_asked.is_set():
            clock = Clock()
            self._kb.match(self._states[at % len(self._states)])
            wall, served = clock.read()
            self.wall.append(wall)
            self.served.append(served)
            at += 1


def run(scale: Scale, seed: int) -> Comparison:
    """Measure; see the module."""
    corpus = Corpus(scale.patterns, 5_000, 0.5, seed)
    kb = knowledge(corpus)
    states = corpus.states(SYMBOLS, STATES)
    checked = "every pattern that the writer learned is found afterwards; answers beside the writer by tests/parity"
    data = {**corpus.described, "state_symbols": SYMBOLS, "threshold": 0.1}
    data["match rate"] = median(len(kb.match(state)) / len(kb) for state in states[:100])
    comparison = Comparison("threads", data, checked)
    fresh = Corpus(int(PACE * scale.seconds) * 2 * ROUNDS * 2, 5_000, 0.5, seed + 1)
    gc.disable()
    try:
        comparison.entries += _readers(kb, states, fresh, scale.seconds)
        comparison.entries.append(_plain_python(kb, states, scale.seconds))
    finally:
        gc.enable()
    return comparison


def _readers(kb: KnowledgeBase, states: list, fresh: Corpus, seconds: float) -> list[Entry]:
    """One round after the other: one reader alone, one beside the writer, two beside the writer."""
    at = 0
    found: dict[str, list[Reader]] = {"idle": [], "one": [], "two": []}
    learned = []
    for _ in range(ROUNDS):
        found["idle"] += _search(kb, states, 1, seconds / ROUNDS, None)
        for name, readers in (("one", 1), ("two", 2)):
            count = int(PACE * seconds / ROUNDS)
            batches = [fresh.events(k, k + BATCH) for k in range(at, at + count, BATCH)]
            at += count
            writer = functools.partial(_write, kb, batches, learned)
            found[name] += _search(kb, states, readers, seconds / ROUNDS, writer)
    _check_learned(kb, fresh, at)
    rates = {name: _rate(readers, "served") for name, readers in found.items()}
    walls = {name: _rate(readers, "wall") for name, readers in found.items()}
    late = {name: _late(readers, "served") for name, readers in found.items()}
    late_walls = {name: _late(readers, "wall") for name, readers in found.items()}
    paces = [pace for pace, _ in learned]
    notes = {
        "writer, patterns per second": f"{median(paces):,.0f} (its CPU: {median(c for _, c in learned):.0%} of a core)",
        "searches per second of one reader": f"{rates['one']:,.0f}; wall {walls['one']:,.0f}",
        "wall time, two against one": f"{2 * walls['two'] / walls['one']:.2f} x",
    }
    p99 = {"p99 idle": f"{1e3 * late['idle']:.2f} ms", "wall": f"{late_walls['one'] / late_walls['idle']:.2f} x"}
    return [
        Entry(14, "two readers against one, both beside a writer", 2 * rates["two"] / rates["one"], TIMES, "one reader",
              1.5, 1.9, notes=notes),
        Entry(14, "a reader's 99th percentile beside the writer, of idle", late["one"] / late["idle"], "of idle", "",
              1.5, 1.1, notes=p99),
    ]  # fmt: skip


def _search(kb: KnowledgeBase, states: list, readers: int, seconds: float, beside: Callable | None) -> list[Reader]:
    stop = threading.Event()
    threads = [Reader(kb, states[k::readers], stop) for k in range(readers)]
    for thread in threads:
        thread.start()
    if beside:
        beside()
    else:
        time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return threads


def _write(kb: KnowledgeBase, batches: list, learned: list) -> None:
    learned.append(_pace(kb, batches))


def _pace(kb: KnowledgeBase, batches: list) -> tuple[float, float]:
    """Learn a batch whenever it is due. Returns patterns per second and the share of a core that it took."""
    began, cpu = time.perf_counter(), time.thread_time()
    for number, batch in enumerate(batches):
        wait = began + number * BATCH / PACE - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        kb.learn_many(batch)
    wall = time.perf_counter() - began
    return BATCH * len(batches) / wall, (time.thread_time() - cpu) / wall


def _check_learned(kb: KnowledgeBase, fresh: Corpus, count: int) -> None:
    for k in range(0, count, max(1, count // 50)):
        state = fresh.flat(k, k + 1)[0]
        assert 1.0 in kb.match(state, recall_threshold=0.95).ratios, state


def _rate(readers: list[Reader], clock: str) -> float:
    """Searches per second of one reader."""
    times = [value for reader in readers for value in getattr(reader, clock)]
    return len(times) / sum(times)


def _late(readers: list[Reader], clock: str) -> float:
    return percentile([value for reader in readers for value in getattr(reader, clock)], 0.99)


def _plain_python(kb: KnowledgeBase, states: list, seconds: float) -> Entry:
    """Turns of a loop per second of not waiting for a core: alone, and beside searches."""
    alone, beside, searches = [], [], []
    for _ in range(ROUNDS):
        alone.append(_turns(seconds / ROUNDS))
        stop = threading.Event()
        searching = threading.Thread(target=_back_to_back, args=(kb, states, stop, searches))
        searching.start()
        beside.append(_turns(seconds / ROUNDS))
        stop.set()
        searching.join()
    value, wall = (median(b[k] for b in beside) / median(a[k] for a in alone) for k in (1, 0))
    notes = {"wall time": f"{wall:.1%}", "searches meanwhile": sum(searches)}
    what = "a thread of plain Python beside searches, share of its own speed"
    return Entry(15, what, value, SHARE, "alone", 0.9, 0.98, notes=notes)


def _back_to_back(kb: KnowledgeBase, states: list, stop: threading.Event, searches: list) -> None:
    number = 0
    while not stop.is_set():
        kb.match(states[number % len(states)])
        number += 1
    searches.append(number)


def _turns(seconds: float) -> tuple[float, float]:
    clock, turns = Clock(), 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(1_000):
            turns += 1
    wall, served = clock.read()
    return turns / wall, turns / served
