"""Patterns in one SQLite file, shared by any number of processes.

Every write is one transaction that has its own *revision*, one higher than the last: pattern rows, symbol counters,
totals and the revision change together. A reader remembers the revision it has seen and fetches the rows above it.
``id`` is the learning order; it is the same in every process, because a write first takes in what others wrote, inside
its transaction.

Two connections: ``_db`` reads and writes, one call at a time; ``_watch`` asks for ``PRAGMA data_version`` and reads
notes, so that ``pending()`` never waits for a write.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Optional, Union

from kato_fast.stores import NO_NOTES, Apply, Change, Cleared, Forgotten, Learned, Put, is_number, no_token
from kato_fast.stores import sqlite_file as file

#: Names of forgotten patterns that are kept for readers; more are dropped when a store is opened, readers start over.
FORGOTTEN_KEPT = 10_000

ROW = "SELECT name, frequency, events, emotives FROM patterns"
EVERY_ROW = f"{ROW} ORDER BY id"
#: Sorts the ids alone; ``WHERE revision > ? ORDER BY id`` would sort the rows.
ROWS_SINCE = f"{ROW} WHERE id IN (SELECT id FROM patterns WHERE revision > ?) ORDER BY id"

LEARN_PATTERN = """
INSERT INTO patterns (name, frequency, length, events, emotives, revision) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
    frequency = frequency + excluded.frequency,
    emotives = coalesce(excluded.emotives, emotives),
    revision = excluded.revision
"""
LEARN_SYMBOL = """
INSERT INTO symbols VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
    frequency = frequency + excluded.frequency,
    pattern_member_frequency = pattern_member_frequency + excluded.pattern_member_frequency
"""
TAKE_SYMBOL = """
UPDATE symbols SET frequency = frequency + ?, pattern_member_frequency = pattern_member_frequency + ? WHERE name = ?
"""
DROP_SYMBOL = "DELETE FROM symbols WHERE name = ? AND pattern_member_frequency = 0"

NEEDS_ESCAPE = re.compile(r'["\\\x00-\x1f]').search
to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

open_stores: weakref.WeakSet[SqliteStore] = weakref.WeakSet()


class SqliteStore:
    """The store protocol on a file.

    Args:
        path: made if missing, in a folder that exists and is writable.

    Safe from many threads. After a fork, the child must open its own: every call there raises RuntimeError.

    Raises: ValueError for a path or file that cannot be a store; OSError with the path for what the system refuses:
        TimeoutError where another process holds the write lock too long, ENOSPC for a full disk, EIO for a damaged
        file.
        A write that raised has changed nothing.
    """

    def __init__(self, path: Union[str, os.PathLike]) -> None:
        self.path = file.checked_path(path)
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._watch_lock = threading.Lock()
        self._seen: Optional[int] = None  # the revision the engine has; None nothing yet, -1 start over
        self._version: Optional[int] = None  # data_version then
        self._wrote = 0  # the revision of this process's last write
        self._closed = False
        self._db = file.open_writer(self.path)
        try:
            self._watch = file.open_watcher(self.path)
            open_stores.add(self)
            self._drop_old_forgotten()
        except BaseException:
            self._db.close()
            raise

    # reading

    def pending(self) -> bool:
        """Whether anything was committed since changes(), by anyone; a few microseconds."""
        return self._data_version() != self._version

    def changes(self) -> Iterator[Change]:
        """What happened since the last call that ran to its end, streamed row by row from one snapshot."""
        version = self._data_version()  # before the snapshot: what is committed later is still pending
        with self._transaction("BEGIN"):
            yield from self._catch_up()
            self._version = version

    def rewind(self) -> None:
        """The next changes() begins with Cleared and yields everything."""
        self._seen = -1
        self._version = None

    def token(self) -> str:
        """The revision."""
        return str(max(self._wrote, self._seen or 0))

    def reached(self, token: str) -> bool:
        """Whether the engine has that revision; changes() always looks."""
        if not is_number(token):
            raise no_token(token)
        return self._seen is not None and self._seen >= int(token)

    def _data_version(self) -> int:
        self._check_process()
        with self._watch_lock:
            self._check_open()
            try:
                return self._watch.execute("PRAGMA data_version").fetchone()[0]
            except sqlite3.Error:
                with file.translated(self.path):  # entered only here: it would double the time of pending()
                    raise

    def note(self, key: str) -> Optional[str]:
        """What a learn last stored under that key, by any process."""
        self._check_process()
        with self._watch_lock, file.translated(self.path):
            self._check_open()
            row = self._watch.execute("SELECT value FROM notes WHERE key = ?", (key,)).fetchone()
            return row and row[0]

    def counters(self) -> tuple[dict[str, int], dict[str, int]]:
        """pattern_member_frequency of every symbol, and the totals, as they are stored now."""
        with self._transaction("BEGIN"):  # both from one snapshot; the watcher's connection must never wait
            members = dict(self._db.execute("SELECT name, pattern_member_frequency FROM symbols"))
            totals = dict(self._db.execute("SELECT name, value FROM totals"))
        return members, totals

    def _catch_up(self) -> Iterator[Change]:
        """Changes by others, inside a transaction. Forgotten ones first: learned again, they come last in the order."""
        revision, horizon = self._meta("revision"), self._meta("horizon")
        if self._seen is None or self._seen < horizon:
            if self._seen is not None:
                yield Cleared()
            yield from self._puts(EVERY_ROW)
        elif self._seen < revision:
            for (name,) in self._db.execute("SELECT name FROM forgotten WHERE revision > ?", (self._seen,)):
                yield Forgotten(name.hex())
            yield from self._puts(ROWS_SINCE, self._seen)
        self._seen = revision

    def _puts(self, query: str, *values: int) -> Iterator[Put]:
        for name, frequency, events, emotives in self._db.execute(query, values):
            try:
                put = Put(name.hex(), json.loads(events), frequency, emotives and json.loads(emotives))
            except (ValueError, TypeError, AttributeError, RecursionError) as error:
                raise file.damaged(self.path, f"pattern {name!r}: {error}") from error
            yield put

    def _meta(self, key: str) -> int:
        return self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0]

    # writing

    def learn(
        self, batch: Callable[[], Sequence[Learned]], apply: Apply, notes: Mapping[str, str] = NO_NOTES
    ) -> Sequence[Learned]:
        """One transaction for what batch() returns and the notes; it is durable when this returns."""
        with self._transaction("BEGIN IMMEDIATE"):
            self._apply_others(apply)
            learned = batch()
            revision = self._next_revision() if learned else self._seen
            if learned:
                self._add_patterns(learned, revision)
                self._add_symbols(learned)
            self._db.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?)", notes.items())
        self._seen = self._wrote = revision
        return learned

    def forget(self, name: str, apply: Apply) -> bool:
        """Remove the pattern, and from the counters what its learns added; symbols that fall to 0 go."""
        if not re.fullmatch("[0-9a-f]{40}", name):
            return False
        with self._transaction("BEGIN IMMEDIATE"):
            self._apply_others(apply)
            key = bytes.fromhex(name)
            row = self._db.execute("SELECT frequency, events FROM patterns WHERE name = ?", (key,)).fetchone()
            if row is None:
                return False
            revision = self._next_revision()
            self._db.execute("DELETE FROM patterns WHERE name = ?", (key,))
            self._db.execute("INSERT OR REPLACE INTO forgotten VALUES (?, ?)", (key, revision))
            self._take_symbols(row[0], json.loads(row[1]))
        self._seen = self._wrote = revision
        return True

    def clear(self, apply: Apply) -> None:
        """Remove everything; the file keeps its size and fills again."""
        with self._transaction("BEGIN IMMEDIATE"):
            revision = self._next_revision()
            for table in ("patterns", "symbols", "forgotten", "notes"):
                self._db.execute(f"DELETE FROM {table}")
            self._db.execute("UPDATE totals SET value = 0")
            self._db.execute("UPDATE meta SET value = ? WHERE key = 'horizon'", (revision,))
        self._seen = self._wrote = revision

    def _apply_others(self, apply: Apply) -> None:
        for change in self._catch_up():
            apply(change)

    def _next_revision(self) -> int:
        self._db.execute("UPDATE meta SET value = value + 1 WHERE key = 'revision'")
        return self._meta("revision")

    def _add_patterns(self, learned: Iterable[Learned], revision: int) -> None:
        rows: dict[str, list] = {}
        for item in learned:
            row = rows.setdefault(item.name, [0, item.events, None])
            row[0] += 1
            if item.emotives is not None:
                row[2] = item.emotives
        self._db.executemany(LEARN_PATTERN, (_row(name, *row, revision) for name, row in rows.items()))

    def _add_symbols(self, learned: Iterable[Learned]) -> None:
        counters = Counters()
        counters.add_once([item.events for item in learned])
        self._db.executemany(LEARN_SYMBOL, ((name, *counts) for name, counts in counters.symbols().items()))
        self._add_totals(counters.totals())

    def _take_symbols(self, frequency: int, events: list[list[str]]) -> None:
        counters = Counters()
        counters.add(events, -frequency)
        symbols = counters.symbols()
        self._db.executemany(TAKE_SYMBOL, ((*counts, name) for name, counts in symbols.items()))
        self._db.executemany(DROP_SYMBOL, ((name,) for name in symbols))
        self._add_totals(counters.totals())

    def _add_totals(self, totals: dict[str, int]) -> None:
        rows = [(value, name) for name, value in totals.items()]
        self._db.executemany("UPDATE totals SET value = value + ? WHERE name = ?", rows)

    def _drop_old_forgotten(self) -> None:
        with file.translated(self.path):
            if self._db.execute("SELECT count(*) FROM forgotten").fetchone()[0] <= FORGOTTEN_KEPT:
                return
        with self._transaction("BEGIN IMMEDIATE"):
            self._db.execute("DELETE FROM forgotten")
            self._db.execute("UPDATE meta SET value = ? WHERE key = 'horizon'", (self._next_revision(),))

    # checking

    def verify(self, repair: bool = False) -> list[str]:
        """Every difference between the counters and a recount of the patterns, as text; none where all is well.

        Also SQLite's own check of the file, the length of each pattern, and its name as this Python computes it.
        repair: counters that differ are set to the recount, in the same transaction; nothing else is touched.
        """
        with self._transaction("BEGIN IMMEDIATE" if repair else "BEGIN"):
            problems = [text for (text,) in self._db.execute("PRAGMA integrity_check") if text != "ok"]
            counters = Counters()
            for row in self._db.execute("SELECT name, frequency, length, events FROM patterns"):
                problems += self._recount(counters, *row)
            symbols = self._db.execute("SELECT name, frequency, pattern_member_frequency FROM symbols")
            problems += _differences("symbol ", {name: tuple(row) for name, *row in symbols}, counters.symbols())
            problems += _differences("", dict(self._db.execute("SELECT name, value FROM totals")), counters.totals())
            if repair and problems:
                self._set_counters(counters)
        return problems

    def _set_counters(self, counters: Counters) -> None:
        self._db.execute("DELETE FROM symbols")
        rows = ((name, *counts) for name, counts in counters.symbols().items())
        self._db.executemany("INSERT INTO symbols VALUES (?, ?, ?)", rows)
        totals = [(value, name) for name, value in counters.totals().items()]
        self._db.executemany("UPDATE totals SET value = ? WHERE name = ?", totals)

    def _recount(self, counters: Counters, name: bytes, frequency: int, length: int, text: str) -> list[str]:
        from kato_fast.native import load

        try:
            events = json.loads(text)
            right = load().pattern_name(events)
        except (ValueError, TypeError, RecursionError) as error:
            return [f"pattern {name.hex()}: {error}"]
        counters.add(events, frequency)
        symbols = sum(map(len, events))
        problems = [f"pattern {name.hex()}: length {length}, counted {symbols}"] if length != symbols else []
        return problems + ([f"pattern {name.hex()}: its events have the name {right}"] if right != name.hex() else [])

    # life

    def close(self) -> None:
        """Close the file; the last one to do so folds the write-ahead log into it. A second call does nothing."""
        if os.getpid() != self._process:
            return
        with self._lock, self._watch_lock:
            if not self._closed:
                self._closed = True
                self._watch.close()
                self._db.close()

    def _check_process(self) -> None:
        """Before any lock is taken: a lock that another thread held at the fork stays locked in the child."""
        if os.getpid() != self._process:
            raise RuntimeError(
                f"the store was opened by process {self._process} and must be opened again after a fork: {self.path}"
            )

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"the store is closed: {self.path}")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self._check_process()
        with self._lock:
            self._check_open()
            with file.translated(self.path), file.transaction(self._db, begin):
                yield


class Counters:
    """What learns add to the counters: per symbol occurrences and learns, and the three totals."""

    def __init__(self) -> None:
        self._occurrences: Counter[str] = Counter()
        self._members: Counter[str] = Counter()
        self._learns = 0

    def add_once(self, patterns: Iterable[Iterable[Iterable[str]]]) -> None:
        """Count many patterns, each learned once; two calls in C for all of them."""
        flat = [list(chain.from_iterable(events)) for events in patterns]
        self._occurrences.update(chain.from_iterable(flat))
        self._members.update(chain.from_iterable(map(set, flat)))
        self._learns += len(flat)

    def add(self, events: Iterable[Iterable[str]], times: int) -> None:
        """Count one pattern, learned so many times (below 0: taken back)."""
        for symbol, count in Counter(chain.from_iterable(events)).items():
            self._occurrences[symbol] += count * times
            self._members[symbol] += times
        self._learns += times

    def symbols(self) -> dict[str, tuple[int, int]]:
        """Per symbol (frequency, pattern_member_frequency)."""
        return {symbol: (count, self._members[symbol]) for symbol, count in self._occurrences.items()}

    def totals(self) -> dict[str, int]:
        """As KnowledgeBase.totals()."""
        return {
            "total_pattern_frequencies": self._learns,
            "total_symbol_frequencies": sum(self._occurrences.values()),
            "total_symbols_in_patterns_frequencies": sum(self._members.values()),
        }


def _row(name: str, frequency: int, events, emotives, revision: int) -> tuple:
    stored = None if emotives is None else to_json(emotives)
    return bytes.fromhex(name), frequency, sum(map(len, events)), _events_json(events), stored, revision


def _events_json(events: Sequence[Sequence[str]]) -> str:
    """to_json(events), in a quarter of the time where no symbol needs an escape; no event is empty."""
    if NEEDS_ESCAPE("".join(["".join(event) for event in events])):
        return to_json(events)
    return '[["' + '"],["'.join(['","'.join(event) for event in events]) + '"]]'


def _differences(what: str, stored: dict, counted: dict) -> list[str]:
    return [
        f"{what}{name!r}: stored {stored.get(name)}, counted {counted.get(name)}"
        for name in {**stored, **counted}
        if stored.get(name) != counted.get(name)
    ]


def keep_in_child() -> None:
    """After a fork: never close the parent's connections here, not even at exit; that may undo its transaction."""
    import ctypes

    for store in open_stores:
        for connection in (store._db, store._watch):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=keep_in_child)
