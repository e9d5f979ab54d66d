"""The C writer of CBOR against cbor2."""

from __future__ import annotations

import struct

import pytest

cbor2 = pytest.importorskip("cbor2", reason="cbor2 is not installed (pip install 'kato_fast[test]')")

SIZES = [0, 1, 23, 24, 25, 255, 256, 257, 65535, 65536, 65537]
NUMBERS = [*SIZES, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64 - 1]


def test_integers(ask_c, rng):
    values = NUMBERS + [rng.getrandbits(64) >> rng.randrange(64) for _ in range(2000)]
    assert ask_c([f"u {value}" for value in values], "cbor") == [cbor2.dumps(value).hex() for value in values]


def test_doubles(ask_c, rng):
    values = [0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, -1.5] + [rng.uniform(-1e6, 1e6) for _ in range(2000)]
    lines = ["d" + struct.pack(">d", value).hex() for value in values]
    assert ask_c(lines, "cbor") == [cbor2.dumps(value).hex() for value in values]


def test_texts(ask_c, rng):
    values = ["a" * size for size in SIZES] + ["é日😀\0\n" * rng.randrange(100) for _ in range(100)]
    lines = ["x" + value.encode().hex() for value in values]
    assert ask_c(lines, "cbor") == [cbor2.dumps(value).hex() for value in values]


def test_heads_of_arrays_and_maps(ask_c):
    """With the items behind them, by the number of bytes that the items take."""
    assert ask_c([f"a {size}" for size in SIZES], "cbor") == [
        cbor2.dumps([0] * size)[: -size or None].hex() for size in SIZES
    ]
    for size, head in zip(SIZES, ask_c([f"m {size}" for size in SIZES], "cbor")):
        whole = cbor2.dumps(dict.fromkeys(range(size), 0))
        assert whole.hex().startswith(head)
        assert len(whole) - len(head) // 2 == sum(len(cbor2.dumps(index)) + 1 for index in range(size))
