"""Which KATO it is, by what its package holds; version strings are for messages only."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Callable, Optional

from kato_fast.hosts import kato_m, kato_v21

GENERATIONS = (kato_m, kato_v21)


def recognise(has: Callable[[str], bool]) -> Optional[ModuleType]:
    """has: whether the host has a module of that name."""
    return next((generation for generation in GENERATIONS if generation.recognised(has)), None)


def refusal() -> str:
    """One line for a host that is none of these."""
    host = sys.modules.get("kato")
    known = ", ".join(generation.NAME for generation in GENERATIONS)
    version = getattr(host, "__version__", "of unknown version")
    place = getattr(host, "__file__", None)
    return f"kato_fast is not attached: the package kato {version} at {place} is none of {known}"
