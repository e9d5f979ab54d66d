"""The pool of the Python client: bounded, per process, and out of the way while the server is away."""

from __future__ import annotations

import os
import random
import threading
import time
from typing import Callable, Generic, Protocol, TypeVar

from kato_fast.redis_client.errors import ConnectionError, PoolExhausted

#: Seconds until a server that refused is asked again: doubled from the first to the last, less up to half of it.
FIRST_PAUSE, LAST_PAUSE = 0.1, 0.5
#: So many commands in a row without an answer are taken for a lost server.
TIMEOUTS_IN_A_ROW = 3


class Connection(Protocol):
    """What a pool holds."""

    def usable(self) -> bool:
        """Idle and still open, as far as can be seen without sending anything."""

    def close(self) -> None:
        """Close it without a word to the server."""


C = TypeVar("C", bound=Connection)


class Pool(Generic[C]):
    """Connections made by ``connect``, at most ``size`` at a time."""

    def __init__(self, connect: Callable[[], C], size: int, wait: float) -> None:
        self._connect = connect
        self._size = size
        self._wait = wait
        self._closed = False
        self.counts = {"connects": 0, "connect_failures": 0, "lost": 0, "timeouts": 0, "exhausted": 0}
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._free = threading.Condition()
        self._idle: list[C] = []
        self._busy = 0
        self._generation = 0
        self._failures = self._silent = 0
        self._next = 0.0

    def take(self) -> tuple[C, int]:
        """A connection, and what give() wants with it. Raises ConnectionError at once or within the wait."""
        if self._pid != os.getpid():
            self._forget_parent()
        with self._free:
            self._wait_for_room()
            self._busy += 1
            generation = self._generation
            while self._idle:
                connection = self._idle.pop()
                if connection.usable():
                    return connection, generation
                connection.close()
        return self._connected(generation)

    def _forget_parent(self) -> None:
        """After a fork the parent goes on with its connections: this process closes its copies of their sockets."""
        idle = self._idle
        self._start()
        for connection in idle:
            connection.close()

    def _wait_for_room(self) -> None:
        if self._closed:
            raise ConnectionError("the client is closed")
        if self._busy >= self._size and not self._free.wait_for(lambda: self._busy < self._size, self._wait):
            self.counts["exhausted"] += 1
            raise PoolExhausted(f"all {self._size} connections were busy for {self._wait:g} s")

    def _connected(self, generation: int) -> tuple[C, int]:
        try:
            pause = self.pause()
            if pause > 0:
                raise ConnectionError(f"the server was not there; it is asked again in {pause:.2f} s")
            connection = self._connect()
        except BaseException as error:
            with self._free:
                self._leave()
                if isinstance(error, ConnectionError) and pause <= 0:
                    self.counts["connect_failures"] += 1
                    self._failed()
            raise
        self.counts["connects"] += 1
        return connection, generation

    def pause(self) -> float:
        """Seconds until a new connection is tried again, 0 where it may be now."""
        return max(0.0, self._next - time.monotonic())

    def _failed(self) -> None:
        pause = min(LAST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 10))
        self._failures += 1
        self._next = time.monotonic() + pause * random.uniform(0.5, 1.0)

    def _leave(self) -> None:
        self._busy -= 1
        self._free.notify()

    def give(self, connection: C, generation: int) -> None:
        """Bring back a connection that answered."""
        with self._free:
            self._failures = self._silent = 0
            self._next = 0.0
            keep = generation == self._generation and not self._closed
            if keep:
                self._idle.append(connection)
            self._leave()
        if not keep:
            connection.close()

    def lose(self, connection: C, *, silent: bool) -> None:
        """Bring back a connection that is of no use. silent: no answer in time; else it broke, as the others will."""
        connection.close()
        dropped: list[C] = []
        with self._free:
            self.counts["timeouts" if silent else "lost"] += 1
            self._silent = self._silent + 1 if silent else 0
            if not silent or self._silent >= TIMEOUTS_IN_A_ROW:
                self._generation += 1
                dropped, self._idle = self._idle, []
            if self._silent >= TIMEOUTS_IN_A_ROW:
                self._failed()
            self._leave()
        for other in dropped:
            other.close()

    def close(self) -> None:
        """Close what is idle; what is busy is closed when it comes back."""
        with self._free:
            self._closed = True
            dropped, self._idle = self._idle, []
        for connection in dropped:
            connection.close()

    def status(self) -> dict:
        """Figures of this process."""
        return {
            "pool_size": self._size,
            "busy": self._busy,
            "idle": len(self._idle),
            "retry_in": round(self.pause(), 3),
            **self.counts,
        }
