"""Where requests get sessions, and their turn at a processor: the same questions whether one process serves or many.

``OneProcess`` answers from its own memory and file. What several processes share is in ``kato_fast.service.shared``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Optional, Protocol

from kato_fast.service.sessions import Session, Sessions

if TYPE_CHECKING:
    from kato_fast.service.processor import Processor


class Desk(Protocol):
    """Use from the event loop's thread only. Calls may wait, so what was found before is looked at again in a turn."""

    async def find(self, session_id: str) -> Optional[Session]:
        """The unexpired session of that id, or None."""

    async def of_user(self, user_id: str) -> Optional[Session]:
        """The user's unexpired session, or None."""

    async def get_or_create(self, user_id: str, metadata: Mapping, ttl: Optional[int] = None) -> Session:
        """As ``Sessions.get_or_create``."""

    async def set_config(self, session: Session, config: dict) -> None:
        """Replace the configuration."""

    async def extend(self, session: Session, ttl: int) -> None:
        """New end: now plus ttl seconds."""

    async def delete(self, session: Session) -> None:
        """Remove the session and its short-term memory."""

    def turn(self, processor: Processor, session: Session, about: object = None) -> AbstractAsyncContextManager[None]:
        """Alone with the processor and the session, both as they now stand; what the block changes lasts after it.

        about: what the request asks for, by which one that is repeated after a failure is recognised.
        """

    def set_stm(self, session: Session, stm: Sequence[list[str]]) -> None:
        """Inside a turn: replace the short-term memory, cut to its latest events."""

    async def refresh(self, processor: Processor, session: Optional[Session] = None) -> None:
        """Both as they now stand, to be read."""

    async def count(self) -> int:
        """Number of unexpired sessions; as far as is known where that cannot be asked."""

    async def stats(self) -> dict:
        """The figures of ``GET /status``; as far as is known where they cannot be asked."""

    def sweep(self) -> None:
        """Remove what has expired."""

    async def close(self) -> None:
        """Release files and connections."""


class OneProcess:
    """Nobody else writes, so what is in memory is the truth."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.set_stm = sessions.set_stm
        self.sweep = sessions.sweep

    async def find(self, session_id: str) -> Optional[Session]:
        """From memory, else from the file."""
        return self.sessions.get(session_id)

    async def of_user(self, user_id: str) -> Optional[Session]:
        """From memory, else from the file."""
        return self.sessions.of_user(user_id)

    async def get_or_create(self, user_id: str, metadata: Mapping, ttl: Optional[int] = None) -> Session:
        """A new one goes to the file at once."""
        return self.sessions.get_or_create(user_id, metadata, ttl)

    async def set_config(self, session: Session, config: dict) -> None:
        """Memory and file."""
        self.sessions.set_config(session, config)

    async def extend(self, session: Session, ttl: int) -> None:
        """Memory and file."""
        self.sessions.extend(session, ttl)

    async def delete(self, session: Session) -> None:
        """Memory and file."""
        self.sessions.delete(session)

    def turn(self, processor: Processor, session: Session, about: object = None) -> AbstractAsyncContextManager[None]:
        """The processor's lock."""
        return processor.lock

    async def refresh(self, processor: Processor, session: Optional[Session] = None) -> None:
        """They are."""

    async def count(self) -> int:
        """From the file."""
        return self.sessions.count()

    async def stats(self) -> dict:
        """From the file."""
        return self.sessions.stats()

    async def close(self) -> None:
        """Close the file."""
        self.sessions.close()
