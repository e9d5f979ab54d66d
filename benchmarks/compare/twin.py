"""Row 6, once in full: one whole prediction by the twin in Python over as many patterns. Not part of the default run.

The twin needs minutes to learn and gigabytes to hold them.
"""

from __future__ import annotations

import time

from benchmarks.compare import Scale
from benchmarks.compare.data import Corpus, knowledge, no_collector
from benchmarks.compare.record import Comparison, against
from benchmarks.measure import Timing
from kato_fast import KnowledgeBase

SYMBOLS = 20


def run(scale: Scale, seed: int) -> Comparison:
    """Measure; see the module."""
    corpus = Corpus(scale.patterns, 10_000, 1.0, seed)
    kb = knowledge(corpus)
    with no_collector():
        twin = knowledge(corpus, implementation="python")
        state = corpus.state(SYMBOLS)
        times = {"ours": _timed(kb, state), "twin": _timed(twin, state)}
        ours, theirs = kb.predict(state), twin.predict(state)
    assert ours.matched == theirs.matched
    assert ours.to_list() == theirs.to_list()
    assert ours.future_potentials == theirs.future_potentials
    checked = "matched, to_list() and future_potentials"
    comparison = Comparison("twin", {**corpus.described, "state_symbols": SYMBOLS, "threshold": 0.1}, checked)
    notes = {"match rate": ours.matched / corpus.patterns}
    what = f"predict, dense, N = {corpus.patterns:,}, once in full"
    comparison.entries.append(against(6, what, times, "twin", floor=500, goal=2_000, per="prediction", notes=notes))
    return comparison


def _timed(kb: KnowledgeBase, state: list[str]) -> Timing:
    """One prediction, after none has warmed it up."""
    times = Timing()
    cpu, wall = time.process_time(), time.perf_counter()
    kb.predict(state)
    times.add(time.process_time() - cpu, time.perf_counter() - wall, 1)
    return times
