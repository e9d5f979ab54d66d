"""A checksum for large files, the same as in C."""

from __future__ import annotations

import struct

LANES = 8
MASK = (1 << 64) - 1
FIRST = 0x9E3779B97F4A7C15  # 2**64 / golden ratio
SECOND = 0xBF58476D1CE4E5B9  # of splitmix64


def checksum(data: bytes) -> int:
    """64 bits. Word i of the data goes to lane i % 8; bytes that are missing to a full 64 count as zeros."""
    data = bytes(data) + bytes(-len(data) % (8 * LANES))
    words = struct.unpack(f"<{len(data) // 8}Q", data)
    total = _sum(0, [_sum(lane + 1, words[lane::LANES]) for lane in range(LANES)])
    return total ^ total >> 32


def _sum(state: int, words) -> int:
    for word in words:
        product = (state ^ word) * FIRST & MASK
        state = (product ^ product >> 32) * SECOND & MASK
    return state
