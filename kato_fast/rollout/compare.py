"""Whether two answers are equal: bit for bit, but for the tolerances of a table, and ties as sets.

Types count, the order of keys counts, 0.0 is not -0.0, and a NaN equals one of the same bits.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from kato_fast.rollout.encode import encoded

#: More are not listed; the first ones say what is wrong.
MOST = 20


@dataclass(frozen=True)
class Rules:
    """What may differ. Empty: nothing.

    tolerance: name of a field → relative error that its floats may have. ties: name of the field by which lists of
    dicts are ranked; items that agree in it may stand in any order.
    """

    tolerance: Mapping[str, float] = field(default_factory=dict)
    ties: Optional[str] = None


EXACT = Rules()


def differences(original: Any, candidate: Any, rules: Rules = EXACT) -> list[str]:
    """One line for each place that differs, at most 20."""
    found: list[str] = []
    _compare(original, candidate, rules, "answer", "", found)
    return found


def _compare(a: Any, b: Any, rules: Rules, place: str, name: str, found: list[str]) -> None:
    if len(found) >= MOST:
        return
    if isinstance(a, float) and isinstance(b, float):
        if not _equal_floats(a, b, rules.tolerance.get(name, 0.0)):
            found.append(f"{place}: {a!r} is not {b!r}")
    elif isinstance(a, Mapping) and isinstance(b, Mapping):
        _compare_mappings(a, b, rules, place, found)
    elif _is_list(a) and _is_list(b) and (type(a) is type(b) or not isinstance(a, (list, tuple))):
        _compare_lists(a, b, rules, place, name, found)
    elif type(a) is not type(b) or a != b:
        found.append(f"{place}: {_short(a)} is not {_short(b)}")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))


def _equal_floats(a: float, b: float, tolerance: float) -> bool:
    if struct.pack("<d", a) == struct.pack("<d", b):
        return True
    return tolerance > 0 and math.isclose(a, b, rel_tol=tolerance, abs_tol=0.0)


def _compare_mappings(a: Mapping, b: Mapping, rules: Rules, place: str, found: list[str]) -> None:
    if list(a) != list(b):
        found.append(f"{place}: keys {_short(list(a))} are not {_short(list(b))}")
        return
    for key in a:
        _compare(a[key], b[key], rules, f"{place}.{key}", str(key), found)


def _compare_lists(a: Sequence, b: Sequence, rules: Rules, place: str, name: str, found: list[str]) -> None:
    if len(a) != len(b):
        found.append(f"{place}: {len(a)} items are not {len(b)}")
        return
    left, right = list(a), list(b)
    if rules.ties is not None and all(isinstance(item, Mapping) and rules.ties in item for item in left + right):
        left, right = _in_one_order(left, rules), _in_one_order(right, rules)
    for i, (one, other) in enumerate(zip(left, right)):
        _compare(one, other, rules, f"{place}[{i}]", name, found)


def _in_one_order(items: list, rules: Rules) -> list:
    """Groups of equal rank stay where they are; inside of each, one order for both sides."""
    ordered: list = []
    start = 0
    for i in range(1, len(items) + 1):
        if i == len(items) or not _tied(items[i - 1][rules.ties], items[i][rules.ties], rules):
            ordered += sorted(items[start:i], key=_place)
            start = i
    return ordered


def _tied(a: Any, b: Any, rules: Rules) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=rules.tolerance.get(rules.ties or "", 0.0))
    return a == b


def _place(item: Mapping) -> tuple:
    """By name where it has one: last digits that may differ are not to decide."""
    return str(item.get("name", "")), json.dumps(encoded(item), sort_keys=True)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
