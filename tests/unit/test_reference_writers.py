"""The twin's CBOR against the examples of RFC 8949 and against cbor2; the special cases of metrics and score."""

from __future__ import annotations

import math
import random

import pytest

from kato_fast.reference import cbor, metrics, score

#: RFC 8949, appendix A; the doubles that cbor2 writes as 64 bits in their 64-bit form.
RFC_8949 = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (255, "18ff"),
    (256, "190100"),
    (1000, "1903e8"),
    (65535, "19ffff"),
    (65536, "1a00010000"),
    (1000000, "1a000f4240"),
    (4294967295, "1affffffff"),
    (4294967296, "1b0000000100000000"),
    (1000000000000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (1.1, "fb3ff199999999999a"),
    (-4.1, "fbc010666666666666"),
    (1.0e300, "fb7e37e43c8800759c"),
    (0.0, "fb0000000000000000"),
    (-0.0, "fb8000000000000000"),
    (math.inf, "f97c00"),
    (-math.inf, "f9fc00"),
    (math.nan, "f97e00"),
    ("", "60"),
    ("IETF", "6449455446"),
    ("\u00fc", "62c3bc"),
    ("\u6c34", "63e6b0b4"),
    ("\U00010151", "64f0908591"),
    ([], "80"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
    ({}, "a0"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
]


@pytest.mark.parametrize(("value", "expected"), RFC_8949, ids=[expected for _, expected in RFC_8949])
def test_cbor_of_the_rfc(value: object, expected: str) -> None:
    assert cbor.dumps(value).hex() == expected


def test_cbor_is_that_of_cbor2(rng: random.Random) -> None:
    cbor2 = pytest.importorskip("cbor2", reason="cbor2 is not installed")
    values = [random_value(rng, 4) for _ in range(300)] + [value for value, _ in RFC_8949]
    for value in values:
        assert cbor.dumps(value) == cbor2.dumps(value), value


def random_value(rng: random.Random, depth: int) -> object:
    kind = rng.randrange(5 if depth else 3)
    if kind == 0:
        return rng.randrange(1 << rng.choice((4, 5, 8, 9, 16, 17, 32, 33, 64)))
    if kind == 1:
        return rng.uniform(-1, 1) * 10.0 ** rng.randint(-300, 300)
    if kind == 2:
        return "".join(rng.choice('aß水😀\0"\\') for _ in range(rng.choice((0, 1, 23, 24, 300))))
    items = [random_value(rng, depth - 1) for _ in range(rng.choice((0, 1, 3, 24)))]
    return items if kind == 3 else {str(i): item for i, item in enumerate(items)}


def test_metrics_of_nothing() -> None:
    assert metrics.entropy([], {}) == 0.0
    assert metrics.hamiltonian([], 5) == 0.0
    assert metrics.grand_hamiltonian([], {}, 5) == 0.0
    assert metrics.confluence([], {}, 1, 2) == 0.5
    assert metrics.confluence(["a"], {"a": 1.0}, 1, 0) == 0.0
    assert metrics.itfdf_similarity(["a"], ["a"], {"a": 1}, {"a": 1.0}, 1, 0) == 0.0


def test_metrics_of_symbols_without_probability() -> None:
    assert metrics.entropy(["a"], {}) == 0.0
    assert metrics.grand_hamiltonian(["a"], {"a": 0.0}, 5) == 0.0
    assert metrics.confluence(["a", "b"], {"a": 0.0}, 1, 1) == 1.0  # 1 - 10**-20
    assert metrics.itfdf_similarity(["a"], ["a"], {"a": 1}, {}, 1, 2) == 0.5  # distance 1.0


def test_one_symbol_known_has_no_logarithm_base() -> None:
    assert metrics.hamiltonian(["a", "a"], 1) == 0.0
    assert metrics.grand_hamiltonian(["a"], {"a": 0.5}, 1) == 0.0


def test_sums_run_left_to_right() -> None:
    """The built-in sum of Python 3.12 would give 2.0 here; the host's order loses the small terms."""
    prediction = [Weighted(1, 1e16), Weighted(1, 1.0), Weighted(1, 1.0)]
    futures = score.ensemble(prediction, 3)
    assert [future["total_weighted_frequency"] for future in futures] == [1e16]
    assert futures[0]["supporting_patterns"] == 3


class Weighted:
    """What ensemble() reads and writes of a prediction."""

    def __init__(self, frequency: int, similarity: float) -> None:
        self.frequency, self.similarity, self.future = frequency, similarity, [["x", "y"]]
