"""From a state to the patterns that are compared with it, always in learning order."""

from __future__ import annotations

from collections.abc import Iterable

from kato_fast.reference.pattern import Pattern

#: The host's index looks at this many symbols of the state, the oldest ones, and sorts lengths into classes this wide.
FIRST_SYMBOLS = 10
LENGTH_CLASS = 10


class FullScan:
    """Every pattern (the host with its index switched off)."""

    def __init__(self, patterns: dict[str, Pattern]) -> None:
        self._patterns = patterns

    def add(self, pattern: Pattern) -> None:
        """The patterns themselves are the index."""

    def remove(self, pattern: Pattern) -> None:
        """The patterns themselves are the index."""

    def clear(self) -> None:
        """The patterns themselves are the index."""

    def find(self, state: list[str]) -> Iterable[Pattern]:
        """Every pattern, whatever the state."""
        return self._patterns.values()


class HostIndex:
    """The host's shipped index, which loses matches (section 5.2); walked in learning order instead of set order."""

    def __init__(self, patterns: dict[str, Pattern]) -> None:
        self._patterns = patterns
        self._by_length: dict[int, set[str]] = {}
        self._by_symbol: dict[str, set[str]] = {}

    def add(self, pattern: Pattern) -> None:
        """Enter a pattern that is new."""
        self._by_length.setdefault(len(pattern.symbols) // LENGTH_CLASS, set()).add(pattern.name)
        for symbol in pattern.symbols:
            self._by_symbol.setdefault(symbol, set()).add(pattern.name)

    def remove(self, pattern: Pattern) -> None:
        """Take a pattern out, as if it had never been there."""
        _discard(self._by_length, len(pattern.symbols) // LENGTH_CLASS, pattern.name)
        for symbol in set(pattern.symbols):
            _discard(self._by_symbol, symbol, pattern.name)

    def clear(self) -> None:
        """Take everything out."""
        self._by_length.clear()
        self._by_symbol.clear()

    def find(self, state: list[str]) -> Iterable[Pattern]:
        """Patterns of a similar length that hold an old symbol of the state; either is enough for two symbols."""
        names = self._names(state)
        return [pattern for name, pattern in self._patterns.items() if name in names]

    def _names(self, state: list[str]) -> set[str]:
        similar = self._of_similar_length(len(state))
        sharing = self._sharing(state[:FIRST_SYMBOLS])
        if len(state) <= 2:
            return similar | sharing
        return similar & sharing if similar else sharing

    def _of_similar_length(self, length: int) -> set[str]:
        tolerance = max(1, int(0.5 * length / LENGTH_CLASS))
        middle = length // LENGTH_CLASS
        names: set[str] = set()
        for length_class in range(middle - tolerance, middle + tolerance + 1):
            names |= self._by_length.get(length_class, set())
        return names

    def _sharing(self, symbols: list[str]) -> set[str]:
        names: set[str] = set()
        for symbol in symbols:
            names |= self._by_symbol.get(symbol, set())
        return names


def _discard(index: dict, key: object, name: str) -> None:
    names = index[key]
    names.discard(name)
    if not names:
        del index[key]
