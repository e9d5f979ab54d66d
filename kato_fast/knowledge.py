"""KnowledgeBase: the engine as Python sees it.

It owns one engine (patterns in memory, searchable) and one store (where patterns last). Reading first takes in what other
processes wrote to the store. Writing goes name → store → engine, under one lock; what is not stored is not searchable.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Optional, Union

from kato_fast import emotives as _emotives
from kato_fast import native
from kato_fast.profiles import profile_named
from kato_fast.stores import Cleared, Forgotten, Learned, Put, Store, open_store

if TYPE_CHECKING:
    from kato_fast._core import Matches, Predictions

#: ``predict_async`` stays on the event loop's thread while patterns times symbols of the state are below this: about
#: 100 µs in C, less than the cost of a thread change under load.
INLINE_WORK = 20_000


class KnowledgeBase:
    """Learned sequences of events, and predictions from them.

    Args:
        store: None keeps everything in memory; a path names an SQLite file (made if missing); or an object with the
            protocol of ``kato_fast.stores.Store``.
        profile: which KATO is matched: ``kato-2025-09`` (full scan) or ``kato-2025-09-indexed`` (as shipped).
        persistence: how many emotive maps a pattern keeps, 1 to 100.
        implementation: ``"c"``, ``"python"`` or None (C where it was built).

    Every method may be called from many threads. Use as a context manager, or call close().
    """

    def __init__(
        self,
        store: Union[None, str, os.PathLike, Store] = None,
        *,
        profile: str = "kato-2025-09",
        persistence: int = 5,
        threads: Optional[int] = None,
        implementation: Optional[str] = None,
    ) -> None:
        self.profile = profile_named(profile)
        self.persistence = _whole("persistence", persistence, 1, 100)
        if threads is not None:
            _whole("threads", threads, 1, 1024)
        self._native = native.load(implementation)
        self._engine = self._native.Knowledge(indexed=self.profile.indexed)
        self._lock = threading.RLock()
        self._closed = False
        self._store = open_store(store)
        try:
            self._refresh()
        except BaseException:
            self.close()
            raise

    # learning

    def learn(self, events, emotives=(), metadata=None) -> Optional[str]:
        """Learn one sequence; a known one counts once more.

        Args:
            events: list of events, each a non-empty list of ``str``.
            emotives: the maps of name to number that came with the observations, oldest first.
            metadata: KATO of September 2025 keeps none; anything but None or an empty map is a ValueError.

        Returns: the pattern's name (40 hex digits), or None where KATO learns nothing (fewer than two symbols).

        Raises: TypeError, ValueError for bad input, ``EmotivesConflict`` (a ValueError) where KATO fails too: emotives for
            a pattern that was first learned without. Nothing is stored then.
        """
        if metadata:
            raise ValueError(f"metadata must be empty: profile {self.profile.name} keeps none")
        return self._learn([(events, _emotives.check(emotives))])[0]

    def learn_many(self, sequences) -> list[Optional[str]]:
        """Learn several sequences in one transaction: all of them or none. Returns their names in order."""
        if not isinstance(sequences, (list, tuple)):
            sequences = list(sequences)
        return self._learn([(events, ()) for events in sequences])

    def _learn(self, items: Sequence[tuple]) -> list[Optional[str]]:
        engine = self._engine
        names = [engine.name(events) for events, _ in items]
        with self._writing():
            known: dict[str, _emotives.Stored] = {}

            def batch() -> list[Learned]:
                return [
                    self._learned(name, events, maps, known)
                    for name, (events, maps) in zip(names, items)
                    if name is not None
                ]

            stored = self._store.learn(batch, self._apply)
            engine.learn_many([(item.events, item.emotives) for item in stored])
        return names

    def _learned(self, name: str, events, maps, known: dict) -> Learned:
        """What this learn leaves in the store. known: what earlier items of the batch left."""
        if not maps:
            return Learned(name, events, None)
        if name in known:
            exists, stored = True, known[name]
        else:
            before = self._engine.pattern(name)
            exists, stored = before is not None, before and before["emotives"] or None
        kept, changed = _emotives.push(exists, stored, maps, self.persistence)
        known[name] = kept
        return Learned(name, events, kept if changed else None)

    def forget(self, name: str) -> bool:
        """Remove one pattern and what it added to the counters; False where there is none of that name."""
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {type(name).__name__}")
        with self._writing():
            stored = self._store.forget(name, self._apply)
            return self._engine.forget(name) and stored

    def clear(self) -> None:
        """Remove everything."""
        with self._writing():
            self._store.clear(self._apply)
            self._engine.clear()

    # asking

    def predict(self, state, *, recall_threshold: float = 0.1, max_predictions: int = 100) -> Predictions:
        """Which patterns the state belongs to, best first, with all of KATO's metrics.

        Args:
            state: list of symbols, or list of events; below two symbols there are no predictions.
            recall_threshold: least similarity, equality counts.
            max_predictions: how many to return; the ensemble figures cover all that passed.
        """
        self._refresh()
        return self._engine.predict(state, recall_threshold, max_predictions)

    def predict_many(self, states, *, recall_threshold: float = 0.1, max_predictions: int = 100) -> list[Predictions]:
        """predict() for each state; equal states are computed once."""
        self._refresh()
        done: dict = {}
        answers = []
        for state in states:
            key = _state_key(state)
            answer = done.get(key) if key is not None else None
            if answer is None:
                answer = self._engine.predict(state, recall_threshold, max_predictions)
                if key is not None:
                    done[key] = answer
            answers.append(answer)
        return answers

    async def predict_async(self, state, *, recall_threshold: float = 0.1, max_predictions: int = 100) -> Predictions:
        """predict() that never blocks the event loop: larger work runs on a thread, without the GIL in C."""
        try:
            work = len(self._engine) * len(state)
        except TypeError:
            work = 0
        if work < INLINE_WORK and self._native.__name__.endswith("_core"):
            return self.predict(state, recall_threshold=recall_threshold, max_predictions=max_predictions)
        return await asyncio.get_running_loop().run_in_executor(
            None, lambda: self.predict(state, recall_threshold=recall_threshold, max_predictions=max_predictions)
        )

    def match(self, state, *, recall_threshold: float = 0.1) -> Matches:
        """Names and similarities of every pattern that passes, in learning order; nothing assembled."""
        self._refresh()
        return self._engine.match(state, recall_threshold)

    # looking

    def pattern(self, name: str) -> Optional[dict]:
        """name, frequency, length (symbols), pattern_data (events), emotives; None where there is none of that name."""
        self._refresh()
        return self._engine.pattern(name)

    def patterns(self) -> Iterator[dict]:
        """Every pattern, in learning order. Patterns learned meanwhile are not among them."""
        self._refresh()
        for name in self._engine.names():
            pattern = self._engine.pattern(name)
            if pattern is not None:
                yield pattern

    def symbols(self) -> dict[str, dict[str, int]]:
        """Per symbol: ``frequency`` (occurrences) and ``pattern_member_frequency``, both summed over learns."""
        self._refresh()
        return self._engine.symbols()

    def totals(self) -> dict[str, int]:
        """KATO's three totals over all learns."""
        self._refresh()
        return self._engine.totals()

    def memory(self) -> int:
        """Bytes that the engine holds for patterns, symbols and their indexes."""
        return self._engine.memory()

    def __len__(self) -> int:
        self._refresh()
        return len(self._engine)

    # life

    def close(self) -> None:
        """Release the store; a second call does nothing."""
        with self._lock:
            self._closed = True
            store = getattr(self, "_store", None)
            if store is not None:
                store.close()

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(self, *exc_info) -> None:
        self.close()

    def _refresh(self) -> None:
        """Take in what others wrote."""
        if self._closed:
            raise ValueError("the knowledge base is closed")
        if not self._store.pending():
            return
        with self._lock:
            try:
                for change in self._store.changes():
                    self._apply(change)
            except BaseException:
                self._store.rewind()
                raise

    def _writing(self) -> _Writing:
        return _Writing(self)

    def _apply(self, change) -> None:
        if isinstance(change, Put):
            self._engine.put(change.events, change.frequency, change.emotives)
        elif isinstance(change, Forgotten):
            self._engine.forget(change.name)
        elif isinstance(change, Cleared):
            self._engine.clear()


class _Writing:
    """The write lock; where the block fails, the store is read again, since the engine may lag behind it."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self._kb = kb

    def __enter__(self) -> None:
        self._kb._lock.acquire()
        if self._kb._closed:
            self._kb._lock.release()
            raise ValueError("the knowledge base is closed")

    def __exit__(self, exc_type, *_) -> None:
        if exc_type is not None and not issubclass(exc_type, _emotives.EmotivesConflict):
            self._kb._store.rewind()
        self._kb._lock.release()


def _whole(what: str, value: int, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} must be an int, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{what} must be from {least} to {most}, not {value}")
    return value


def _state_key(state):
    """A hashable form of a well-formed state, None where it is not one (the engine will say what is wrong)."""
    try:
        key = tuple(item if isinstance(item, str) else (*item,) for item in state)
        hash(key)
        return key
    except TypeError:
        return None
