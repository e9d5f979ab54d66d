"""Connections to a MongoDB address, one pool for all who name it in a process, that can be made anew.

A driver that has lost a server looks for it every half second at best, and waits for a look that got no answer. Fresh
connections look at once; so after an outage everybody gets new ones, and those who still wait on old ones keep them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

#: What one question may wait for, where the address does not say; what takes longer goes over connections without.
QUICK = {"socketTimeoutMS": 2000, "connectTimeoutMS": 1000}


class Lent:
    """A pool, and how many use it."""

    def __init__(self, pool: Any) -> None:
        self.pool, self.users = pool, 0


class Connections:
    """``Connections.of(kind, address, make)`` is the one of that address; release() it.

    make: opens a pool, which has close(); that may wait for threads of the pool.
    """

    _all: dict[tuple[str, str], Connections] = {}
    _all_lock = threading.Lock()

    def __init__(self, make: Callable[[], Any], joined: int = 0) -> None:
        self._make = make
        self._joined = joined
        self._begin()

    def _begin(self) -> None:
        """After a fork too: the parent's pools are left alone."""
        self._lock = threading.Lock()
        self._current: Any = None
        self._retired: list[Lent] = []
        self._process = os.getpid()

    @classmethod
    def of(cls, kind: str, address: str, make: Callable[[], Any]) -> Connections:
        """One more user of it."""
        with cls._all_lock:
            found = cls._all.get((kind, address)) or cls._all.setdefault((kind, address), Connections(make))
            found._joined += 1
            return found

    def release(self) -> None:
        """The last one closes it."""
        with self._all_lock:
            self._joined -= 1
            if self._joined:
                return
            for key in [key for key, found in self._all.items() if found is self]:
                del self._all[key]
        self.close()

    @contextmanager
    def lent(self) -> Iterator[Any]:
        """The pool, which stays open until the block ends."""
        if self._process != os.getpid():
            self._begin()
        with self._lock:
            if self._current is None:
                self._current = Lent(self._make())
            lent = self._current
            lent.users += 1
        try:
            yield lent.pool
        finally:
            with self._lock:
                lent.users -= 1

    def renew(self) -> None:
        """Whoever asks from now on gets new connections; tidy() closes the old ones."""
        if self._process == os.getpid():
            with self._lock:
                if self._current is not None:
                    self._retired.append(self._current)
                    self._current = None

    def tidy(self) -> bool:
        """Close old connections that nobody uses; False where some are left."""
        with self._lock:
            idle = [lent for lent in self._retired if not lent.users]
            self._retired = [lent for lent in self._retired if lent.users]
            left = bool(self._retired)
        for lent in idle:
            lent.pool.close()
        return not left

    def close(self) -> None:
        """All of them, used or not."""
        self.renew()
        if self._process == os.getpid():
            with self._lock:
                retired, self._retired = self._retired, []
            for lent in retired:
                lent.pool.close()


def renew(address: str) -> list[Connections]:
    """New connections for all who ask the address, whatever bounds they have; tidy() what is returned."""
    with Connections._all_lock:
        found = [pool for (_, at), pool in Connections._all.items() if at in (address, quick(address))]
    for connections in found:
        connections.renew()
    return found


def quick(address: str) -> str:
    """The address with the bounds of QUICK, where it says nothing else."""
    head, _, query = address.partition("?")
    given = {pair.partition("=")[0].lower() for pair in query.split("&")}
    added = [f"{name}={value}" for name, value in QUICK.items() if name.lower() not in given]
    if "/" not in head.partition("://")[2]:
        head += "/"
    return f"{head}?{'&'.join([*filter(None, [query]), *added])}"
