"""Which KATO is matched, and what its similarity is: see csrc/include/kato_fast/generation.h."""

from __future__ import annotations

KATO_2025_09 = "2025-09"
KATO_2_1 = "2.1"
GENERATIONS = (KATO_2025_09, KATO_2_1)


def similarity(generation: str, common: int, total: int) -> float:
    """Share of the common symbols; KATO 2.1 makes a percentage of it and divides that by 100 again."""
    share = 2.0 * common / total
    return share * 100.0 / 100.0 if generation == KATO_2_1 else share


def is_similar(generation: str, common: int, total: int, threshold: float) -> bool:
    """Whether so many common symbols are enough, before and after that detour."""
    return 2.0 * common / total >= threshold and similarity(generation, common, total) >= threshold
