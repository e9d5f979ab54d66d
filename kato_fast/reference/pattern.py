"""One pattern: a learned sequence of events."""

from __future__ import annotations

from collections import Counter
from typing import Optional


class Pattern:
    """Events never change once here; frequency and emotives are replaced, never altered in place.

    name: 40 hex digits. events: as learned. symbols: the same, flat. frequency: how often it was learned.
    emotives: the stored maps, oldest first, or None where it was first learned without any.
    """

    __slots__ = ("emotives", "events", "frequency", "name", "symbols")

    def __init__(self, name: str, events: list[list[str]]) -> None:
        self.name = name
        self.events = events
        self.symbols = flatten(events)
        self.frequency = 0
        self.emotives: Optional[list[dict[str, float]]] = None

    def counts(self) -> Counter:
        """Occurrences per symbol, in order of first occurrence."""
        return Counter(self.symbols)

    def to_dict(self) -> dict:
        """The host's document, in its key order; the object ``{}`` stands for no emotives (section 4.2)."""
        return {
            "name": self.name,
            "frequency": self.frequency,
            "length": len(self.symbols),
            "pattern_data": copy_events(self.events),
            "emotives": {} if self.emotives is None else [dict(item) for item in self.emotives],
        }


def flatten(events: list[list[str]]) -> list[str]:
    """All symbols in order."""
    return [symbol for event in events for symbol in event]


def copy_events(events: list[list[str]]) -> list[list[str]]:
    """Lists of its own for the caller to change."""
    return [list(event) for event in events]
