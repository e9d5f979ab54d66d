"""News of writes over a MongoDB change stream: a feed (see ``feeds``) for a replica set or mongos without Redis.

One stream of the whole deployment, over pymongo: of each write to a collection ``metadata``, in which KATO's totals and
our journal are, and of what is dropped, it sends the database's name. It resumes by its token, as the driver's rules
say; one that cannot resume begins anew, and that is news of everything. A server that has none says why; it is asked
again now and then.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Optional

from kato_fast import observe
from kato_fast.stores.feeds import News
from kato_fast.stores.mongo_connections import quick
from kato_fast.stores.mongo_driver import PymongoDatabase, Refused, Unreachable
from kato_fast.stores.mongo_watch import Watch

log = logging.getLogger("kato_fast")

#: Seconds of one waiting at the server; and between tries where there is no server, and where it has no such stream.
WAIT, AGAIN, REFUSED_AGAIN = 0.5, 0.1, 30.0

GONE = ["drop", "rename", "dropDatabase", "invalidate"]
PIPELINE: list[dict] = [
    {"$match": {"$or": [{"ns.coll": "metadata"}, {"operationType": {"$in": GONE}}]}},
    {"$project": {"ns.db": 1, "operationType": 1}},
]

STREAMS = observe.counter("kato_fast_mongo_streams_total", "Change streams: begun, lost, or refused.", ("what",))


def open_feed(address: str) -> Optional[MongoFeed]:
    """The feed of the address; None without pymongo, which is said: stores ask for the journal then."""
    try:
        return MongoFeed(address)
    except ImportError as error:
        log.warning("no change stream is heard, MongoDB is asked for news: %s", error)
        return None


class MongoFeed:
    """Heard by a thread. Raises ImportError without pymongo, ValueError for an address that cannot be right."""

    kind = "change stream"

    def __init__(self, address: str) -> None:
        PymongoDatabase(quick(address), "admin").close()  # says what is wrong
        self._address = address
        self._watch = Watch.of(address)
        self._news = News()
        self._over = threading.Event()
        self.hears = False
        #: Why the server has no change stream, where it said so.
        self.refused: Optional[str] = None
        self._thread = threading.Thread(target=self._listen, name="kato-fast-feed", daemon=True)
        self._thread.start()

    def news(self, name: str) -> int:
        """Grows with every write to the database, and when hearing begins or begins again."""
        return self._news.of(name)

    def tell(self, name: str) -> None:
        """The server does so."""

    def close(self) -> None:
        """End the thread; it is left alone where the server keeps it waiting."""
        self._over.set()
        self._thread.join(2 * WAIT)

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                self._listen_once()
                self._over.wait(AGAIN)  # what it watched is gone
            except Refused as error:
                self._end(error)
            except Unreachable as error:
                self._end(error)
                self._watch.lost(error)
                self._watch.wait_back(WAIT)
                while self._watch.away is not None and not self._over.is_set():
                    self._watch.wait_back(WAIT)
            self.hears = False
        self._watch.release()

    def _listen_once(self) -> None:
        """Over connections of its own: a driver that has lost a server looks for it much later."""
        database = PymongoDatabase(quick(self._address), "admin", alone=True)
        try:
            with database.changes(PIPELINE, WAIT) as stream:
                self._begin()
                self._hear(stream)
        finally:
            database.close()

    def _begin(self) -> None:
        self._news.of_everything()
        self.hears, self.refused = True, None
        STREAMS.labels("begun").inc()

    def _hear(self, stream: Any) -> None:
        while stream.alive and not self._over.is_set():
            change = stream.try_next()
            if change is not None:
                self._news.heard(change.get("ns", {}).get("db", ""))

    def _end(self, error: Exception) -> None:
        """One that was refused at once is not tried again soon."""
        refused = isinstance(error, Refused) and not self.hears
        self.hears = False
        STREAMS.labels("refused" if refused else "lost").inc()
        if refused:
            if self.refused is None:
                log.warning("no change stream is heard, the journal is asked for: %s", error)
            self.refused = str(error)
            self._over.wait(REFUSED_AGAIN)
