"""Rows 11 and 12: learning in memory, patterns per second and microseconds; bytes that a pattern takes."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

from benchmarks.compare import Scale
from benchmarks.compare.data import Corpus, no_collector
from benchmarks.compare.record import PER_SECOND, Comparison, Entry
from benchmarks.measure import Timing
from kato_fast import KnowledgeBase

SINGLE, BATCH = 2_000, 10_000


def run(scale: Scale, seed: int) -> Comparison:
    """Measure; see the module."""
    corpus = Corpus(scale.patterns, 10_000, 1.0, seed)
    checked = "as many patterns as different ones; what was learned one by one is found by match() at once"
    data = {**corpus.described, "batch": BATCH, "event": "lists of one symbol"}
    comparison = Comparison("learn", data, checked)
    kb = KnowledgeBase(threads=1)
    before = _resident()
    times, names = _learn_many(kb, corpus)
    assert len(kb) == len(names)
    comparison.entries.append(_speed(kb, times))
    comparison.entries += _memory(kb, "dense: vocabulary 10,000, Zipf 1.0", _resident() - before)
    comparison.entries.append(_single(kb, Corpus(SINGLE, 10_000, 1.0, seed + 1)))
    del kb, names
    before = _resident()
    sparse, kb = Corpus(scale.patterns, 100_000, 0.0, seed), KnowledgeBase(threads=1)
    sparse.learn(kb)
    comparison.entries += _memory(kb, "sparse: vocabulary 100,000, uniform", _resident() - before)
    return comparison


def _learn_many(kb: KnowledgeBase, corpus: Corpus) -> tuple[Timing, set]:
    """One round a batch; the lists are made outside of the time."""
    times, names = Timing(), set()
    for start in range(0, corpus.patterns, BATCH):
        batch = corpus.events(start, min(start + BATCH, corpus.patterns))
        with no_collector():
            cpu, wall = time.process_time(), time.perf_counter()
            learned = kb.learn_many(batch)
            times.add(time.process_time() - cpu, time.perf_counter() - wall, len(batch))
        names.update(learned)
    return times, names


def _speed(kb: KnowledgeBase, times: Timing) -> Entry:
    """By the mean, since sealing falls into few of the batches."""
    per_second = len(times.cpu) / sum(times.cpu)
    notes = {"wall time": f"{len(times.wall) / sum(times.wall):,.0f} per s"}
    notes["median batch, CPU"] = f"{1 / median(times.cpu):,.0f} per s"
    what = f"learn_many in memory, 0 to {len(kb):,} patterns"
    return Entry(11, what, per_second, PER_SECOND, "", 300_000, 1_000_000, {"ours": times}, "pattern", notes)


def _single(kb: KnowledgeBase, corpus: Corpus) -> Entry:
    patterns, at = corpus.events(), iter(range(SINGLE))
    states = corpus.flat()
    for _ in range(100):
        k = next(at)
        assert kb.learn(patterns[k]) in kb.match(states[k], recall_threshold=0.9).names
    rounds = 19
    each = (SINGLE - 100) // rounds // 2

    def some(number: int) -> None:
        for _ in range(each):
            kb.learn(patterns[next(at)])

    times = Timing()
    for number in range(rounds):
        cpu, wall = time.process_time(), time.perf_counter()
        some(number)
        times.add(time.process_time() - cpu, time.perf_counter() - wall, each)
    value = 1e6 * median(times.cpu)
    what = f"learn, one by one beside {len(kb):,} patterns, searchable when it returns"
    return Entry(11, what, value, "µs", "", 20, 5, {"ours": times}, "pattern")


def _memory(kb: KnowledgeBase, what: str, resident: int) -> list[Entry]:
    told = kb.memory() / len(kb)
    notes = {"growth of the process": f"{resident / len(kb):.0f} bytes per pattern", "patterns": len(kb)}
    return [Entry(12, f"memory per pattern of 27.5 symbols, {what}", told, "bytes", "", 120, 80, notes=notes)]


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096
