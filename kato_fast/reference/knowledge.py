"""Patterns in memory, searchable, with the counters of their learning."""

from __future__ import annotations

import os
import re
import sys
import threading
from typing import NoReturn, Optional

from kato_fast.reference import naming, prediction, score, validate
from kato_fast.reference.candidates import FullScan, HostIndex
from kato_fast.reference.generation import KATO_2_1, KATO_2025_09
from kato_fast.reference.metrics import COUNTER_MAX, Counters
from kato_fast.reference.pattern import Pattern
from kato_fast.reference.snapshot import Snapshot


class Knowledge:
    """What was learned, in learning order. Safe from many threads: one lock around every call.

    indexed: search only the host's lossy candidate index (the profiles that end in ``-indexed``).
    threads: taken for the engine in C; here a search uses one.
    generation: ``2025-09`` or ``2.1``, the KATO that is matched.
    """

    def __init__(self, *, indexed: bool = False, threads: int = 1, generation: str = KATO_2025_09) -> None:
        self.indexed = indexed
        self.generation = validate.generation(generation)
        self._read_only = False
        self._lock = threading.Lock()
        self._patterns: dict[str, Pattern] = {}
        self._counters = Counters()
        self._candidates = (HostIndex if indexed else FullScan)(self._patterns)

    # files

    @classmethod
    def open(cls, path, *, threads: int = 1) -> Knowledge:
        """What the C engine saved, read into memory; not to be changed."""
        snapshot = Snapshot(path)
        knowledge = cls(indexed=snapshot.indexed, threads=threads, generation=snapshot.generation)
        for row in snapshot.rows():
            name = knowledge.put(row.events, row.frequency, row.emotives)
            if snapshot.tag(name) != row.tag:
                raise ValueError(
                    f"{os.fsdecode(path)}: pattern {len(knowledge._patterns) - 1} has another name there than {name}:"
                    " it was made with other Unicode tables"
                )
        knowledge._read_only = True
        return knowledge

    def save(self, path) -> NoReturn:
        """Only the C engine writes snapshots."""
        raise ImportError("saving a snapshot needs the C engine; this is its twin in Python, which only opens them")

    # learning

    def name(self, events) -> Optional[str]:
        """The pattern's name, or None where KATO learns nothing (below two symbols). Raises for bad events."""
        checked = validate.events(events)
        return naming.name_of(checked) if _learnable(checked) else None

    def learn(self, events, emotives=None) -> Optional[tuple[str, bool]]:
        """Count the sequence once more. emotives: the new stored list, or None to leave it.

        Returns: (name, was it new), or None below two symbols.
        """
        return self.learn_many([(events, emotives)])[0]

    def learn_many(self, items) -> list[Optional[tuple[str, bool]]]:
        """Learn (events, emotives) pairs in order: all of them, or none where one is bad."""
        checked = [(validate.events(events), validate.emotives(emotives)) for events, emotives in validate.items(items)]
        named = [(naming.name_of(events) if _learnable(events) else None, events, maps) for events, maps in checked]
        self._check_writable()
        with self._lock:
            self._check_room(sum(sum(map(len, events)) for name, events, _ in named if name is not None))
            return [None if name is None else self._learn(name, events, maps) for name, events, maps in named]

    def put(self, events, frequency, emotives=None) -> str:
        """Set a pattern's frequency (1 to 2**63-1) and emotives, whatever they were; a new one goes last."""
        checked = validate.events(events)
        if not _learnable(checked):
            raise ValueError(f"events must have at least 2 symbols, not {sum(map(len, checked))}")
        frequency = validate.frequency(frequency)
        maps = validate.emotives(emotives)
        self._check_writable()
        name = naming.name_of(checked)
        with self._lock:
            known = self._patterns.get(name)
            more = frequency - (known.frequency if known else 0)
            self._check_room(more * sum(map(len, checked)))
            pattern, _ = self._ensure(name, checked)
            self._count(pattern, more)
            pattern.emotives = maps
        return name

    def forget(self, name) -> bool:
        """Remove a pattern and all it added to the counters; False where there is none of that name."""
        validate.name(name)
        if not re.fullmatch("[0-9a-f]{40}", name):
            return False
        self._check_writable()
        with self._lock:
            pattern = self._patterns.pop(name, None)
            if pattern is None:
                return False
            self._candidates.remove(pattern)
            self._count(pattern, -pattern.frequency)
            return True

    def clear(self) -> None:
        """Remove everything."""
        self._check_writable()
        with self._lock:
            self._patterns.clear()
            self._candidates.clear()
            self._counters.clear()

    def count_as(self, members, symbols, learns, memberships, /) -> None:
        """Answer as a part of a larger whole, which is counted elsewhere; nothing may be learned, put or forgotten
        afterwards. members: pattern_member_frequency by symbol; symbols: distinct ones; the others: totals.
        """
        validate.whole(members, symbols, learns, memberships)
        self._check_writable()
        with self._lock:
            self._counters.count_as(members, symbols, learns, memberships)
            self._read_only = True

    # asking

    def predict(self, state, recall_threshold, max_predictions) -> prediction.Predictions:
        """Which patterns the state belongs to, best first; none below two symbols."""
        asked = validate.state(state)
        threshold = validate.recall_threshold(recall_threshold)
        most = validate.max_predictions(max_predictions)
        if len(asked.flat) < 2:
            return prediction.Predictions()
        with self._lock:
            passing = self._passing(asked.flat, threshold)
            return prediction.predict(passing, asked, self._counters, most, self.generation)

    def predict_many(self, states, recall_threshold, max_predictions) -> list[prediction.Predictions]:
        """predict() for each state; equal ones are asked once and share their answer."""
        asked = validate.states(states)
        threshold = validate.recall_threshold(recall_threshold)
        most = validate.max_predictions(max_predictions)
        keys = [self._key(state) for state in asked]
        answers: dict[tuple, prediction.Predictions] = {}
        for key, state in zip(keys, asked):
            if key not in answers:
                answers[key] = self.predict(state.events or state.flat, threshold, most)
        return [answers[key] for key in keys]

    def _key(self, state: validate.State) -> tuple:
        """Equal for states with one answer; events matter to KATO 2.1 alone."""
        ends = tuple(map(len, state.events)) if self.generation == KATO_2_1 else ()
        return (*state.flat, *ends)

    def match(self, state, recall_threshold) -> prediction.Matches:
        """Names and similarities of every pattern that passes, in learning order; none below two symbols."""
        flat = validate.state(state).flat
        threshold = validate.recall_threshold(recall_threshold)
        if len(flat) < 2:
            return prediction.Matches()
        with self._lock:
            return prediction.Matches(self._passing(flat, threshold))

    def passing(self, state: list[str], threshold: float) -> list:
        """The matches themselves, in candidate order; the arguments are checked already."""
        with self._lock:
            return list(self._passing(state, threshold))

    # looking

    def pattern(self, name) -> Optional[dict]:
        """name, frequency, length, pattern_data, emotives (a list, or {} for none); None if there is none."""
        validate.name(name)
        with self._lock:
            pattern = self._patterns.get(name)
            return None if pattern is None else pattern.to_dict()

    def names(self) -> list[str]:
        """Every pattern's name, in learning order."""
        with self._lock:
            return list(self._patterns)

    def symbols(self) -> dict[str, dict[str, int]]:
        """frequency and pattern_member_frequency per symbol, in no particular order."""
        with self._lock:
            return self._counters.symbols()

    def totals(self) -> dict[str, int]:
        """The host's three totals."""
        with self._lock:
            return self._counters.totals()

    def memory(self) -> int:
        """About how many bytes the patterns and symbols take; walks all of them."""
        with self._lock:
            patterns = sum(map(_size, self._patterns.values()))
            symbols = sum(map(sys.getsizeof, self._counters.members))
            return patterns + symbols + sys.getsizeof(self._patterns) + 2 * sys.getsizeof(self._counters.members)

    def __len__(self) -> int:
        return len(self._patterns)

    def _check_writable(self) -> None:
        if self._read_only:
            raise ValueError("the knowledge base is a read-only snapshot")

    # the steps of learning, under the lock

    def _learn(self, name: str, events: list[list[str]], maps: Optional[list]) -> tuple[str, bool]:
        pattern, new = self._ensure(name, events)
        self._count(pattern, 1)
        if maps is not None:
            pattern.emotives = maps
        return name, new

    def _ensure(self, name: str, events: list[list[str]]) -> tuple[Pattern, bool]:
        """The pattern of that name, and whether it had to be made."""
        pattern = self._patterns.get(name)
        if pattern is not None:
            return pattern, False
        pattern = self._patterns[name] = Pattern(name, events)
        self._candidates.add(pattern)
        return pattern, True

    def _count(self, pattern: Pattern, times: int) -> None:
        pattern.frequency += times
        if times:
            self._counters.add(pattern, times)

    def _check_room(self, symbols: int) -> None:
        if not self._counters.fit(symbols):
            raise ValueError(f"frequency must keep every total at most {COUNTER_MAX}")

    def _passing(self, state: list[str], threshold: float):
        return score.matches(self._candidates.find(state), state, threshold, self.generation)


def _learnable(events: list[list[str]]) -> bool:
    return sum(map(len, events)) >= 2


def _size(pattern: Pattern) -> int:
    lists = [pattern, pattern.name, pattern.symbols, pattern.events, *pattern.events, *(pattern.emotives or ())]
    return sum(map(sys.getsizeof, lists))
