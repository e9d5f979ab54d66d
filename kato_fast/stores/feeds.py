"""Stores that another process's writes are not cheaply seen in hear of them by a feed.

``FedStore(store, feed, name)`` is that store; its pending() looks at a number that a thread keeps. A feed has no
patterns, only where there is something to fetch, so its order does not matter. What it loses is found when the thread
is back, which counts as news of everything, and after a second of silence in any case. While nothing is heard, the
store is asked as often as without a feed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Optional, Protocol

from kato_fast.stores import NO_NOTES, Apply, Change, Learned, Store

#: Names whose last news is remembered; more are news of everything.
NAMES = 10_000
#: Seconds without news after which the store is asked all the same: a writer may have failed to tell.
SILENT = 1.0


class News:
    """A number by name, which grows with everything that is heard of it. Written by one thread, read by all."""

    def __init__(self) -> None:
        self._count = self._all = 1  # all: the piece of news that was of everything
        self._by_name: dict[str, int] = {}

    def of(self, name: str) -> int:
        """The last one's number."""
        return max(self._all, self._by_name.get(name, 0))

    def heard(self, name: str) -> None:
        """Of a name."""
        self._count += 1
        self._by_name[name] = self._count
        if len(self._by_name) > NAMES:
            self.of_everything()

    def of_everything(self) -> None:
        """Of every name."""
        self._count += 1
        self._all = self._count
        self._by_name = {}


class Feed(Protocol):
    """One for all databases of a service."""

    kind: str
    #: Whether it hears at the moment.
    hears: bool
    #: Why the server will have none of it, where it said so.
    refused: Optional[str]

    def news(self, name: str) -> int:
        """Grows with everything that is heard of the name, and when hearing begins or begins again."""

    def tell(self, name: str) -> None:
        """Something was written there, by this process."""

    def close(self) -> None:
        """Hear no more."""


class Waiting(Store, Protocol):
    """A store that can be told to look."""

    #: Why it serves what it has, or None.
    trouble: Optional[Exception]

    def expect(self) -> None:
        """Somebody wrote: pending() says so before it is time."""


class FedStore:
    """The store protocol: the inner store's, with news from the feed. name: of its database there."""

    def __init__(self, store: Waiting, feed: Feed, name: str) -> None:
        self._store = store
        self._feed = feed
        self._name = name
        self._taken = self._noted = -1
        self._asked = 0.0
        self.lasting = getattr(store, "lasting", True)

    @property
    def inner(self) -> Any:
        """The inner store."""
        return self._store

    @property
    def trouble(self) -> Optional[Exception]:
        """The inner store's."""
        return self._store.trouble

    def pending(self) -> bool:
        """Whether something was heard since changes(); no question to any server."""
        news = self._feed.news(self._name)
        if news == self._taken and self._feed.hears and time.monotonic() - self._asked <= SILENT:
            return False
        if news != self._noted:
            self._noted = news
            self._store.expect()
        return self._store.pending()

    def changes(self) -> Iterator[Change]:
        """The inner store's."""
        news, asked = self._feed.news(self._name), time.monotonic()
        yield from self._store.changes()
        if self._store.trouble is None:
            self._taken, self._asked = news, asked

    def learn(
        self, batch: Callable[[], Sequence[Learned]], apply: Apply, notes: Mapping[str, str] = NO_NOTES
    ) -> Sequence[Learned]:
        """The inner store's, then the others are told."""
        return self._told(self._store.learn(batch, apply, notes))

    def forget(self, name: str, apply: Apply) -> bool:
        """The inner store's, then the others are told."""
        return self._told(self._store.forget(name, apply))

    def clear(self, apply: Apply) -> None:
        """The inner store's, then the others are told."""
        self._told(self._store.clear(apply))

    def _told(self, result: Any) -> Any:
        self._feed.tell(self._name)
        return result

    def note(self, key: str) -> Optional[str]:
        """The inner store's."""
        return self._store.note(key)

    def rewind(self) -> None:
        """The inner store's, and there is something to take in."""
        self._taken = -1
        self._store.rewind()

    def token(self) -> str:
        """The inner store's: that a write was told of is not that it was taken in."""
        return self._store.token()

    def reached(self, token: str) -> bool:
        """The inner store's; False has it asked without news."""
        found = self._store.reached(token)
        if not found:
            self._taken = -1
        return found

    def close(self) -> None:
        """The inner store; the feed belongs to who made it."""
        self._store.close()
