"""Short-term memory in this process; gone with it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Optional

from kato_fast.memory import MAX_EVENTS, Conflict, Event, Window, check_count, check_events, check_session


class _Stream:
    __slots__ = ("events", "last", "dropped", "operations")

    def __init__(self) -> None:
        self.events: list[list[str]] = []
        self.last = 0
        self.dropped = 0
        self.operations: list[str] = []  # of each event


class LocalMemory:
    """The protocol of ``kato_fast.memory.Memory``.

    bound: events per session. sessions: so many are kept, those written to last.
    """

    def __init__(self, *, bound: int = MAX_EVENTS, sessions: int = 100_000) -> None:
        self._bound = check_count("bound", bound)
        self._most = sessions
        self._lock = threading.Lock()
        self._streams: OrderedDict[str, _Stream] = OrderedDict()

    def window(self, session: str, count: Optional[int] = None) -> Window:
        """The latest events."""
        count = self._bound if count is None else check_count("count", count)
        with self._lock:
            stream = self._streams.get(check_session(session)) or _Stream()
            return Window([list(event) for event in stream.events[-count:]], stream.last, stream.dropped)

    def append(self, session: str, events: Sequence[Event], *, after: Optional[int] = None, operation: str = "") -> int:
        """Add events at the end."""
        return self.change(session, events, keep_from=0, after=after, operation=operation)

    def change(
        self, session: str, events: Sequence[Event], *, keep_from: int, after: Optional[int] = None, operation: str = ""
    ) -> int:
        """Add events at the end, drop some at the front."""
        check_session(session)
        fresh = check_events(events)
        with self._lock:
            stream = self._streams.setdefault(session, _Stream())
            self._streams.move_to_end(session)
            if after is not None and after != stream.last:
                if not _was_done(stream, fresh, after, operation):
                    raise Conflict(session, stream.last, after)
                return stream.last
            self._change(stream, fresh, keep_from, operation)
            while len(self._streams) > self._most:
                self._streams.popitem(last=False)
            return stream.last

    def _change(self, stream: _Stream, fresh: list[list[str]], keep_from: int, operation: str) -> None:
        gone = min(len(stream.events), max(0, keep_from - (stream.last - len(stream.events) + 1)))
        if gone == len(stream.events) and keep_from:
            stream.dropped = 0
        stream.events = stream.events[gone:] + fresh
        stream.operations = stream.operations[gone:] + [operation] * len(fresh)
        stream.last += len(fresh)
        over = max(0, len(stream.events) - self._bound)
        stream.dropped += over
        del stream.events[:over], stream.operations[:over]

    def trim(self, session: str, keep: int) -> int:
        """Keep the latest events only."""
        check_count("keep", keep)
        with self._lock:
            stream = self._streams.get(check_session(session)) or _Stream()
            over = max(0, len(stream.events) - keep)
            del stream.events[:over], stream.operations[:over]
            return over

    def clear(self, session: str) -> None:
        """Forget the events."""
        with self._lock:
            stream = self._streams.get(check_session(session)) or _Stream()
            stream.events, stream.operations, stream.dropped = [], [], 0

    def delete(self, session: str) -> None:
        """Forget the session."""
        with self._lock:
            self._streams.pop(check_session(session), None)


def _was_done(stream: _Stream, fresh: list[list[str]], after: int, operation: str) -> bool:
    """Whether exactly this append was made after that number, and nothing since."""
    count = len(fresh)
    return (
        bool(operation and count) and stream.last == after + count and stream.operations[-count:] == [operation] * count
    )
