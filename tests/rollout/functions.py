"""Two sides that live at module level, so that a file of their difference can be played again."""

from __future__ import annotations


def original(value: float) -> dict:
    return {"value": value * 2, "rest": [1, 2]}


def wrong(value: float) -> dict:
    return {"value": value * 2 + (1e-15 if value == 0.5 else 0), "rest": [1, 2]}
