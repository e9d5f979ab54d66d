"""The most frequent patterns, symbols' probabilities, and values computed from a state, kept for a while."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Optional

from kato_fast.caches import Cache

if TYPE_CHECKING:
    from kato_fast.redis_client import Client

HOUR = 3600
FIVE_MINUTES = 300


def top_patterns(knowledge: Any, limit: int) -> list[dict]:
    """The patterns with the highest frequency; equal ones in learning order."""
    return heapq.nlargest(limit, knowledge.patterns(), key=lambda pattern: pattern["frequency"])


def symbol_probabilities(knowledge: Any) -> dict[str, float]:
    """KATO's p of every symbol: in how many learns it was, among all symbols of all learns."""
    total = knowledge.totals()["total_symbols_in_patterns_frequencies"]
    counts = knowledge.symbols()
    return {name: count["pattern_member_frequency"] / total if total else 0.0 for name, count in counts.items()}


class KnowledgeCache:
    """Top patterns and symbol probabilities of one knowledge base, for an hour or until invalidate()."""

    def __init__(
        self, client: Optional[Client], knowledge: Any, *, ttl: float = HOUR, prefix: str = "kato_fast:cache:patterns"
    ) -> None:
        self._knowledge = knowledge
        self.cache = Cache(client, "patterns", ttl=ttl, prefix=prefix)

    def top(self, limit: int = 100) -> list[dict]:
        """See top_patterns()."""
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise TypeError(f"limit must be an int, not {type(limit).__name__}")
        if not 1 <= limit <= 10_000:
            raise ValueError(f"limit must be from 1 to 10000, not {limit}")
        return self.cache.get(f"top:{limit}", lambda: top_patterns(self._knowledge, limit))

    def probabilities(self) -> dict[str, float]:
        """See symbol_probabilities()."""
        return self.cache.get("probabilities", lambda: symbol_probabilities(self._knowledge))

    def invalidate(self) -> None:
        """After a learn, forget or clear."""
        self.cache.invalidate()


class StateCache:
    """Values by the state that they were computed from, for five minutes or until invalidate()."""

    def __init__(self, client: Optional[Client], *, ttl: float = FIVE_MINUTES, prefix: str = "") -> None:
        self.cache = Cache(client, "states", ttl=ttl, prefix=prefix)

    def get(self, what: str, state: Sequence, compute: Callable[[], Any]) -> Any:
        """compute() for that state, or what it gave before."""
        return self.cache.get(f"{what}:{state_hash(state)}", compute)

    def invalidate(self) -> None:
        """After a learn, forget or clear."""
        self.cache.invalidate()


def state_hash(state: Sequence) -> str:
    """A short name of a state; two states share it as rarely as SHA-256 collides."""
    text = json.dumps(state, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]
