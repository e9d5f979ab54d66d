"""Where patterns last. One protocol; a store commits before the engine learns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Optional, Protocol, Union

from kato_fast.emotives import Stored


@dataclass(frozen=True)
class Learned:
    """One learn to be written. emotives: the new stored list, or None to leave what is there."""

    name: str
    events: list[list[str]]
    emotives: Stored


@dataclass(frozen=True)
class Put:
    """A pattern as it now stands in the store."""

    name: str
    events: list[list[str]]
    frequency: int
    emotives: Stored


@dataclass(frozen=True)
class Forgotten:
    """A pattern that is gone."""

    name: str


@dataclass(frozen=True)
class Cleared:
    """Everything is gone."""


Change = Union[Put, Forgotten, Cleared]
Apply = Callable[[Change], None]


class Store(Protocol):
    """What KnowledgeBase needs. Calls come one at a time, except changes(), which is safe beside them."""

    def pending(self) -> bool:
        """Whether changes() may have something to yield; microseconds, asked before every read."""

    def changes(self) -> Iterator[Change]:
        """What happened since the last call; the first call yields every pattern, in learning order."""

    def learn(self, batch: Callable[[], Sequence[Learned]], apply: Apply) -> Sequence[Learned]:
        """One transaction: begin, hand others' changes to apply, ask batch() what to write, commit, return it.

        batch() runs inside the transaction, when the engine is up to date; what it raises rolls back.
        """

    def forget(self, name: str, apply: Apply) -> bool:
        """Remove one pattern with all that it added to the counters; False where there is none."""

    def clear(self, apply: Apply) -> None:
        """Remove everything."""

    def rewind(self) -> None:
        """The engine may have missed something: the next changes() begins with Cleared and yields everything."""

    def close(self) -> None:
        """Release files and connections; a second call does nothing."""


def open_store(store: Union[None, str, os.PathLike, Store]) -> Store:
    """The store that KnowledgeBase(store=) means: None in memory, a path an SQLite file, or an object as it is."""
    if store is None:
        from kato_fast.stores.memory import MemoryStore

        return MemoryStore()
    if isinstance(store, (str, os.PathLike)):
        path = os.fspath(store)
        if isinstance(path, str) and "://" in path:
            raise ValueError(f"store must be a file path or a Store object, not an address: {path.split('://')[0]}://...")
        from kato_fast.stores.sqlite import SqliteStore

        return SqliteStore(path)
    missing = [m for m in ("pending", "changes", "learn", "forget", "clear", "rewind", "close") if not hasattr(store, m)]
    if missing:
        raise TypeError(f"store must have the methods of kato_fast.stores.Store; {type(store).__name__} lacks {missing[0]}")
    return store
