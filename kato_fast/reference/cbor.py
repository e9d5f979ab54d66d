"""CBOR (RFC 8949), equal byte for byte to ``cbor2.dumps`` of the same values.

Definite lengths, shortest heads, finite doubles always as 64 bits.
"""

from __future__ import annotations

import math
import struct
from typing import Any

UNSIGNED, TEXT, ARRAY, MAP = 0 << 5, 3 << 5, 4 << 5, 5 << 5


def dumps(value: Any) -> bytes:
    """value: dicts with str keys, lists, str of valid Unicode, int from 0 to 2**64-1, float."""
    out = bytearray()
    _write(out, value)
    return bytes(out)


def _write(out: bytearray, value: Any) -> None:
    if isinstance(value, str):
        text = value.encode()
        _write_head(out, TEXT, len(text))
        out += text
    elif isinstance(value, float):
        out += _double(value)
    elif isinstance(value, int):
        _write_head(out, UNSIGNED, value)
    elif isinstance(value, list):
        _write_head(out, ARRAY, len(value))
        for item in value:
            _write(out, item)
    else:
        _write_head(out, MAP, len(value))
        for key, item in value.items():
            _write(out, key)
            _write(out, item)


def _write_head(out: bytearray, major: int, number: int) -> None:
    if number < 24:
        out.append(major | number)
    elif number < 1 << 8:
        out += struct.pack(">BB", major | 24, number)
    elif number < 1 << 16:
        out += struct.pack(">BH", major | 25, number)
    elif number < 1 << 32:
        out += struct.pack(">BI", major | 26, number)
    else:
        out += struct.pack(">BQ", major | 27, number)


def _double(value: float) -> bytes:
    if math.isnan(value):
        return b"\xf9\x7e\x00"
    if math.isinf(value):
        return b"\xf9\x7c\x00" if value > 0 else b"\xf9\xfc\x00"
    return b"\xfb" + struct.pack(">d", value)
