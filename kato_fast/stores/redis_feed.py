"""News of writes over a Redis stream, for stores that another process's writes are not cheaply seen in.

``FedStore(store, feed, name)`` is that store; its pending() looks at a number that a thread keeps. The stream has no
patterns, only where there is something to fetch, so its order does not matter. What it loses is found when the thread
is back, which counts as news of everything, and after a second of silence in any case. While nothing is heard, the
store is asked as often as without a feed.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, Protocol

from kato_fast import observe
from kato_fast.redis_client.errors import RedisError
from kato_fast.stores import NO_NOTES, Apply, Change, Learned, Store

if TYPE_CHECKING:
    from kato_fast.redis_client import Client

log = logging.getLogger("kato_fast")

#: Entries kept; a reader that comes back to so many may have missed more.
KEPT = 1000
#: Names whose last news is remembered; more are news of everything.
NAMES = 10_000
#: Seconds of one waiting at the server, and between tries where there is none.
WAIT, AGAIN = 1.0, 0.1
#: Seconds without news after which the store is asked all the same: a writer may have failed to tell.
SILENT = 1.0

UNTOLD = observe.counter("kato_fast_feed_untold_total", "Writes of which other processes could not be told.")


class RedisFeed:
    """One stream for all databases of a service, heard by a thread.

    client: with a connection to spare for it; closed by who opened it, after the feed.
    """

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._key = f"kato_fast:feed:{name}"
        self._origin = uuid.uuid4().hex  # what this process wrote is no news to it
        self._last = "0-0"
        self._count = self._all = 1  # all: the piece of news that was of everything
        self._by_name: dict[str, int] = {}
        self._closed = False
        #: Whether the thread hears at the moment.
        self.hears = False
        self._thread = threading.Thread(target=self._listen, name="kato-fast-feed", daemon=True)
        self._thread.start()

    def news(self, name: str) -> int:
        """Grows with everything that is heard of the name from others, and when hearing begins or begins again."""
        return max(self._all, self._by_name.get(name, 0))

    def tell(self, name: str) -> None:
        """Something was written there; where nobody can be told, that is counted."""
        try:
            self._client.command("XADD", self._key, "MAXLEN", "~", KEPT, "*", "w", name, "o", self._origin)
        except RedisError as error:
            UNTOLD.labels().inc()
            log.warning("other processes were not told of a write, and will find it later: %s", error)

    def close(self) -> None:
        """End the thread; it is left alone where the server keeps it waiting."""
        self._closed = True
        if self.hears:
            self.tell("")  # wakes it
        self._thread.join(WAIT)

    def _listen(self) -> None:
        while not self._closed:
            try:
                if not self.hears:
                    self._catch_up()
                block = ["BLOCK", int(WAIT * 1000)]
                reply = self._client.command("XREAD", *block, "STREAMS", self._key, self._last, timeout=WAIT + 1)
                if reply:
                    self._hear(reply[0][1])
            except (RedisError, TypeError, ValueError, IndexError, AttributeError):
                self.hears = False
                time.sleep(AGAIN)

    def _catch_up(self) -> None:
        """From now on; what came before counts as one piece of news, of everything."""
        newest = self._client.command("XREVRANGE", self._key, "+", "-", "COUNT", 1)
        self._last = newest[0][0].decode() if newest else "0-0"
        self._of_everything()
        self.hears = True

    def _hear(self, entries: list) -> None:
        for entry, (_, name, _, origin) in entries:
            self._last = entry.decode()
            if origin.decode() != self._origin:
                self._count += 1
                self._by_name[name.decode()] = self._count
        if len(entries) >= KEPT or len(self._by_name) > NAMES:
            self._of_everything()

    def _of_everything(self) -> None:
        self._count += 1
        self._all = self._count
        self._by_name = {}


class Waiting(Store, Protocol):
    """A store that can be told to look."""

    #: Why it serves what it has, or None.
    trouble: Optional[Exception]

    def expect(self) -> None:
        """Somebody wrote: pending() says so before it is time."""


class FedStore:
    """The store protocol: the inner store's, with news from the feed. name: of its database there."""

    def __init__(self, store: Waiting, feed: RedisFeed, name: str) -> None:
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
