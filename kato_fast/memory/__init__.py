"""Short-term memory: the latest events of each session, oldest first, bounded. One protocol, two places.

``local.LocalMemory`` keeps it in the process, ``redis_streams.StreamMemory`` in Redis Streams, where any process that
knows the session can go on. Events of a session are numbered from 1; a number is never used twice, so a writer that
says after which number it writes cannot overwrite another, and one that repeats itself is recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional, Protocol

#: KATO cuts a saved short-term memory to its latest events.
MAX_EVENTS = 1000

Event = Sequence[str]


@dataclass(frozen=True)
class Window:
    """The latest events of a session.

    events: oldest first. last: the number of the newest event that there ever was, 0 where there was none.
    dropped: how many events the bound has dropped since the memory was last emptied; they are gone, and nothing stands
    in for them.
    """

    events: list[list[str]]
    last: int
    dropped: int

    @property
    def first(self) -> int:
        """The number of events[0]."""
        return self.last - len(self.events) + 1

    @property
    def complete(self) -> bool:
        """Whether every event since the memory was last emptied is still there."""
        return self.dropped == 0


class Conflict(Exception):
    """Somebody else wrote to the session meanwhile, or its memory is gone: read the window again."""

    def __init__(self, session: str, last: int, after: int) -> None:
        super().__init__(f"the memory of {session} is at event {last}, not {after}")
        self.last = last


class Memory(Protocol):
    """What both places offer. Safe from many threads."""

    def window(self, session: str, count: Optional[int] = None) -> Window:
        """The latest count events, or all that are kept."""

    def append(self, session: str, events: Sequence[Event], *, after: Optional[int] = None, operation: str = "") -> int:
        """Add events at the end; the number of the newest.

        after: the newest number that the writer knows; Conflict if it is another by now. operation: a name that no
        other append has; one that is repeated with the same ``after`` is done once.
        """

    def change(
        self, session: str, events: Sequence[Event], *, keep_from: int, after: Optional[int] = None, operation: str = ""
    ) -> int:
        """append(), and drop what is numbered below keep_from, in one step."""

    def trim(self, session: str, keep: int) -> int:
        """Keep the latest events only, as a rolling memory does; how many went. They do not count as dropped."""

    def clear(self, session: str) -> None:
        """Forget the events; the numbering goes on."""

    def delete(self, session: str) -> None:
        """Forget the session."""


def check_session(session: object) -> str:
    """The session, where it can be a key."""
    if not isinstance(session, str):
        raise TypeError(f"session must be a str, not {type(session).__name__}")
    if not 0 < len(session) <= 1024:
        raise ValueError(f"session must have 1 to 1024 characters, not {len(session)}")
    return session


def check_events(events: object) -> list[list[str]]:
    """The events as lists, where each is a list of str."""
    if isinstance(events, (str, bytes)) or not isinstance(events, Sequence):
        raise TypeError(f"events must be a list of events, not {type(events).__name__}")
    if len(events) > MAX_EVENTS:
        raise ValueError(f"events must be at most {MAX_EVENTS}, not {len(events)}")
    return [_checked(event, f"events[{i}]") for i, event in enumerate(events)]


def _checked(event: object, place: str) -> list[str]:
    if not isinstance(event, (list, tuple)):
        raise TypeError(f"{place} must be a list of symbols, not {type(event).__name__}")
    for i, symbol in enumerate(event):
        if not isinstance(symbol, str):
            raise TypeError(f"{place}[{i}] must be a str, not {type(symbol).__name__}")
    return list(event)


def check_count(what: str, value: object) -> int:
    """A whole number from 1 to MAX_EVENTS."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} must be an int, not {type(value).__name__}")
    if not 1 <= value <= MAX_EVENTS:
        raise ValueError(f"{what} must be from 1 to {MAX_EVENTS}, not {value}")
    return value
