"""Which flags can change nothing in this attached KATO, and why; so that no switch is silent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

#: No place of any host is under these.
NO_PLACE = {
    "bloom_prescreen": "the host's own drops nothing; the engine's is a part of every search of native_matching",
    "indexes": "the host makes its own indexes",
    "pattern_cache": "the host has no cache that is read; native_matching keeps the patterns",
    "stream_memory": "sessions stay where the host keeps them",
}

LEFT_ALONE = "none of its places is the code that was read; kato-fast explain names them"

#: A flag that another one's place asks for.
ASKED_BY = {"incremental_metrics": ("native_matching", "PatternProcessor.predictPattern")}


def without_effect(seams: Iterable[Any], changed: Iterable[Any]) -> dict[str, str]:
    """Flag to reason. seams: of the host's generation. changed: those of them that were replaced.

    Where a flag replaces something, what it only wraps or adds is there for that and switches nothing alone.
    """
    seams = list(seams)
    replacing = {seam.flag for seam in seams if replaces(seam)}
    under = {(seam.flag, seam.target) for seam in changed if replaces(seam) or seam.flag not in replacing}
    flags = {flag for flag, _ in under} | {flag for flag, place in ASKED_BY.items() if place in under}
    wanted = {seam.flag for seam in seams} | set(ASKED_BY)
    return {**NO_PLACE, **dict.fromkeys(sorted(wanted - flags), LEFT_ALONE)}


def replaces(seam: Any) -> bool:
    return not (seam.adds or seam.wraps)
