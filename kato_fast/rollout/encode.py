"""Values as JSON that gives back the same values: floats by their bits, bytes, tuples, sets. No pickle, no code.

What has no form is kept as its repr and cannot be played again.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

TAG = "~"

#: Of one file.
MAX_DEPTH = 100


class NotEncodable(ValueError):
    """A value that only its repr is left of."""


def encoded(value: Any, depth: int = 0) -> Any:
    """Plain JSON data."""
    if depth > MAX_DEPTH:
        raise ValueError(f"a value must be nested at most {MAX_DEPTH} deep")
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return {TAG: "float", "hex": value.hex(), "shown": repr(value)}
    if isinstance(value, (bytes, bytearray)):
        return {TAG: "bytes", "base64": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    if isinstance(value, (set, frozenset)):
        return {TAG: "set", "items": sorted((encoded(item, depth + 1) for item in value), key=repr)}
    if isinstance(value, tuple):
        return {TAG: "tuple", "items": [encoded(item, depth + 1) for item in value]}
    if isinstance(value, Sequence):
        return [encoded(item, depth + 1) for item in value]
    return {TAG: "repr", "type": type(value).__qualname__, "text": repr(value)[:1000]}


def _mapping(value: Mapping, depth: int) -> Any:
    if all(isinstance(key, str) for key in value) and TAG not in value:
        return {key: encoded(item, depth + 1) for key, item in value.items()}
    pairs = [[encoded(key, depth + 1), encoded(item, depth + 1)] for key, item in value.items()]
    return {TAG: "dict", "items": pairs}


def decoded(value: Any) -> Any:
    """What encoded() was given. Raises NotEncodable, ValueError, KeyError."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(TAG)
    if kind is None:
        return {key: decoded(item) for key, item in value.items()}
    if kind == "float":
        return float.fromhex(value["hex"])
    if kind == "bytes":
        return base64.b64decode(value["base64"], validate=True)
    if kind == "tuple":
        return tuple(decoded(item) for item in value["items"])
    if kind == "set":
        return {decoded(item) for item in value["items"]}
    if kind == "dict":
        return {decoded(key): decoded(item) for key, item in value["items"]}
    raise NotEncodable(f"only the text of a {value.get('type', kind)} was kept: {value.get('text', '')[:80]}")
