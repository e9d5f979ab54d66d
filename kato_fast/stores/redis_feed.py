"""News of writes over a Redis stream, for stores that cannot cheaply be asked whether another process wrote.

``FedStore(store, feed)`` is that store; its pending() looks at a number that a thread keeps. The stream carries no
patterns, only that there is something to fetch, so its order does not matter. What it loses is found when the thread is
back, which counts as news, and after a second of silence in any case.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional

from kato_fast import observe
from kato_fast.redis_client.errors import RedisError
from kato_fast.stores import NO_NOTES, Apply, Change, Learned, Store

if TYPE_CHECKING:
    from kato_fast.redis_client import Client

log = logging.getLogger("kato_fast")

#: Entries kept; a reader that missed more takes it as news.
KEPT = 1000
#: Seconds of one waiting at the server, and between tries where there is none.
WAIT, AGAIN = 1.0, 0.1
#: Seconds without news after which the store is asked all the same: a writer may have failed to tell.
SILENT = 1.0

UNTOLD = observe.counter("kato_fast_feed_untold_total", "Writes of which other processes could not be told.")


class RedisFeed:
    """One stream, heard by a thread. client: with a connection to spare for it; closed by who opened it."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._key = f"kato_fast:feed:{name}"
        self._heard = threading.Condition()
        self._last = "0-0"
        self._news = 0
        self._closed = False
        self._thread = threading.Thread(target=self._listen, name="kato-fast-feed", daemon=True)
        self._thread.start()

    @property
    def news(self) -> int:
        """Grows with everything that is heard, and when hearing begins or begins again."""
        return self._news

    def tell(self) -> str:
        """Something was written: the token of it, "" where nobody could be told."""
        try:
            return self._client.command("XADD", self._key, "MAXLEN", "~", KEPT, "*", "w", "1").decode()
        except RedisError as error:
            UNTOLD.labels().inc()
            log.warning("other processes were not told of a write, and will find it later: %s", error)
            return ""

    def wait_for(self, token: str, seconds: float = 0.5) -> bool:
        """Until that write was heard of; False where it took too long. Raises ValueError for what is no token."""
        wanted = _order(token)
        with self._heard:
            return self._heard.wait_for(lambda: _order(self._last) >= wanted, seconds)

    def close(self) -> None:
        """End the thread; at most WAIT seconds."""
        self._closed = True
        self._thread.join(WAIT + 2)

    def _listen(self) -> None:
        connected = False
        while not self._closed:
            try:
                if not connected:
                    self._catch_up()
                    connected = True
                block = ["BLOCK", int(WAIT * 1000)]
                reply = self._client.command("XREAD", *block, "STREAMS", self._key, self._last, timeout=WAIT + 2)
                if reply:
                    self._hear(reply[0][1][-1][0].decode())
            except (RedisError, TypeError, ValueError, IndexError, AttributeError):
                connected = False
                time.sleep(AGAIN)

    def _catch_up(self) -> None:
        """From now on; what came before counts as one piece of news."""
        newest = self._client.command("XREVRANGE", self._key, "+", "-", "COUNT", 1)
        self._hear(newest[0][0].decode() if newest else "0-0")

    def _hear(self, last: str) -> None:
        with self._heard:
            self._last = last
            self._news += 1
            self._heard.notify_all()


def _order(token: str) -> tuple[int, int]:
    first, _, second = token.partition("-")
    if not (first.isascii() and first.isdigit() and second.isascii() and second.isdigit() and len(token) < 42):
        raise ValueError(f"token must be one that a write gave, not {token[:60]!r}")
    return int(first), int(second)


class FedStore:
    """The store protocol: the inner store's, with news from the feed. token: of this store's last write."""

    def __init__(self, store: Store, feed: RedisFeed) -> None:
        self._store = store
        self._feed = feed
        self._taken = -1
        self._asked = 0.0
        self.lasting = getattr(store, "lasting", True)
        self.token = ""

    def pending(self) -> bool:
        """Whether something was heard since changes(); no question to any server."""
        return self._feed.news != self._taken or time.monotonic() - self._asked > SILENT

    def changes(self) -> Iterator[Change]:
        """The inner store's."""
        news = self._feed.news
        asked = time.monotonic()
        yield from self._store.changes()
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
        self.token = self._feed.tell()
        return result

    def seen(self, token: str, seconds: float = 0.5) -> bool:
        """Whether the next question will know of that write, of whichever process."""
        return self._feed.wait_for(token, seconds)

    def note(self, key: str) -> Optional[str]:
        """The inner store's."""
        return self._store.note(key)

    def rewind(self) -> None:
        """The inner store's, and there is something to take in."""
        self._taken = -1
        self._store.rewind()

    def close(self) -> None:
        """The inner store; the feed belongs to who made it."""
        self._store.close()
