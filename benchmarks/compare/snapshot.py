"""Row 13: saving a million patterns to one file; opening ten million to the first answer."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.compare import Scale
from benchmarks.compare.data import Corpus
from benchmarks.compare.record import Comparison, Entry
from benchmarks.measure import Timing
from kato_fast import KnowledgeBase

SYMBOLS = 20


def run(scale: Scale, seed: int) -> Comparison:
    """Measure; see the module."""
    corpus = Corpus(scale.large, 100_000, 0.0, seed)
    states = corpus.states(SYMBOLS, scale.rounds)
    checked = "names and ratios of the opened snapshot with those of the saved knowledge base, every state"
    data = {**corpus.described, "state_symbols": SYMBOLS, "threads": 1, "file": "in the page cache, as after saving"}
    comparison = Comparison("snapshot", data, checked)
    kb = KnowledgeBase(threads=1)
    corpus.learn(kb, 0, scale.patterns)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "snapshot"
        comparison.entries.append(_save(kb, path, scale.rounds))
        corpus.learn(kb, scale.patterns)
        kb.save(path)
        expected = [_answer(kb, state) for state in states]
        patterns = len(kb)
        del kb, corpus
        comparison.entries.append(_open(path, states, expected, patterns, scale.rounds))
    return comparison


def _answer(kb: KnowledgeBase, state: list[str]) -> tuple[list, list]:
    matches = kb.match(state)
    return matches.names, matches.ratios


def _save(kb: KnowledgeBase, path: Path, rounds: int) -> Entry:
    """Wall time decides here: it ends when all is on disk."""
    times = Timing()
    for _ in range(rounds):
        cpu, wall = time.process_time(), time.perf_counter()
        kb.save(path)
        times.add(time.process_time() - cpu, time.perf_counter() - wall, 1)
    notes = {"bytes": path.stat().st_size, "bytes per pattern": round(path.stat().st_size / len(kb), 1)}
    what = f"save {len(kb):,} patterns, until on disk, wall time"
    return Entry(13, what, median(times.wall), "s", "", 3, 1, {"ours": times}, notes=notes)


def _open(path: Path, states: list, expected: list, patterns: int, rounds: int) -> Entry:
    times = Timing()
    for state, answer in zip(states, expected):
        cpu, wall = time.process_time(), time.perf_counter()
        with KnowledgeBase.open(path, threads=1) as kb:
            found = kb.match(state)
            times.add(time.process_time() - cpu, time.perf_counter() - wall, 1)
            assert (found.names, found.ratios) == answer, state
    notes = {"bytes": path.stat().st_size}
    what = f"open {patterns:,} patterns to the first answer, wall time"
    return Entry(13, what, median(times.wall), "s", "", 1, 0.3, {"ours": times}, notes=notes)
