"""News of writes over a Redis stream: a feed (see ``feeds``) of the names of databases that were written to."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import TYPE_CHECKING

from kato_fast import observe
from kato_fast.redis_client.errors import RedisError
from kato_fast.stores.feeds import News

if TYPE_CHECKING:
    from kato_fast.redis_client import Client

log = logging.getLogger("kato_fast")

#: Entries kept; a reader that comes back to so many may have missed more.
KEPT = 1000
#: Seconds of one waiting at the server, and between tries where there is none.
WAIT, AGAIN = 1.0, 0.1

UNTOLD = observe.counter("kato_fast_feed_untold_total", "Writes of which other processes could not be told.")


class RedisFeed:
    """One stream for all databases of a service, heard by a thread.

    client: with a connection to spare for it; closed by who opened it, after the feed.
    """

    kind = "redis stream"
    refused = None

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._key = f"kato_fast:feed:{name}"
        self._origin = uuid.uuid4().hex  # what this process wrote is no news to it
        self._last = "0-0"
        self._news = News()
        self._closed = False
        #: Whether the thread hears at the moment.
        self.hears = False
        self._thread = threading.Thread(target=self._listen, name="kato-fast-feed", daemon=True)
        self._thread.start()

    def news(self, name: str) -> int:
        """Grows with everything that is heard of the name from others, and when hearing begins or begins again."""
        return self._news.of(name)

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
        self._news.of_everything()
        self.hears = True

    def _hear(self, entries: list) -> None:
        for entry, (_, name, _, origin) in entries:
            self._last = entry.decode()
            if origin.decode() != self._origin:
                self._news.heard(name.decode())
        if len(entries) >= KEPT:
            self._news.of_everything()
