"""Whether a MongoDB server is away, known once for all stores of an address in a process.

Who got no answer says so; from then on nobody waits for that server but one thread, until it answers. So an outage
costs those who were waiting when it began one bounded wait, and nobody else.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Any, Optional

from kato_fast.stores.mongo_connections import Connections, quick, renew
from kato_fast.stores.mongo_driver import Busy, Unreachable, open_database

log = logging.getLogger("kato_fast")

#: Seconds between two questions to a server that is away. Each has a connection of its own, so that one which is
#: swallowed holds up no other; and so many may be open.
PAUSE, QUESTIONS = 0.2, 12
#: Seconds that the first question may take before the server counts as away: one connection that broke is no outage.
GRACE = 0.25


class Watch:
    """``Watch.of(address)`` is the one of that address; release() it."""

    _all: dict[str, Watch] = {}
    _lock = threading.Lock()

    def __init__(self, address: str) -> None:
        self._address = address
        self._users = 0
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._database = open_database(quick(self._address), "admin")
        self._changed = threading.Condition()
        self._asking = False
        self._lost: Optional[Unreachable] = None
        self._told = False
        self._old: list[Connections] = []
        self._since = 0.0

    @classmethod
    def of(cls, address: str) -> Watch:
        """One more user of it. Raises as open_database()."""
        with cls._lock:
            watch = cls._all.get(address)
            if watch is None:
                watch = cls._all[address] = Watch(address)
            watch._users += 1
            return watch

    def release(self) -> None:
        """The last one ends its thread."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
            self._all.pop(self._address, None)
        with self._changed:
            idle = not self._asking
            self._changed.notify_all()
        if idle:  # else the thread does so
            self._database.close()

    @property
    def away(self) -> Optional[Unreachable]:
        """Why nobody should ask, or None; a child of a fork finds out for itself."""
        if self._process != os.getpid():
            self._begin()
        return self._lost if self._lost is not None and time.monotonic() > self._since else None

    def lost(self, error: Unreachable) -> None:
        """There was no answer. That all connections were busy says nothing of the server."""
        if isinstance(error, Busy) or self.away is not None:
            return
        with self._changed:
            if self._asking or not self._users:
                return
            self._lost, self._asking, self._since = error, True, time.monotonic() + GRACE
        self._renew()
        threading.Thread(target=self._ask_until_back, name="kato-fast-mongo-watch", daemon=True).start()

    def wait_back(self, seconds: float) -> None:
        """Until the server answers, at most so long; not at once in any case."""
        time.sleep(0.02)
        with self._changed:
            self._changed.wait_for(lambda: not self._asking, seconds)

    def ping(self) -> Optional[Unreachable]:
        """Ask now, unless it is known to be away; why it is, or None."""
        if self.away is None:
            error = self._asked()
            if error is not None:
                self.lost(error)
                return error
        return self.away

    def _asked(self) -> Optional[Unreachable]:
        return _answer(self._database)

    def _ask_until_back(self) -> None:
        answers: SimpleQueue[Optional[Unreachable]] = SimpleQueue()
        asking = 0
        while self._users:
            until = time.monotonic() + PAUSE
            if asking < QUESTIONS:
                asking += 1
                threading.Thread(target=_ask, args=(self._address, answers), daemon=True).start()
            for error in _until(answers, until):
                asking -= 1
                if error is None:
                    return self._is_back()
                self._tell(error)
            if time.monotonic() > self._since:
                self._tell(self._lost)
        self._is_back()

    def _tell(self, error: Unreachable) -> None:
        self._lost, self._since = error, 0.0
        if not self._told:
            log.warning("%s; the engine serves what it has", error)
        self._told = True

    def _is_back(self) -> None:
        if self._told:
            self._renew()
            if self._users:
                log.warning("MongoDB at %s answers again", self._database.where.partition("/")[0])
        with self._changed:
            self._lost, self._asking, self._told = None, False, False
            self._changed.notify_all()
            last = not self._users
        if last:
            self._database.close()
        while self._old:
            self._old = [connections for connections in self._old if not connections.tidy()]
            time.sleep(PAUSE if self._old else 0)

    def _renew(self) -> None:
        """New connections for who asks from now on: on the old ones the driver may look for the server much later."""
        self._old = renew(self._address)


def _ask(address: str, answers: SimpleQueue[Optional[Unreachable]]) -> None:
    database = open_database(quick(address), "admin", alone=True)
    answers.put(_answer(database))
    database.close()


def _answer(database: Any) -> Optional[Unreachable]:
    (outcome,) = database.run([{"ping": 1}], False)
    return outcome if isinstance(outcome, Unreachable) and not isinstance(outcome, Busy) else None


def _until(answers: SimpleQueue[Optional[Unreachable]], moment: float) -> Iterator[Optional[Unreachable]]:
    """What comes before that moment."""
    while True:
        try:
            yield answers.get(timeout=max(0.0, moment - time.monotonic()))
        except Empty:
            return
