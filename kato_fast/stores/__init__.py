"""Where patterns last. One protocol; a store commits before the engine learns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Optional, Protocol, Union

from kato_fast.emotives import Stored


@dataclass(frozen=True)
class Learned:
    """One learn to be written.

    emotives: the new stored list, whose last map is the one that this learn adds; None leaves what is there.
    persistence: how many maps are kept, for a store that adds to the list by itself.
    """

    name: str
    events: list[list[str]]
    emotives: Stored
    persistence: int = 0


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


@dataclass(frozen=True)
class Feed:
    """Many patterns, as they now stand. into(engine) puts them there and says True, or False where it cannot; then
    puts() gives them one by one.
    """

    into: Callable[[Any], bool]
    puts: Callable[[], Iterator[Put]]


Change = Union[Put, Feed, Forgotten, Cleared]
Apply = Callable[[Change], None]


#: Key of a note: "kept" where events were learned whose symbols are not sorted, so that the service must not sort.
SYMBOL_ORDER = "symbol-order"

#: Of a learn without any.
NO_NOTES: Mapping[str, str] = MappingProxyType({})


class Store(Protocol):
    """What KnowledgeBase needs. Calls come one at a time; pending() and note() may come beside them, from any thread.

    What batch() or apply() raises passes through; the transaction is rolled back then.
    """

    def pending(self) -> bool:
        """Whether changes() may have something to yield; microseconds, asked before every read."""

    def changes(self) -> Iterator[Change]:
        """What happened since the last call; the first call yields every pattern, in learning order.

        Patterns that are new come in learning order, after the Forgotten. Read it to the end, or call rewind().
        """

    def learn(
        self, batch: Callable[[], Sequence[Learned]], apply: Apply, notes: Mapping[str, str] = NO_NOTES
    ) -> Sequence[Learned]:
        """One transaction: begin, hand others' changes to apply, ask batch() what to write, commit, return it.

        batch() runs inside the transaction, when the engine is up to date. notes: kept with it, for note().
        """

    def note(self, key: str) -> Optional[str]:
        """What a learn last stored under that key, by any process; None where nothing was, or after clear()."""

    def forget(self, name: str, apply: Apply) -> bool:
        """Remove one pattern with all that it added to the counters; False where there is none."""

    def clear(self, apply: Apply) -> None:
        """Remove everything, the notes too."""

    def rewind(self) -> None:
        """The engine may have missed something: the next changes() begins with Cleared and yields everything."""

    def token(self) -> str:
        """Names every write that the engine has by now, for reached() in another process; never waits."""

    def reached(self, token: str) -> bool:
        """Whether changes() has yielded what the token names; never waits. False makes the next changes() look for it.

        Raises ValueError for what no token() of such a store can be.
        """

    def close(self) -> None:
        """Release files and connections; a second call does nothing."""


METHODS = ("pending", "changes", "learn", "note", "forget", "clear", "rewind", "token", "reached", "close")


def is_number(text: str) -> bool:
    """Whether it is the token of a store that counts its writes."""
    return text.isascii() and text.isdigit() and len(text) < 20


def no_token(text: str) -> ValueError:
    """The error of reached()."""
    return ValueError(f"token must be one that a write gave, not {text[:60]!r}")


def open_store(store: Union[None, str, os.PathLike, Store]) -> Store:
    """The store that KnowledgeBase(store=) means: None in memory, a path, MongoDB's address, or an object as it is."""
    if store is None:
        from kato_fast.stores.memory import MemoryStore

        return MemoryStore()
    if isinstance(store, (str, os.PathLike)):
        path = os.fspath(store)
        if isinstance(path, str) and path.startswith(("mongodb://", "mongodb+srv://")):
            from kato_fast.stores.mongo import MongoStore

            return MongoStore(path)
        if isinstance(path, str) and "://" in path:
            scheme = path.split("://")[0]
            raise ValueError(f"store must be a file path or a Store object, not an address: {scheme}://...")
        from kato_fast.stores.sqlite import SqliteStore

        return SqliteStore(path)
    for method in METHODS:
        if not callable(getattr(store, method, None)):
            kind = type(store).__name__
            raise TypeError(f"store must have the methods of kato_fast.stores.Store; {kind} lacks {method}")
    return store
