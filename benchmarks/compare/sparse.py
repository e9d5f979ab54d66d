"""Row 5: match over rare symbols, where a handful of a million patterns is the answer.

Against RapidFuzz's cdist on the same lists; and in milliseconds, median and 99th percentile of many states.
"""

from __future__ import annotations

import time
from statistics import median

from benchmarks.compare import Scale, search
from benchmarks.compare.data import Corpus, knowledge
from benchmarks.compare.record import Comparison, Entry, against, percentile, rates
from benchmarks.measure import interleave

SYMBOLS, STATES = 20, 2_000


def run(scale: Scale, seed: int) -> Comparison:
    """Measure; see the module."""
    corpus = Corpus(scale.patterns, 100_000, 0.0, seed)
    kb, peer = knowledge(corpus), search.RapidFuzz(corpus.flat())
    states = corpus.states(SYMBOLS, STATES)
    checked = search.check(kb, corpus, peer, states[:3], 0.1)
    comparison = Comparison("sparse", {**corpus.described, "state_symbols": SYMBOLS}, checked)
    sides = {
        "ours": search.turning(kb.match, states),
        "cdist": lambda number: peer.match(states[number], 0.1),
    }
    times = interleave(sides, scale.rounds, units=corpus.patterns)
    notes = {"match rate": rates(lambda number: len(kb.match(states[number])), 100, corpus.patterns)}
    what = f"match, sparse, threshold 0.1, N = {corpus.patterns:,}"
    entry = against(5, what, times, "cdist", floor=4_500, goal=20_000, per="stored pattern", notes=notes)
    comparison.entries.append(entry)
    cpu, wall = _each(kb, states)
    notes = {"wall": {"median": f"{median(wall):.3f} ms", "99th percentile": f"{percentile(wall, 0.99):.3f} ms"}}
    for what, value, floor, goal in (
        ("median", median(cpu), 0.3, 0.05),
        ("99th percentile", percentile(cpu, 0.99), 1, 0.15),
    ):
        what = f"match, sparse, N = {corpus.patterns:,}, {what} of {STATES:,} states, CPU time"
        comparison.entries.append(Entry(5, what, value, "ms", floor=floor, goal=goal, notes=notes))
    return comparison


def _each(kb, states: list) -> tuple[list[float], list[float]]:
    """Milliseconds of each state, of this thread's CPU and of the wall clock."""
    cpu, wall = [], []
    for state in states:
        before, began = time.thread_time(), time.perf_counter()
        kb.match(state)
        wall.append(1e3 * (time.perf_counter() - began))
        cpu.append(1e3 * (time.thread_time() - before))
    return cpu, wall
