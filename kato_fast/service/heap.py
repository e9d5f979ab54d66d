"""The C library's memory, so that long answers do not have theirs from the system anew each time.

An answer of some hundred kilobytes is more than glibc surely keeps: whether it gives the pages back after each one
depends on what else was asked for before, and where it does, every page is cleared and mapped again.
"""

from __future__ import annotations

import ctypes

#: Blocks below this many bytes come from memory that is kept, and so much of it is kept at most.
BLOCK, KEPT = 4 << 20, 64 << 20
#: Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep() -> bool:
    """Set both for this process; False where the C library is another one, which has ways of its own."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MMAP_THRESHOLD, BLOCK) and mallopt(_TRIM_THRESHOLD, KEPT))
