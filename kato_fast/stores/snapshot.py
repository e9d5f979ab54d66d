"""What lies under a knowledge base that was opened from a snapshot: nothing to take in, nothing to write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NoReturn, Optional

from kato_fast.stores import NO_NOTES, Apply, Change, Learned


class SnapshotStore:
    """The store of ``KnowledgeBase.open``: whatever writes raises ValueError. Notes are not part of a snapshot."""

    def pending(self) -> bool:
        """The file never changes."""
        return False

    def changes(self) -> Iterator[Change]:
        """The file never changes."""
        return iter(())

    def learn(
        self, batch: Callable[[], Sequence[Learned]], apply: Apply, notes: Mapping[str, str] = NO_NOTES
    ) -> NoReturn:
        """Raises ValueError."""
        _refuse()

    def note(self, key: str) -> Optional[str]:
        """There is none."""
        return None

    def forget(self, name: str, apply: Apply) -> NoReturn:
        """Raises ValueError."""
        _refuse()

    def clear(self, apply: Apply) -> NoReturn:
        """Raises ValueError."""
        _refuse()

    def rewind(self) -> None:
        """Nothing to read again."""

    def token(self) -> str:
        """Nothing is ever written."""
        return "0"

    def reached(self, token: str) -> bool:
        """Nobody writes what could be missing."""
        return True

    def close(self) -> None:
        """The mapping goes with the engine and the last of its results."""


def _refuse() -> NoReturn:
    raise ValueError("the knowledge base is a read-only snapshot")
