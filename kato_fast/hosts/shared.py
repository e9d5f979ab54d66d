"""What the replacements of one process share: residents, the writer, and the way out of a running observation."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from kato_fast.flags import current
from kato_fast.hosts.answers import Late
from kato_fast.hosts.resident import Residents
from kato_fast.hosts.writer import Writer

RESIDENTS = Residents()
WRITER = Writer()

#: Attributes of the host's processors that may hold an answer which is still in the engine.
PREDICTIONS = Late("predictions")
PATTERN_PREDICTIONS = Late("predictions")
FUTURES = Late("future_potentials")


#: The batch whose observations this request makes, a batches.Batch.
BATCH: ContextVar[Any] = ContextVar("kato_fast_batch", default=None)


def is_off(flag: str) -> bool:
    return current[flag].kind == "off"


class Gate:
    """How many observations run, so that detaching can wait for them.

    lazy: answers may stay in the engine. While it is False, replacements hand out the host's own kinds of objects.
    """

    def __init__(self) -> None:
        self.lazy = False
        self._lock = threading.Lock()
        self._inside: dict = {}

    def __enter__(self) -> None:
        me = threading.get_ident()
        with self._lock:
            self._inside[me] = self._inside.get(me, 0) + 1

    def __exit__(self, *exc_info) -> None:
        me = threading.get_ident()
        with self._lock:
            left = self._inside[me] - 1
            if left:
                self._inside[me] = left
            else:
                del self._inside[me]

    def drain(self, seconds: float = 5.0) -> bool:
        """Wait until no other thread is inside."""
        until = time.monotonic() + seconds
        while set(self._inside) - {threading.get_ident()}:
            if time.monotonic() > until:
                return False
            time.sleep(0.001)
        return True


GATE = Gate()


#: In a call of the host: "original" where that was chosen, so that its own parts are originals too; "declined" where
#: the engine was, and refused: then the original is only the way out, and its parts may still be replacements.
_INSIDE: ContextVar[str] = ContextVar("kato_fast_inside", default="")


def inside_original() -> bool:
    """Whether parts of what runs now are to be the host's own."""
    return _INSIDE.get() == "original"


def note_declined() -> None:
    """The engine has refused; the original comes next."""
    _INSIDE.set("declined")


@contextmanager
def by_host() -> Iterator[None]:
    """Around an original of which parts are replaced too."""
    token = _INSIDE.set("" if _INSIDE.get() == "declined" else "original")
    try:
        yield
    finally:
        _INSIDE.reset(token)
        if _INSIDE.get() == "declined":
            _INSIDE.set("")
