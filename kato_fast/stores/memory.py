"""Nothing lasts: the engine itself is the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kato_fast.stores import Apply, Change, Learned


class MemoryStore:
    """The store of a knowledge base that lives as long as its process."""

    def pending(self) -> bool:
        """There is no other writer."""
        return False

    def changes(self) -> Iterator[Change]:
        """There is no other writer."""
        return iter(())

    def learn(self, batch: Callable[[], Sequence[Learned]], apply: Apply) -> Sequence[Learned]:
        """Nothing to write; the engine learns what batch() returns."""
        return batch()

    def forget(self, name: str, apply: Apply) -> bool:
        """The engine knows whether there is one."""
        return True

    def clear(self, apply: Apply) -> None:
        """Nothing to remove."""

    def rewind(self) -> None:
        """Nothing to read again."""

    def close(self) -> None:
        """Nothing to release."""
