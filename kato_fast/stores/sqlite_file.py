"""One SQLite file: opened, made or refused, and what can go wrong with it as Python errors that name the path.

Never look into the file with ``open()``: closing any descriptor of a file drops all of this process's POSIX locks on
it, also those of connections that are in use.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: "KFKB" in the header of the file (PRAGMA application_id), and the version of the tables (PRAGMA user_version).
APPLICATION_ID = 0x4B464B42
FORMAT = 1

#: How long a write waits for another process's transaction; a batch of a million patterns takes less.
BUSY_SECONDS = 30.0

#: ON CONFLICT DO UPDATE.
LEAST_SQLITE = (3, 24, 0)

#: The largest total of the engine; the totals are the largest counters.
COUNTER_MAX = 2**53 - 1

#: Counters are checked to be integers, since SQLite turns a sum above 2**63 - 1 into a float.
#: revision: the transaction that wrote the row last; readers fetch what is above the last one they saw.
#: meta: 'revision' is the last one; who has seen less than 'horizon' must read everything again (after a clear).
SCHEMA = f"""
CREATE TABLE patterns (
    id INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE,
    frequency INTEGER NOT NULL CHECK (typeof(frequency) = 'integer' AND frequency > 0),
    length INTEGER NOT NULL,
    events TEXT NOT NULL,
    emotives TEXT,
    revision INTEGER NOT NULL
);
CREATE INDEX patterns_revision ON patterns (revision);
CREATE TABLE symbols (
    name TEXT PRIMARY KEY NOT NULL,
    frequency INTEGER NOT NULL CHECK (typeof(frequency) = 'integer' AND frequency >= 0),
    pattern_member_frequency INTEGER NOT NULL
        CHECK (typeof(pattern_member_frequency) = 'integer' AND pattern_member_frequency >= 0)
) WITHOUT ROWID;
CREATE TABLE totals (
    name TEXT PRIMARY KEY NOT NULL,
    value INTEGER NOT NULL CHECK (typeof(value) = 'integer' AND value BETWEEN 0 AND {COUNTER_MAX})
) WITHOUT ROWID;
CREATE TABLE forgotten (name BLOB PRIMARY KEY NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE notes (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO totals VALUES
    ('total_pattern_frequencies', 0),
    ('total_symbol_frequencies', 0),
    ('total_symbols_in_patterns_frequencies', 0);
INSERT INTO meta VALUES ('revision', 0), ('horizon', 0);
"""


def checked_path(path: object) -> str:
    """The absolute path of a file that can be a store; ValueError or OSError where it cannot."""
    name = os.fsdecode(os.fspath(path))
    if name in ("", ":memory:"):
        raise ValueError(f"store must be the path of a file, not {name!r}; None keeps everything in memory")
    if "\0" in name:
        raise ValueError(f"store must not contain NUL: {name!r}")
    full = os.path.abspath(name)
    _check_folder(os.path.dirname(full))
    with suppress(FileNotFoundError):
        _check_file(full, os.stat(full).st_mode)
    return full


def _check_folder(folder: str) -> None:
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "the store's folder does not exist", folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "the store's folder must be writable, for its -wal and -shm files", folder)


def _check_file(path: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "the store must be a file, not a folder", path)
    if not stat.S_ISREG(mode):
        raise ValueError(f"store must be a regular file: {path}")
    if not os.access(path, os.R_OK | os.W_OK):
        raise PermissionError(errno.EACCES, "the store must be readable and writable", path)


def open_writer(path: str) -> sqlite3.Connection:
    """The connection that writes; makes the tables in a new or empty file, refuses what is not ours.

    synchronous=FULL: what was acknowledged survives a power cut too, not only the end of the process. NORMAL would save
    one fsync per transaction and lose the last ones then.
    """
    if sqlite3.sqlite_version_info < LEAST_SQLITE:
        raise RuntimeError(f"the store needs SQLite 3.24 or later, this Python has {sqlite3.sqlite_version}")
    db = _connect(path)
    try:
        with translated(path):
            _adopt(db, path)
            _use_wal(db, path)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA cache_size = -65536")
    except BaseException:
        db.close()
        raise
    return db


def open_watcher(path: str) -> sqlite3.Connection:
    """The connection that only asks whether the file has changed; to it, this process's own writes are changes too."""
    db = _connect(path)
    db.execute("PRAGMA query_only = ON")
    return db


def _connect(path: str) -> sqlite3.Connection:
    with translated(path):
        return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _adopt(db: sqlite3.Connection, path: str) -> None:
    """Make the tables where there is nothing yet. In the rollback journal's mode, so that the marks are in the file."""
    with transaction(db, "BEGIN"):
        empty = _is_empty(db, path)
    if empty:
        with transaction(db, "BEGIN IMMEDIATE"):
            if _is_empty(db, path):
                _create(db)


def _is_empty(db: sqlite3.Connection, path: str) -> bool:
    try:
        application, version = _pragma(db, "application_id"), _pragma(db, "user_version")
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error):
            raise ValueError(f"store must be an SQLite file: {path}") from error
        raise
    if application == version == tables == 0:
        return True
    if application != APPLICATION_ID:
        raise ValueError(f"store must be a file made by kato_fast, this SQLite file belongs to another program: {path}")
    if version != FORMAT:
        raise ValueError(f"store has format {version}, this version of kato_fast reads format {FORMAT}: {path}")
    return False


def _create(db: sqlite3.Connection) -> None:
    for statement in SCHEMA.split(";"):
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {FORMAT}")


def _use_wal(db: sqlite3.Connection, path: str) -> None:
    """Readers and the writer do not wait for each other. SQLite does not wait for the lock of this step by itself."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            mode = _pragma(db, "journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
    if mode != "wal":
        raise OSError(errno.EOPNOTSUPP, "the store needs a file system with shared memory and locks", path)


def _pragma(db: sqlite3.Connection, text: str):
    return db.execute(f"PRAGMA {text}").fetchone()[0]


@contextmanager
def transaction(db: sqlite3.Connection, begin: str) -> Iterator[None]:
    """Commit at the end, roll back on any exception."""
    process = os.getpid()
    try:
        db.execute(begin)
        yield
        db.execute("COMMIT")
    except BaseException:
        # A full disk, for one, has rolled back already. A forked child that leaves through here must not: the
        # transaction is its parent's.
        if db.in_transaction and os.getpid() == process:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
        raise


#: Part of SQLite's message (codes are there from Python 3.11 on), the type and number it becomes, and the text.
ERRORS = (
    ("locked", TimeoutError, errno.ETIMEDOUT, "another process kept the store locked for too long"),
    ("full", OSError, errno.ENOSPC, "there is no room for the store to grow"),
    ("readonly", PermissionError, errno.EACCES, "the store must be writable"),
    ("malformed", OSError, errno.EIO, "the store is damaged"),
    ("not a database", OSError, errno.EIO, "the store is damaged"),
)


@contextmanager
def translated(path: str) -> Iterator[None]:
    """sqlite3's errors as OSError or ValueError with the path."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise ValueError(f"learning must keep every total at most {COUNTER_MAX}: {error}: {path}") from error
    except sqlite3.DataError as error:
        raise ValueError(f"a pattern is too large for the store: {error}: {path}") from error
    except sqlite3.Error as error:
        for part, kind, number, text in ERRORS:
            if part in str(error):
                raise kind(number, f"{text} ({error})", path) from error
        raise OSError(errno.EIO, f"the store failed ({error})", path) from error


def damaged(path: str, what: str) -> OSError:
    """The error for a file whose rows are not what a learn writes."""
    return OSError(errno.EIO, f"the store is damaged ({what})", path)
