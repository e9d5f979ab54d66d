"""Which keys a percentage takes: 10,000 buckets, with a salt per flag. ``csrc/core/bucket.c`` computes the same.

A key stays in its bucket for ever, so a higher percentage adds keys and moves none out.
"""

from __future__ import annotations

from zlib import crc32

BUCKETS = 10_000

_MASK = (1 << 64) - 1


def salt(flag: str) -> int:
    """The flag's own salt: FNV-1a of its name, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in flag.encode():
        value = ((value ^ byte) * 0x100000001B3) & _MASK
    return value


def bucket(salt: int, key: bytes) -> int:
    """0 to 9,999. The checksum is linear in the key: two rounds of multiplication make the flags independent."""
    mixed = ((crc32(key) + salt) * 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93) & _MASK
    return ((mixed ^ mixed >> 32) & 0xFFFFFFFF) * BUCKETS >> 32
