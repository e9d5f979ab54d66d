"""Runs two paths where there are two: falls back, compares, tries on a few, takes back.

``Choice(flag, name, original, candidate)`` takes the place of the original. ``explain()`` lists every fallback.
"""

from __future__ import annotations

from kato_fast.rollout.choice import Choice
from kato_fast.rollout.compare import Rules
from kato_fast.rollout.fallbacks import explain
from kato_fast.rollout.latch import clear, latches, roll_back
from kato_fast.rollout.pairs import waiting
from kato_fast.rollout.process import check, processes, start, stop
from kato_fast.rollout.raised import Raised, result_of
from kato_fast.rollout.reasons import REASONS, Declined, FallbackForbidden
from kato_fast.rollout.writes import Writes

__all__ = [
    "REASONS",
    "Choice",
    "Declined",
    "FallbackForbidden",
    "Raised",
    "Rules",
    "Writes",
    "check",
    "clear",
    "explain",
    "latches",
    "processes",
    "result_of",
    "roll_back",
    "start",
    "stop",
    "waiting",
]
