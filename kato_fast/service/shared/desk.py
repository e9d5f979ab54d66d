"""A desk for several processes: how a turn goes, whatever keeps the things.

A turn takes the processor's lock (one holder over all processes), brings processor and session up to date, lets the
block work on them, and writes what changed in one step that also gives the lock back. A turn whose write fails has
changed nothing but what it learned; its *operation*, told to the store with the learn, lets a repeated request find
that done and not do it again. A holder that dies loses the lock after a while; one that only was slow finds its write
refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Optional

from kato_fast.service.sessions import CREATED, DELETED, MAX_EVENTS, Session, new_session_id, overlap
from kato_fast.service.shared.carried import carried, carry

if TYPE_CHECKING:
    from kato_fast.service.processor import Processor

#: Sessions of which a process remembers the short-term memory, to be asked only whether it changed.
REMEMBERED = 10_000

#: The number of the newest event, and the events; never changed in place.
Memory = tuple[int, Sequence[list[str]]]
NOTHING: Memory = (0, ())


class SharedSession(Session):
    """A session as one request found it."""

    __slots__ = ("last", "dropped", "by", "before")

    def __init__(self, row: Row, events: Sequence[list[str]]) -> None:
        super().__init__(0, row.id, row.user_id, row.created, row.expires, row.metadata, row.config)
        self.stm = self.before = events  # before: as it is kept
        self.take(row)

    def take(self, row: Row) -> None:
        """Become what the row says."""
        self.expire_at(row.expires)
        self.config, self.by = row.config, row.by  # by: the turn that wrote last
        self.last, self.dropped = row.last, row.dropped  # the number of the newest event; what the limit took
        if row.events is not None:
            self.stm = self.before = row.events

    def known(self) -> tuple[int, int]:
        """What tells the short-term memory from every other of this session."""
        return self.last, len(self.before)


@dataclass
class Row:
    """A session as it is kept. events: None where they are what the asker knows."""

    id: str
    user_id: str
    created: datetime
    expires: datetime
    metadata: dict
    config: dict
    by: str
    last: int
    dropped: int
    events: Optional[list[list[str]]]


@dataclass
class Begun:
    """What a turn begins with. parts: None where the version is the one asked with. row: None for no such session."""

    version: str
    parts: Optional[tuple[bytes, bytes, bytes]]
    row: Optional[Row]


@dataclass
class Written:
    """What a turn leaves. parts: None where nothing of the processor changed; of events, the fresh ones.

    same_texts: all but the first part are what is kept already.
    """

    token: str
    processor_id: str
    session: SharedSession
    parts: Optional[tuple[bytes, bytes, bytes]]
    same_texts: bool
    keep_from: int
    fresh: list[list[str]]

    @property
    def empty(self) -> bool:
        return self.parts is None and not self.fresh and not self.keep_from


class SharedDesk(ABC):
    """The protocol of ``kato_fast.service.desk.Desk``; subclasses keep the things."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._memories: OrderedDict[str, Memory] = OrderedDict()
        self._users: dict[str, str] = {}

    # what subclasses do

    @abstractmethod
    async def _look(self, session_id: str, known: tuple[int, int]) -> Optional[Row]:
        """The session as it is kept; None where there is none. known: what this process has of it."""

    @abstractmethod
    async def _look_user(self, user_id: str, guess: str, known: tuple[int, int]) -> Optional[Row]:
        """The session of a user, which may be the guess."""

    @abstractmethod
    async def _create(self, row: Row, guess: str, known: tuple[int, int]) -> Row:
        """The user's session if there is one by now, else that row. Raises TooManySessions."""

    @abstractmethod
    async def _begin(self, token: str, processor_id: str, version: str, session: SharedSession) -> Begun:
        """Take the lock and look; waits for it. Raises Unavailable where that takes too long."""

    @abstractmethod
    async def _peek(self, processor_id: str, version: str) -> tuple[str, Optional[tuple[bytes, bytes, bytes]]]:
        """The version of what the processor has, and that where it is another one."""

    @abstractmethod
    async def _write(self, written: Written) -> tuple[int, int]:
        """Write and give the lock back: last, dropped. Raises Unavailable where it did not happen."""

    @abstractmethod
    async def _release(self, token: str, processor_id: str) -> None:
        """Give the lock back without a write."""

    @abstractmethod
    async def _set_field(self, session: SharedSession, name: str, value: Any) -> None:
        """name: config or expires."""

    @abstractmethod
    async def _remove(self, session: SharedSession) -> None:
        """Delete it."""

    # finding

    async def find(self, session_id: str) -> Optional[Session]:
        """As it is kept now."""
        memory = self._memories.get(session_id, NOTHING)
        return self._session(await self._look(session_id, _known(memory)), memory)

    async def of_user(self, user_id: str) -> Optional[Session]:
        """As it is kept now."""
        guess, memory = self._guess(user_id)
        return self._session(await self._look_user(user_id, guess, _known(memory)), memory)

    async def get_or_create(self, user_id: str, metadata: Mapping, ttl: Optional[int] = None) -> Session:
        """One, however many processes make it at the same time."""
        now = datetime.now(timezone.utc)
        expires = now + timedelta(seconds=ttl or 3600)
        row = Row(new_session_id(), user_id, now, expires, dict(metadata), {}, "", 0, 0, [])
        guess, memory = self._guess(user_id)
        session = self._session(await self._create(row, guess, _known(memory)), memory)
        if session is None or session.id == row.id:
            CREATED.inc()
        return SharedSession(row, []) if session is None else session  # expired at once

    def _guess(self, user_id: str) -> tuple[str, Memory]:
        guess = self._users.get(user_id, "")
        return guess, self._memories.get(guess, NOTHING)

    def _session(self, row: Optional[Row], memory: Memory) -> Optional[SharedSession]:
        """An object of this request's own, so that no other request works on it."""
        if row is None or row.expires.timestamp() < time.time():
            return None
        session = SharedSession(row, memory[1] if row.events is None else row.events)
        self._remember(session)
        return session

    def _remember(self, session: SharedSession) -> None:
        self._memories[session.id] = (session.last, session.before)
        self._memories.move_to_end(session.id)
        self._users[session.user_id] = session.id
        while len(self._memories) > REMEMBERED:
            self._memories.popitem(last=False)
        if len(self._users) > 2 * REMEMBERED:
            self._users.clear()

    # changing

    async def set_config(self, session: Session, config: dict) -> None:
        """Replace the configuration."""
        assert isinstance(session, SharedSession)
        await self._set_field(session, "config", config)
        session.config = config

    async def extend(self, session: Session, ttl: int) -> None:
        """New end: now plus ttl seconds."""
        assert isinstance(session, SharedSession)
        expires = datetime.now(timezone.utc) + timedelta(seconds=ttl)
        await self._set_field(session, "expires", expires)
        session.expire_at(expires)

    async def delete(self, session: Session) -> None:
        """Remove the session."""
        assert isinstance(session, SharedSession)
        await self._remove(session)
        DELETED.inc()
        session.gone = True
        self._memories.pop(session.id, None)

    # turns

    def set_stm(self, session: Session, stm: Sequence[list[str]]) -> None:
        """Written at the end of the turn."""
        session.stm = stm

    @asynccontextmanager
    async def turn(self, processor: Processor, session: Session, about: object = None) -> AsyncIterator[None]:
        """Alone with both. about: what the request asks for; the same again in the same state is the same operation."""
        assert isinstance(session, SharedSession)
        async with processor.lock:
            token = secrets.token_hex(8)
            begun = await self._begin(token, processor.id, processor.version, session)
            try:
                self._start(processor, session, begun, about)
                await processor.catch_up()
                yield
            finally:
                await asyncio.shield(self._finish(processor, session, token))

    def _start(self, processor: Processor, session: SharedSession, begun: Begun, about: object) -> None:
        if begun.parts is not None:
            carry(processor, *begun.parts)
            processor.carried = begun.parts
        processor.version = begun.version
        session.gone = begun.row is None
        if begun.row is not None:
            session.take(begun.row)
        if session.config:
            processor.apply(session.config)
        processor.operation = f"{session.id}:{session.by}:{_digest(about)}"
        processor.learns = 0

    async def _finish(self, processor: Processor, session: SharedSession, token: str) -> None:
        """Write what is another than at the start; nothing is, where the start failed."""
        try:
            written = self._changes(processor, session, token)
            if written.empty:
                await self._release(token, processor.id)
                return
            session.last, session.dropped = await self._write(written)
        except BaseException:
            self._forget(processor, session)
            raise
        session.stm = session.before = session.stm[-MAX_EVENTS:]
        session.by = token
        self._remember(session)
        if written.parts is not None:
            processor.carried, processor.version = written.parts, token

    @staticmethod
    def _changes(processor: Processor, session: SharedSession, token: str) -> Written:
        parts = carried(processor)
        gone, kept = overlap(session.before, session.stm)
        fresh = [list(event) for event in session.stm[kept:]][-MAX_EVENTS:]
        keep_from = session.last - len(session.before) + 1 + gone if gone else 0
        changed = parts != processor.carried or processor.learns > 0
        same_texts = parts[1:] == processor.carried[1:]
        return Written(token, processor.id, session, parts if changed else None, same_texts, keep_from, fresh)

    def _forget(self, processor: Processor, session: SharedSession) -> None:
        """What is in memory here is not what is kept: look again next time."""
        processor.version = "?"  # no version is called that
        self._memories.pop(session.id, None)

    async def refresh(self, processor: Processor, session: Optional[Session] = None) -> None:
        """The processor as it is kept, unless somebody here is working with it."""
        async with processor.lock:
            version, parts = await self._peek(processor.id, processor.version)
            if parts is not None:
                carry(processor, *parts)
                processor.carried = parts
            processor.version = version
            await processor.catch_up()


def _known(memory: Memory) -> tuple[int, int]:
    return memory[0], len(memory[1])


def _digest(about: object) -> str:
    """A short name of what a request asks for."""
    text = json.dumps(about, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
