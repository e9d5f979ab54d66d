"""Sessions: short-term memory, configuration and expiry of a user, kept in SQLite (in memory without a folder).

A session object is the truth while the process lives; the file follows with one small transaction per change and serves
the next process. One process at a time owns the file. Use from the event loop's thread only.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from operator import is_
from typing import Optional

from kato_fast import observe
from kato_fast.stores.sqlite import to_json

_events = observe.counter("kato_fast_sessions_total", "Sessions, by what became of them.", ("event",))
CREATED, DELETED, EXPIRED = map(_events.labels, ("created", "deleted", "expired"))

#: KATO cuts a saved short-term memory to its latest events.
MAX_EVENTS = 1000
DEFAULT_TTL = 3600

SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL, created TEXT NOT NULL,
    expires TEXT NOT NULL, metadata TEXT NOT NULL, config TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS sessions_user ON sessions (user_id);
CREATE INDEX IF NOT EXISTS sessions_expires ON sessions (expires);
CREATE TABLE IF NOT EXISTS events (
    session INTEGER NOT NULL, seq INTEGER NOT NULL, symbols TEXT NOT NULL, PRIMARY KEY (session, seq)) WITHOUT ROWID;
"""
_FIELDS = "key, id, user_id, created, expires, metadata, config"


class Session:
    """One session. ``stm`` is never changed in place, so whoever holds it holds a snapshot."""

    __slots__ = (
        "key",
        "id",
        "user_id",
        "created",
        "expires",
        "ends",
        "metadata",
        "config",
        "stm",
        "first",
        "seen",
        "gone",
    )

    def __init__(self, key: int, id: str, user_id: str, created: datetime, expires: datetime, metadata, config) -> None:
        self.key = key
        self.id = id
        self.user_id = user_id
        self.created = created
        self.metadata: dict = metadata
        self.config: dict = config
        self.stm: Sequence[list[str]] = []
        self.first = 0  # the number of stm[0] in the file
        self.seen = time.monotonic()
        self.gone = False  # deleted; what a running request still saves is dropped
        self.expire_at(expires)

    def expire_at(self, moment: datetime) -> None:
        """Expiry is absolute; access does not prolong it."""
        self.expires = moment
        self.ends = moment.timestamp()

    def remaining(self) -> int:
        """Whole seconds of life, not below 0."""
        return max(0, int((self.expires - _now()).total_seconds()))

    def symbols(self) -> int:
        """Number of symbols in the short-term memory."""
        return sum(map(len, self.stm))


class TooManySessions(Exception):
    """The limit of unexpired sessions is reached."""


class Sessions:
    """All sessions of a service.

    path: SQLite file, or None to keep them in memory. limit: most unexpired sessions.
    """

    #: Objects unused for this many seconds leave memory; the file keeps them.
    FORGET_AFTER = 600

    def __init__(self, path: Optional[str], limit: int) -> None:
        self._limit = limit
        self._by_id: dict[str, Session] = {}
        self._by_user: dict[str, Session] = {}
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False, timeout=5)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        self._count = self.count()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # finding

    def get(self, session_id: str) -> Optional[Session]:
        """The unexpired session of that id, or None."""
        session = self._by_id.get(session_id)
        if session is None:
            session = self._load("id = ?", session_id)
        return self._live(session)

    def of_user(self, user_id: str) -> Optional[Session]:
        """The user's unexpired session, or None."""
        session = self._by_user.get(user_id)
        if session is None:
            session = self._load("user_id = ? AND expires > ? ORDER BY key", user_id, text_of(_now()))
        return self._live(session)

    def get_or_create(self, user_id: str, metadata: Mapping, ttl: Optional[int] = None) -> Session:
        """The user's unexpired session, else a new one. ttl in seconds; None or 0: an hour; negative: expired at once.

        Raises OverflowError where the end lies beyond what dates can say, TooManySessions at the limit.
        """
        session = self.of_user(user_id)
        return session if session is not None else self._create(user_id, metadata, ttl)

    def count(self) -> int:
        """Number of unexpired sessions."""
        return self._one("SELECT count(*) FROM sessions WHERE expires > ?", text_of(_now()))

    def stats(self) -> dict:
        """The figures of ``GET /status``."""
        return session_stats(self._db)

    # changing

    def set_stm(self, session: Session, stm: Sequence[list[str]]) -> None:
        """Replace the short-term memory, cut to its latest events; the file gets only what differs."""
        stm = stm[-MAX_EVENTS:]
        gone, kept = overlap(session.stm, stm)
        if session.gone or (gone == 0 and kept == len(stm) == len(session.stm)):
            return
        first = session.first + gone
        fresh = [(session.key, first + i, to_json(stm[i])) for i in range(kept, len(stm))]
        with _Transaction(self._db, needed=gone > 0 or len(fresh) > 1):
            if gone:
                self._db.execute("DELETE FROM events WHERE session = ? AND seq < ?", (session.key, first))
            for row in fresh:  # nearly always one
                self._db.execute("INSERT INTO events VALUES (?, ?, ?)", row)
        session.stm = stm
        session.first = first

    def set_config(self, session: Session, config: dict) -> None:
        """Replace the configuration."""
        self._db.execute("UPDATE sessions SET config = ? WHERE key = ?", (to_json(config), session.key))
        session.config = config

    def extend(self, session: Session, ttl: int) -> None:
        """New end: now plus ttl seconds. Raises OverflowError beyond what dates can say."""
        expires = _now() + timedelta(seconds=ttl)
        self._db.execute("UPDATE sessions SET expires = ? WHERE key = ?", (text_of(expires), session.key))
        session.expire_at(expires)

    def delete(self, session: Session, why: observe.Counter = DELETED) -> None:
        """Remove the session and its short-term memory. why: what counts it."""
        with _Transaction(self._db):
            self._db.execute("DELETE FROM events WHERE session = ?", (session.key,))
            self._db.execute("DELETE FROM sessions WHERE key = ?", (session.key,))
        why.inc()
        session.gone = True
        self._drop(session)
        self._count = self.count()

    def sweep(self) -> None:
        """Remove expired sessions; let unused objects go."""
        now = text_of(_now())
        with _Transaction(self._db):
            self._db.execute(
                "DELETE FROM events WHERE session IN (SELECT key FROM sessions WHERE expires <= ?)", (now,)
            )
            EXPIRED.inc(self._db.execute("DELETE FROM sessions WHERE expires <= ?", (now,)).rowcount)
        old = time.monotonic() - self.FORGET_AFTER
        for session in list(self._by_id.values()):
            session.gone = session.ends <= time.time()
            if session.gone or session.seen < old:
                self._drop(session)
        self._count = self.count()

    # inside

    def _live(self, session: Optional[Session]) -> Optional[Session]:
        if session is None:
            return None
        if session.ends < time.time():
            self.delete(session, EXPIRED)
            return None
        session.seen = time.monotonic()
        return session

    def _create(self, user_id: str, metadata: Mapping, ttl: Optional[int]) -> Session:
        now = _now()
        expires = now + timedelta(seconds=ttl or DEFAULT_TTL)
        if self._count >= self._limit:
            self.sweep()
            if self._count >= self._limit:
                raise TooManySessions
        session_id = new_session_id()
        row = (session_id, user_id, text_of(now), text_of(expires), to_json(metadata), "{}")
        cursor = self._db.execute(
            "INSERT INTO sessions (id, user_id, created, expires, metadata, config) VALUES (?, ?, ?, ?, ?, ?)", row
        )
        self._count += 1
        CREATED.inc()
        return self._hold(Session(cursor.lastrowid, session_id, user_id, now, expires, dict(metadata), {}))

    def _load(self, where: str, *values: str) -> Optional[Session]:
        row = self._db.execute(f"SELECT {_FIELDS} FROM sessions WHERE {where} LIMIT 1", values).fetchone()
        if row is None:
            return None
        key, session_id, user_id, created, expires, metadata, config = row
        known = self._by_id.get(session_id)
        if known is not None:
            return self._hold(known)
        metadata, config = json.loads(metadata), json.loads(config)
        session = Session(key, session_id, user_id, moment_of(created), moment_of(expires), metadata, config)
        events = self._db.execute("SELECT seq, symbols FROM events WHERE session = ? ORDER BY seq", (key,)).fetchall()
        session.first = events[0][0] if events else 0
        session.stm = [json.loads(symbols) for _, symbols in events]
        return self._hold(session)

    def _hold(self, session: Session) -> Session:
        self._by_id[session.id] = session
        if session.ends > time.time():
            self._by_user[session.user_id] = session
        return session

    def _drop(self, session: Session) -> None:
        self._by_id.pop(session.id, None)
        if self._by_user.get(session.user_id) is session:
            del self._by_user[session.user_id]

    def _one(self, query: str, *values: str) -> int:
        return self._db.execute(query, values).fetchone()[0]


def session_stats(db: sqlite3.Connection) -> dict:
    """The figures of ``GET /status``, from a sessions' file."""

    def one(query: str, *values: str) -> int:
        return db.execute(query, values).fetchone()[0]

    now = text_of(_now())
    total = one("SELECT count(*) FROM sessions")
    active = one("SELECT count(*) FROM sessions WHERE expires > ?", now)
    users = one("SELECT count(DISTINCT user_id) FROM sessions WHERE expires > ?", now)
    events = one("SELECT count(*) FROM events JOIN sessions ON key = session WHERE expires > ?", now)
    return {
        "total_sessions": total,
        "active_sessions": active,
        "expired_sessions": total - active,
        "users_with_sessions": users,
        "average_stm_size": events / max(active, 1),
        "total_stm_events": events,
    }


class _Transaction:
    """All statements of the block or none; nothing to do for a single statement."""

    def __init__(self, db: sqlite3.Connection, needed: bool = True) -> None:
        self._db = db
        self._needed = needed

    def __enter__(self) -> None:
        if self._needed:
            self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, exc_type, *_) -> None:
        if self._needed:
            self._db.execute("COMMIT" if exc_type is None else "ROLLBACK")


def new_session_id() -> str:
    """KATO's form: 32 hex digits and the moment in milliseconds."""
    return f"session-{uuid.uuid4().hex}-{int(time.time() * 1000)}"


def overlap(old: Sequence, new: Sequence) -> tuple[int, int]:
    """How many events of old are gone at its front, and with how many of the rest new begins; all by identity."""
    if new and old:
        head = new[0]
        for gone, event in enumerate(old):
            if event is head:
                kept = len(old) - gone
                if kept <= len(new) and all(map(is_, old[gone:], new)):
                    return gone, kept
                break
    return len(old), 0


def _now() -> datetime:
    return datetime.now(timezone.utc)


def text_of(moment: datetime) -> str:
    """Fixed width, so that the order of texts is that of moments."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f").zfill(26)


def moment_of(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=timezone.utc)
