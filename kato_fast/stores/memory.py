"""Nothing lasts: the engine itself is the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Optional

from kato_fast.stores import NO_NOTES, Apply, Change, Learned, is_number, no_token


class MemoryStore:
    """The store of a knowledge base that lives as long as its process."""

    #: So the engine may learn without asking the store; every other store is taken to last.
    lasting = False

    def __init__(self) -> None:
        self._notes: dict[str, str] = {}

    def pending(self) -> bool:
        """There is no other writer."""
        return False

    def changes(self) -> Iterator[Change]:
        """There is no other writer."""
        return iter(())

    def learn(
        self, batch: Callable[[], Sequence[Learned]], apply: Apply, notes: Mapping[str, str] = NO_NOTES
    ) -> Sequence[Learned]:
        """Nothing to write but the notes; the engine learns what batch() returns."""
        learned = batch()
        self._notes.update(notes)
        return learned

    def note(self, key: str) -> Optional[str]:
        """What was last stored under that key."""
        return self._notes.get(key)

    def forget(self, name: str, apply: Apply) -> bool:
        """The engine knows whether there is one."""
        return True

    def clear(self, apply: Apply) -> None:
        """Nothing to remove but the notes."""
        self._notes.clear()

    def rewind(self) -> None:
        """Nothing to read again."""

    def token(self) -> str:
        """There is no other process that could be behind."""
        return "0"

    def reached(self, token: str) -> bool:
        """As a file's, so that a service may be given a folder later."""
        if not is_number(token):
            raise no_token(token)
        return True

    def close(self) -> None:
        """Nothing to release."""
