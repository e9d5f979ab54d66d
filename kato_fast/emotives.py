"""Emotives: the numbers that come with observations, and the short list of them that each pattern keeps.

Source: the host's section 2.5 (averaging) and 4.2 (storing).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Optional

MAX_MAPS = 100_000
MAX_NAMES = 10_000
MAX_NAME_BYTES = 1024

#: What a pattern keeps: a list of maps, or None where it was first learned without emotives.
Stored = Optional[list[dict[str, float]]]


def check_name(name: object, place: str) -> None:
    """Raise unless the name can be a field of a stored document on every store."""
    if not isinstance(name, str):
        raise TypeError(f"{place} must have str names, not {type(name).__name__}")
    if not name:
        raise ValueError(f"{place} must not have an empty name")
    if name.startswith("$") or "." in name or "\0" in name:
        raise ValueError(f"{place} must not have a name that contains '.' or NUL or starts with '$': {name!r}")
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"{place} must have names of valid Unicode: lone surrogate at index {error.start}") from None
    if size > MAX_NAME_BYTES:
        raise ValueError(f"{place} must have names of at most {MAX_NAME_BYTES} bytes as UTF-8, not {size}")


def check(maps: object, place: str = "emotives") -> list[dict[str, float]]:
    """A copy of a list of emotive maps (or of a single one), each name to a finite number, as plain ints and floats.

    Raises TypeError or ValueError that names the place.
    """
    if isinstance(maps, Mapping):
        maps = [maps]
    if not isinstance(maps, Sequence) or isinstance(maps, (str, bytes)):
        raise TypeError(f"{place} must be a list of maps, not {type(maps).__name__}")
    if len(maps) > MAX_MAPS:
        raise ValueError(f"{place} must have at most {MAX_MAPS} maps, not {len(maps)}")
    return [_checked_map(item, f"{place}[{i}]") for i, item in enumerate(maps)]


def _checked_map(item: object, here: str) -> dict[str, float]:
    if not isinstance(item, Mapping):
        raise TypeError(f"{here} must be a map of names to numbers, not {type(item).__name__}")
    if len(item) > MAX_NAMES:
        raise ValueError(f"{here} must have at most {MAX_NAMES} names, not {len(item)}")
    copy = {}
    for name, value in item.items():
        check_name(name, here)
        if not isinstance(value, Real):
            raise TypeError(f"{here}[{name!r}] must be a number, not {type(value).__name__}")
        if not _is_finite(value):
            raise ValueError(f"{here}[{name!r}] must be finite, not {_shown(value)}")
        copy[str(name)] = int(value) if isinstance(value, int) else float(value)
    return copy


def _shown(value: Real) -> str:
    """A number in an error; an int of thousands of digits cannot be written by every Python."""
    return "an int beyond the largest float" if isinstance(value, int) else repr(value)


def _is_finite(value: Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond the largest double
        return False


def average(maps: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Per name, in order of first appearance, the mean over the maps that have it; ValueError where it is not finite.

    Adds left to right from the integer 0, never with ``sum``, which is compensated from Python 3.12 on.
    """
    values: dict[str, list] = {}
    for item in maps:
        for name, value in item.items():
            values.setdefault(name, []).append(value)
    return {name: _mean(name, numbers) for name, numbers in values.items()}


def _mean(name: str, numbers: list) -> float:
    total = 0
    try:
        for number in numbers:
            total = total + number
        mean = float(total / len(numbers))
    except OverflowError:  # ints that no float can hold
        mean = math.inf
    if not math.isfinite(mean):
        raise ValueError(f"emotives[{name!r}] must have a finite average, not {mean!r}")
    return mean


class EmotivesConflict(ValueError):
    """A pattern first learned without emotives cannot take any later (the host's defect, section 4.2)."""


def push(known: bool, stored: Stored, maps: Sequence[Mapping[str, float]], persistence: int) -> tuple[Stored, bool]:
    """What a pattern keeps after one more learn, and whether that changed.

    known: the pattern exists already. stored: what it keeps. maps: the emotives accumulated since the last learn.
    """
    mean = average(maps)
    if not mean:
        return stored, False
    if known and stored is None:
        raise EmotivesConflict(
            "emotives cannot be added to a pattern that was first learned without any, as in KATO of September 2025"
        )
    if len(mean) > MAX_NAMES:
        raise ValueError(f"emotives must have at most {MAX_NAMES} names together, not {len(mean)}")
    kept = {name: value for name, value in mean.items() if value != 0}
    return ((stored or []) + [kept])[-persistence:], True
