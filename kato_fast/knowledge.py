"""KnowledgeBase: the engine as Python sees it.

It owns one engine (patterns in memory, searchable) and one store (where patterns last). Reading first takes in what
other processes wrote to the store. Writing goes name → store → engine, under one lock; what is not stored is not
searchable. An engine that may have missed something is never repaired: a new one is loaded from the store and takes its
place.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Optional, Union

from kato_fast import emotives as _emotives
from kato_fast import native
from kato_fast.profiles import PROFILES, Profile, profile_named
from kato_fast.stores import Change, Cleared, Feed, Forgotten, Learned, Put, Store, open_store
from kato_fast.stores.snapshot import SnapshotStore

if TYPE_CHECKING:
    from kato_fast._core import Matches, Predictions

#: ``predict_async`` stays on the event loop's thread while patterns times symbols of the state are below this: about
#: 100 µs in C, less than the cost of a thread change under load.
INLINE_WORK = 20_000

#: Of a note's key, and of its text.
MAX_NOTE_BYTES = 1 << 20

#: Of one search.
MAX_THREADS = 64

#: In a batch: the pattern was learned by an earlier item, which had no emotives.
_PLAIN = object()


class KnowledgeBase:
    """Learned sequences of events, and predictions from them.

    Args:
        store: None keeps everything in memory; a path names an SQLite file (made if missing); or an object with the
            protocol of ``kato_fast.stores.Store``.
        profile: which KATO is matched: ``kato-2025-09`` (full scan) or ``kato-2025-09-indexed`` (as shipped), or of
            KATO 2.1 ``kato-2.1`` or ``kato-2.1-indexed``.
        persistence: how many emotive maps a pattern keeps, 1 to 100.
        threads: how many one search may use, 1 to 64; None takes the CPUs this process may run on. Answers are equal
            for any number, and small searches use one.
        implementation: ``"c"``, ``"python"`` or None (C where it was built).
        residency: ``"memory"``, or ``"server"``: patterns stay in MongoDB, which sends the candidates of each question.
            Answers are equal; a question costs four round trips. Only for ``kato-2025-09``.

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
        residency: str = "memory",
    ) -> None:
        self.profile = profile_named(profile)
        self.residency = _residency(residency, self.profile)
        self.persistence = _whole("persistence", persistence, 1, 100)
        self.threads = _thread_count(threads)
        self._native = native.load(implementation)
        self._lock = threading.RLock()
        self._closed = False
        self._store = open_store(store)
        if residency == "server" and not hasattr(self._store, "engine"):
            self._store.close()
            raise ValueError("residency must be 'memory' for a store that is not MongoDB")
        self._engine = self._new_engine()
        self._lasting = getattr(self._store, "lasting", True)
        try:
            self._current()
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(
        cls, path: Union[str, os.PathLike], *, threads: Optional[int] = None, implementation: Optional[str] = None
    ) -> KnowledgeBase:
        """What save() wrote, with its profile. Mapped, not read: processes that have it open share its memory.

        It answers as the saved one did and cannot be changed: whatever writes raises ValueError. The file may be
        replaced while it is open, but not be written to.

        Raises: OSError where the file system refuses; ValueError, which says where, for a file that is damaged, no
            snapshot, or of a newer version.
        """
        count = _thread_count(threads)
        engine = native.load(implementation).Knowledge.open(path, threads=count)
        is_like = (engine.indexed, engine.generation)
        profile = next(known.name for known in PROFILES.values() if (known.indexed, known.generation) == is_like)
        base = cls(SnapshotStore(), profile=profile, threads=count, implementation=implementation)
        base._engine = engine
        return base

    def save(self, path: Union[str, os.PathLike]) -> None:
        """Write all that is known at one moment to one file, for open(); others may ask and learn meanwhile.

        A file of that name is replaced when the new one is complete and on disk. Notes are not saved. Whoever may
        read the file sees what was learned, and the key of this process's hash tables.

        Raises: OSError where the file system refuses, ImportError without the C engine; what was there stays.
        """
        self._current().save(path)

    # learning

    def learn(self, events, emotives=(), metadata=None) -> Optional[str]:
        """Learn one sequence; a known one counts once more.

        Args:
            events: list of events, each a non-empty list of ``str``.
            emotives: the maps of name to number that came with the observations, oldest first.
            metadata: none is kept; anything but None or an empty map is a ValueError.

        Returns: the pattern's name (40 hex digits), or None where KATO learns nothing (fewer than two symbols).

        Raises: TypeError, ValueError for bad input, ``EmotivesConflict`` (a ValueError) where KATO fails too: emotives
            for a pattern that was first learned without; OSError where the store cannot write. Nothing is stored then.
        """
        if metadata:
            raise ValueError(f"metadata must be empty: profile {self.profile.name} keeps none")
        if emotives == () and not self._lasting:
            self._check_open()
            learned = self._engine.learn(events)
            return learned and learned[0]
        maps = _emotives.check(emotives)
        return self._learn([events], [self._engine.name(events)], [maps], {})[0]

    def learn_many(self, sequences, *, emotives=None, notes=None) -> list[Optional[str]]:
        """Learn several sequences in one transaction: all of them or none. Returns their names in order.

        Args:
            sequences: each as the events of learn().
            emotives: None, or for each sequence the maps that learn() takes.
            notes: None, or a map of str to str that is kept by the store in the same transaction, for note(): how far a
                job has come.
        """
        sequences = list(_iterated("sequences", sequences))
        if emotives is None and not notes and not self._lasting:
            return self._learn_at_once(sequences)
        emotives = [()] * len(sequences) if emotives is None else list(_iterated("emotives", emotives))
        if len(emotives) != len(sequences):
            raise ValueError(f"emotives must be as many as sequences, {len(sequences)}, not {len(emotives)}")
        names = [_at(f"sequences[{i}]", self._engine.name, events) for i, events in enumerate(sequences)]
        maps = [() if item == () else _emotives.check(item, f"emotives[{i}]") for i, item in enumerate(emotives)]
        return self._learn(sequences, names, maps, _checked_notes(notes))

    def _learn_at_once(self, sequences: Sequence) -> list[Optional[str]]:
        """Where nothing lasts and nothing is asked of the pattern first: no name is needed before it is learned."""
        self._check_open()
        try:
            learned = self._engine.learn_many([(events, None) for events in sequences])
        except (TypeError, ValueError):
            for i, events in enumerate(sequences):
                _at(f"sequences[{i}]", self._engine.name, events)  # says which
            raise
        return [item and item[0] for item in learned]

    def _learn(self, sequences: Sequence, names: list, emotives: Sequence, notes: Mapping) -> list[Optional[str]]:
        def batch() -> list[Learned]:
            kept: dict = {}
            rows = zip(names, sequences, emotives)
            return [self._learned(name, events, maps, kept) for name, events, maps in rows if name is not None]

        self._check_open()
        if notes or any(name is not None for name in names):
            with self._writing():
                learned = self._store.learn(batch, self._apply, notes)
                with self._rewinding():
                    self._engine.learn_many([(item.events, item.emotives) for item in learned])
        return names

    def _learned(self, name: str, events, maps, kept: dict) -> Learned:
        """What this learn leaves in the store. kept: what patterns keep after the batch's earlier items."""
        if not maps:
            kept.setdefault(name, _PLAIN)
            return Learned(name, events, None)
        known, stored = self._kept(name, kept)
        kept[name], changed = _emotives.push(known, stored, maps, self.persistence)
        return Learned(name, events, kept[name] if changed else None, self.persistence)

    def _kept(self, name: str, kept: dict) -> tuple[bool, _emotives.Stored]:
        """Whether there is such a pattern, and the emotives that it keeps."""
        if kept.get(name, _PLAIN) is not _PLAIN:
            return True, kept[name]
        before = self._engine.pattern(name)
        return before is not None or name in kept, (before["emotives"] or None) if before else None

    def note(self, key: str) -> Optional[str]:
        """What learn_many(notes=) last stored under that key; None where nothing was, or after clear()."""
        _check_text("key", key)
        self._check_open()
        return self._store.note(key)

    def forget(self, name: str) -> bool:
        """Remove one pattern and what it added to the counters; False where there is none of that name."""
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {type(name).__name__}")
        with self._writing():
            if not self._store.forget(name, self._apply):
                return False
            with self._rewinding():
                return self._engine.forget(name)

    def clear(self) -> None:
        """Remove everything."""
        with self._writing():
            self._store.clear(self._apply)
            with self._rewinding():
                self._engine.clear()

    # asking

    def predict(self, state, *, recall_threshold: float = 0.1, max_predictions: int = 100) -> Predictions:
        """Which patterns the state belongs to, best first, with all of KATO's metrics.

        Args:
            state: list of symbols, or list of events; below two symbols there are no predictions.
            recall_threshold: least similarity, equality counts.
            max_predictions: how many to return; the ensemble figures cover all that passed.
        """
        return self._current().predict(state, recall_threshold, max_predictions)

    def predict_many(self, states, *, recall_threshold: float = 0.1, max_predictions: int = 100) -> list[Predictions]:
        """predict() for each state, with its answers; equal states are computed once, others share what they read."""
        return self._current().predict_many(list(_iterated("states", states)), recall_threshold, max_predictions)

    async def predict_async(self, state, *, recall_threshold: float = 0.1, max_predictions: int = 100) -> Predictions:
        """predict() that never blocks the event loop: larger work runs on a thread, without the GIL in C."""
        self._check_open()
        if self._is_quick(state) and not self._store.pending():
            return self._engine.predict(state, recall_threshold, max_predictions)
        return await asyncio.to_thread(
            self.predict, state, recall_threshold=recall_threshold, max_predictions=max_predictions
        )

    def _is_quick(self, state) -> bool:
        if self.residency != "memory" or not self._native.__name__.endswith("_core"):
            return False
        key = _state_key(state)
        symbols = 0 if key is None else sum(1 if isinstance(item, str) else len(item) for item in key)
        return len(self._engine) * symbols < INLINE_WORK

    def match(self, state, *, recall_threshold: float = 0.1) -> Matches:
        """Names and similarities of every pattern that passes, in learning order; nothing assembled."""
        return self._current().match(state, recall_threshold)

    # looking

    def pattern(self, name: str) -> Optional[dict]:
        """name, frequency, length (symbols), pattern_data (events), emotives; None where there is none of that name."""
        return self._current().pattern(name)

    def patterns(self) -> Iterator[dict]:
        """Every pattern, in learning order. Patterns learned meanwhile are not among them."""
        engine = self._current()
        found = map(engine.pattern, engine.names())
        return (pattern for pattern in found if pattern is not None)

    def symbols(self) -> dict[str, dict[str, int]]:
        """Per symbol: ``frequency`` (occurrences) and ``pattern_member_frequency``, both summed over learns."""
        return self._current().symbols()

    def totals(self) -> dict[str, int]:
        """KATO's three totals over all learns."""
        return self._current().totals()

    def memory(self) -> int:
        """Bytes that the engine holds for patterns, symbols and their indexes."""
        return self._engine.memory()

    def token(self) -> str:
        """Names every write that is known here by now, own ones included, for reached() in another process."""
        return self._store.token()

    def reached(self, token: str) -> bool:
        """Whether all that the token names is known here; never waits. False has the next question look for it.

        Raises: ValueError for what no token() of such a store gave.
        """
        return self._store.reached(token)

    def held(self) -> int:
        """Patterns in memory, without looking for what others wrote; costs nothing, for those who watch."""
        return len(self._engine) if self.residency == "memory" else 0

    def __len__(self) -> int:
        return len(self._current())

    # life

    def close(self) -> None:
        """Release the store; a second call does nothing. A write that is going on ends first."""
        with self._lock:
            self._closed = True
            self._store.close()

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(self, *exc_info) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("the knowledge base is closed")

    def _new_engine(self):
        if self.residency == "server":
            return self._store.engine(lambda: self._native.Knowledge(threads=self.threads))
        profile = self.profile
        return self._native.Knowledge(indexed=profile.indexed, threads=self.threads, generation=profile.generation)

    def _current(self):
        """The engine, with everything that is in the store."""
        self._check_open()
        if self._store.pending():
            with self._lock:
                self._check_open()
                if self._store.pending():  # nobody was quicker
                    self._take_in()
        return self._engine

    def _take_in(self) -> None:
        """What others wrote goes into the engine; where it must start over, into a new one, seen when complete."""
        engine = self._engine
        with self._rewinding():
            for change in self._store.changes():
                if isinstance(change, Cleared):
                    engine = self._new_engine()
                else:
                    _put_in(engine, change)
        self._engine = engine

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The write lock. Takes in others' changes before the store's own lock is held; few are left for apply()."""
        self._current()
        with self._lock:
            self._check_open()
            try:
                yield
            except Exception:
                raise  # the store has rolled back, or the engine's part has asked for a new one
            except BaseException:
                self._store.rewind()  # Ctrl-C may come between the commit and the engine
                raise

    def _apply(self, change: Change) -> None:
        """A change that the store found inside its transaction."""
        with self._rewinding():
            if isinstance(change, Cleared):
                self._engine = self._new_engine()
            else:
                _put_in(self._engine, change)

    @contextmanager
    def _rewinding(self) -> Iterator[None]:
        """Where the engine fails to follow the store, the next read loads a new one."""
        try:
            yield
        except BaseException:
            self._store.rewind()
            raise


def _put_in(engine, change: Union[Put, Feed, Forgotten]) -> None:
    if isinstance(change, Feed):
        fed = getattr(engine, "fed", None)
        if not change.into(engine if fed is None else fed()):
            for put in change.puts():
                _put_in(engine, put)
        return
    if isinstance(change, Forgotten):
        engine.forget(change.name)
        return
    name = engine.put(change.events, change.frequency, change.emotives)
    if name != change.name:
        raise ValueError(
            f"pattern {change.name} of the store has the name {name} here: the file is damaged, or was written by a"
            " Python with other Unicode tables"
        )


def _iterated(what: str, value) -> Iterator:
    try:
        return iter(value)
    except TypeError:
        raise TypeError(f"{what} must be iterable, not {type(value).__name__}") from None


def _at(place: str, function, *arguments):
    """The function's result; its error says which item of a batch it was."""
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{place}: {error}") from None


def _checked_notes(notes) -> Mapping[str, str]:
    if notes is None:
        return {}
    if not isinstance(notes, Mapping):
        raise TypeError(f"notes must be a map of str to str, not {type(notes).__name__}")
    for key, text in notes.items():
        _check_text("a key of notes", key)
        _check_text("a text of notes", text)
    return dict(notes)


def _check_text(what: str, value) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str, not {type(value).__name__}")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} must be valid Unicode: lone surrogate at index {error.start}") from None
    if size > MAX_NOTE_BYTES:
        raise ValueError(f"{what} must have at most {MAX_NOTE_BYTES} bytes as UTF-8, not {size}")


def _residency(value: str, profile: Profile) -> str:
    if value not in ("memory", "server"):
        raise ValueError(f"residency must be 'memory' or 'server', not {value!r}")
    if value == "server" and profile.name != "kato-2025-09":
        raise ValueError(f"residency must be 'memory' for the profile {profile.name}")
    return value


def _thread_count(threads: Optional[int]) -> int:
    return usable_cpus() if threads is None else _whole("threads", threads, 1, MAX_THREADS)


def usable_cpus() -> int:
    """CPUs that this process may run on, at most MAX_THREADS."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return min(cpus, MAX_THREADS)


def _whole(what: str, value: int, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} must be an int, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{what} must be from {least} to {most}, not {value}")
    return value


def _state_key(state):
    """A hashable form that only a well-formed state has, None for others (the engine will say what is wrong)."""
    if not isinstance(state, (list, tuple)):
        return None
    key = tuple(tuple(item) if isinstance(item, (list, tuple)) else item for item in state)
    symbols = (symbol for item in key for symbol in (item if isinstance(item, tuple) else (item,)))
    return key if all(isinstance(symbol, str) for symbol in symbols) else None
