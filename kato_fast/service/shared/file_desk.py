"""Sessions, short-term memories and processors' state in the sessions' SQLite file, for the workers of one machine.

The lock of a processor is a byte of a file beside it (POSIX record locks): the system gives it back when a holder dies.
Statements take microseconds, so they run on the event loop's thread; only waiting for a lock does not.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, Optional

from kato_fast.memory import MAX_EVENTS
from kato_fast.service.sessions import EXPIRED, SCHEMA, TooManySessions, moment_of, session_stats, text_of
from kato_fast.service.shared import Unavailable
from kato_fast.service.shared.desk import Begun, Row, SharedDesk, SharedSession, Written
from kato_fast.stores.sqlite import to_json

#: Processors that share one byte wait for each other.
LOCKS = 1 << 20
#: Seconds that a turn waits for the lock.
PATIENCE = 30.0

TABLES = """
CREATE TABLE IF NOT EXISTS turns (session TEXT PRIMARY KEY NOT NULL, by TEXT NOT NULL, last INTEGER NOT NULL,
    dropped INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS processors (id TEXT PRIMARY KEY NOT NULL, version TEXT NOT NULL, state BLOB NOT NULL,
    predictions BLOB NOT NULL, potentials BLOB NOT NULL) WITHOUT ROWID;
"""
_FIELDS = "key, id, user_id, created, expires, metadata, config"


class FileDesk(SharedDesk):
    """path: the sessions' file, which a service of one process may open again later. limit: most unexpired sessions."""

    def __init__(self, path: str, limit: int) -> None:
        super().__init__(limit)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA + TABLES)
        self._locks = os.open(f"{path}.locks", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    # looking

    async def _look(self, session_id: str, known: tuple[int, int]) -> Optional[Row]:
        return self._row("id = ?", known, session_id)

    async def _look_user(self, user_id: str, guess: str, known: tuple[int, int]) -> Optional[Row]:
        where = "user_id = ? AND expires > ? ORDER BY key"
        row = self._row(where, known, user_id, text_of(datetime.now(timezone.utc)))
        return row if row is None or row.id == guess else self._row("id = ?", (-1, -1), row.id)

    def _row(self, where: str, known: tuple[int, int], *values: str) -> Optional[Row]:
        found = self._db.execute(f"SELECT {_FIELDS} FROM sessions WHERE {where} LIMIT 1", values).fetchone()
        if found is None:
            return None
        key, session_id, user_id, created, expires, metadata, config = found
        last, length = self._db.execute("SELECT max(seq), count(*) FROM events WHERE session = ?", (key,)).fetchone()
        by, last, dropped = self._turn(session_id, -1 if last is None else last)
        events = None if (last, length) == known else self._events(key)
        times = moment_of(created), moment_of(expires)
        return Row(session_id, user_id, *times, json.loads(metadata), json.loads(config), by, last, dropped, events)

    def _turn(self, session_id: str, newest: int) -> tuple[str, int, int]:
        """by, last, dropped. Numbers here begin with 1, those of the rows with 0, which is what one process writes."""
        found = self._db.execute("SELECT by, last, dropped FROM turns WHERE session = ?", (session_id,)).fetchone()
        by, last, dropped = found or ("", 0, 0)
        return by, newest + 1 if newest >= 0 else last, dropped

    def _events(self, key: int) -> list[list[str]]:
        rows = self._db.execute("SELECT symbols FROM events WHERE session = ? ORDER BY seq", (key,))
        return [json.loads(symbols) for (symbols,) in rows]

    async def _create(self, row: Row, guess: str, known: tuple[int, int]) -> Optional[Row]:
        with self._transaction():
            there = await self._look_user(row.user_id, guess, known)
            if there is not None:
                return there
            now = text_of(datetime.now(timezone.utc))
            if self._db.execute("SELECT count(*) FROM sessions WHERE expires > ?", (now,)).fetchone()[0] >= self._limit:
                raise TooManySessions
            values = (row.id, row.user_id, text_of(row.created), text_of(row.expires), to_json(row.metadata), "{}")
            fields = "id, user_id, created, expires, metadata, config"
            self._db.execute(f"INSERT INTO sessions ({fields}) VALUES (?, ?, ?, ?, ?, ?)", values)
        return row

    async def _peek(self, processor_id: str, version: str) -> tuple[str, Optional[tuple[bytes, bytes, bytes]]]:
        return self._processor(processor_id, version)

    def _processor(self, processor_id: str, version: str) -> tuple[str, Optional[tuple[bytes, bytes, bytes]]]:
        found = self._db.execute("SELECT version FROM processors WHERE id = ?", (processor_id,)).fetchone()
        now = found[0] if found else ""
        if now == version:
            return now, None
        query = "SELECT version, state, predictions, potentials FROM processors WHERE id = ?"
        kept = self._db.execute(query, (processor_id,)).fetchone() or ("", b"", b"", b"")
        return kept[0], kept[1:]

    # turns

    async def _begin(self, token: str, processor_id: str, version: str, session: SharedSession) -> Begun:
        await self._lock(_place(processor_id))
        try:
            now, parts = self._processor(processor_id, version)
            return Begun(now, parts, self._row("id = ?", session.known(), session.id))
        except BaseException:
            self._unlock(_place(processor_id))
            raise

    async def _lock(self, place: int) -> None:
        until, pause = time.monotonic() + PATIENCE, 0.0005
        while True:
            try:
                fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                break
            except OSError:
                if time.monotonic() > until:
                    raise Unavailable("Another request of this user takes too long") from None
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 0.01)

    def _unlock(self, place: int) -> None:
        fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, place)

    async def _write(self, written: Written) -> tuple[int, int]:
        session = written.session
        try:
            with self._transaction():
                if written.parts is not None:
                    values = (written.processor_id, written.token, *written.parts)
                    self._db.execute("INSERT OR REPLACE INTO processors VALUES (?, ?, ?, ?, ?)", values)
                found = self._db.execute("SELECT key FROM sessions WHERE id = ?", (session.id,)).fetchone()
                return self._write_events(found[0], written) if found else (0, 0)
        finally:
            self._unlock(_place(written.processor_id))

    def _write_events(self, key: int, written: Written) -> tuple[int, int]:
        session = written.session
        last, dropped = session.last + len(written.fresh), session.dropped
        if written.keep_from:
            self._db.execute("DELETE FROM events WHERE session = ? AND seq < ?", (key, written.keep_from - 1))
            dropped = 0 if written.keep_from > session.last else dropped
        rows = ((key, session.last + i, to_json(event)) for i, event in enumerate(written.fresh))
        self._db.executemany("INSERT INTO events VALUES (?, ?, ?)", rows)
        cut = self._db.execute("DELETE FROM events WHERE session = ? AND seq < ?", (key, last - MAX_EVENTS))
        dropped += cut.rowcount
        self._db.execute("INSERT OR REPLACE INTO turns VALUES (?, ?, ?, ?)", (session.id, written.token, last, dropped))
        return last, dropped

    async def _release(self, token: str, processor_id: str) -> None:
        self._unlock(_place(processor_id))

    # the rest

    async def _set_field(self, session: SharedSession, name: str, value: Any) -> None:
        text = text_of(value) if name == "expires" else to_json(value)
        self._db.execute(f"UPDATE sessions SET {name} = ? WHERE id = ?", (text, session.id))

    async def _remove(self, session: SharedSession) -> None:
        with self._transaction():
            self._drop_where("id = ?", session.id)

    def _drop_where(self, where: str, *values: str) -> int:
        """How many sessions that were."""
        chosen = f"FROM sessions WHERE {where}"
        self._db.execute(f"DELETE FROM events WHERE session IN (SELECT key {chosen})", values)
        self._db.execute(f"DELETE FROM turns WHERE session IN (SELECT id {chosen})", values)
        return self._db.execute(f"DELETE {chosen}", values).rowcount

    async def count(self) -> int:
        """From the file."""
        now = text_of(datetime.now(timezone.utc))
        return self._db.execute("SELECT count(*) FROM sessions WHERE expires > ?", (now,)).fetchone()[0]

    async def stats(self) -> dict:
        """From the file."""
        return session_stats(self._db)

    def sweep(self) -> None:
        """Remove what has expired."""
        with self._transaction():
            EXPIRED.inc(self._drop_where("expires <= ?", text_of(datetime.now(timezone.utc))))

    async def close(self) -> None:
        """Close both files."""
        self._db.close()
        os.close(self._locks)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _place(processor_id: str) -> int:
    return zlib.crc32(processor_id.encode("utf-8", "surrogatepass")) % LOCKS
