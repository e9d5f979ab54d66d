"""The twin: the engine in plain Python, one module per concept of the C library, with the same names.

It is the fallback where no compiler was available, and what the C engine is tested against.
"""

from __future__ import annotations

from kato_fast.reference import align, naming, recount, validate
from kato_fast.reference.bloom import BloomFilter
from kato_fast.reference.knowledge import Knowledge
from kato_fast.reference.prediction import Matches, Predictions

__all__ = ["BloomFilter", "Knowledge", "Matches", "Predictions", "matching_blocks", "pattern_name", "ratio", "recount"]


def ratio(a, b, method="ratcliff_obershelp") -> float:
    """Similarity of pattern ``a`` and state ``b``, two lists of ``str``: 2M / (len(a) + len(b)), 1.0 if both are empty.

    method: ``"ratcliff_obershelp"`` (as KATO, not symmetric) or ``"lcs"`` (longest common subsequence).
    """
    return align.ratio(validate.sequence(a, "a"), validate.sequence(b, "b"), validate.method(method))


def matching_blocks(a, b) -> list[tuple[int, int, int]]:
    """(position in a, position in b, length) as ``difflib`` with autojunk off has them, without the last (n, m, 0)."""
    pattern = validate.sequence(a, "a")
    return align.Aligner(validate.sequence(b, "b")).blocks(pattern)


def pattern_name(events) -> str:
    """The name under which KATO stores a sequence of events: 40 hex digits."""
    return naming.name_of(validate.events(events))
