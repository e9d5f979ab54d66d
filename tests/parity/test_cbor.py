"""CBOR: the examples of RFC 8949, and C against the twin against cbor2, good input and bad."""

from __future__ import annotations

import importlib
import math
import os
import random
import struct
from types import ModuleType
from typing import Any

import pytest

from kato_fast import native
from kato_fast.reference import cbor as twin

cbor2 = pytest.importorskip("cbor2", reason="cbor2 is not installed (pip install 'kato_fast[test]')")

SIDES = ["twin"] if native.wire("cbor") is None else ["twin", "c"]
CASES = int(os.environ.get("KATO_FAST_CASES", "600"))


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> ModuleType:
    return twin if request.param == "twin" else importlib.import_module("kato_fast._cbor")


inf, nan = math.inf, math.nan
# Appendix A: (bytes, value, whether we write the value with these bytes).
EXAMPLES: list[tuple[str, Any, bool]] = [
    ("00", 0, True),
    ("01", 1, True),
    ("0a", 10, True),
    ("17", 23, True),
    ("1818", 24, True),
    ("1819", 25, True),
    ("1864", 100, True),
    ("1903e8", 1000, True),
    ("1a000f4240", 1000000, True),
    ("1b000000e8d4a51000", 1000000000000, True),
    ("1bffffffffffffffff", 18446744073709551615, True),
    ("3bffffffffffffffff", -18446744073709551616, True),
    ("20", -1, True),
    ("29", -10, True),
    ("3863", -100, True),
    ("3903e7", -1000, True),
    ("f90000", 0.0, False),
    ("f98000", -0.0, False),
    ("f93c00", 1.0, False),
    ("fb3ff199999999999a", 1.1, True),
    ("f93e00", 1.5, False),
    ("f97bff", 65504.0, False),
    ("fa47c35000", 100000.0, False),
    ("fa7f7fffff", 3.4028234663852886e38, False),
    ("fb7e37e43c8800759c", 1.0e300, True),
    ("f90001", 5.960464477539063e-8, False),
    ("f90400", 0.00006103515625, False),
    ("f9c400", -4.0, False),
    ("fbc010666666666666", -4.1, True),
    ("f97c00", inf, True),
    ("f97e00", nan, True),
    ("f9fc00", -inf, True),
    ("fa7f800000", inf, False),
    ("fa7fc00000", nan, False),
    ("faff800000", -inf, False),
    ("fb7ff0000000000000", inf, False),
    ("fb7ff8000000000000", nan, False),
    ("fbfff0000000000000", -inf, False),
    ("f4", False, True),
    ("f5", True, True),
    ("f6", None, True),
    ("40", b"", True),
    ("4401020304", b"\1\2\3\4", True),
    ("60", "", True),
    ("6161", "a", True),
    ("6449455446", "IETF", True),
    ("62225c", '"\\', True),
    ("62c3bc", "\u00fc", True),
    ("63e6b0b4", "\u6c34", True),
    ("64f0908591", "\U00010151", True),
    ("80", [], True),
    ("83010203", [1, 2, 3], True),
    ("8301820203820405", [1, [2, 3], [4, 5]], True),
    ("98190102030405060708090a0b0c0d0e0f101112131415161718181819", list(range(1, 26)), True),
    ("a0", {}, True),
    ("a26161016162820203", {"a": 1, "b": [2, 3]}, True),
    ("826161a161626163", ["a", {"b": "c"}], True),
    ("a56161614161626142616361436164614461656145", dict(zip("abcde", "ABCDE")), True),
    ("5f42010243030405ff", b"\1\2\3\4\5", False),
    ("7f657374726561646d696e67ff", "streaming", False),
    ("9fff", [], False),
    ("9f018202039f0405ffff", [1, [2, 3], [4, 5]], False),
    ("9f01820203820405ff", [1, [2, 3], [4, 5]], False),
    ("83018202039f0405ff", [1, [2, 3], [4, 5]], False),
    ("83019f0203ff820405", [1, [2, 3], [4, 5]], False),
    ("9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff", list(range(1, 26)), False),
    ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}, False),
    ("826161bf61626163ff", ["a", {"b": "c"}], False),
    ("bf6346756ef563416d7421ff", {"Fun": True, "Amt": -2}, False),
]
# Those of appendix A with what JSON has not.
REFUSED = {
    "c249010000000000000000": "a tag",
    "c349010000000000000000": "a tag",
    "f7": "undefined",
    "f0": "not CBOR",
    "f8ff": "not CBOR",
    "c074323031332d30332d32315432303a30343a30305a": "a tag",
    "c11a514b67b0": "a tag",
    "c1fb41d452d9e8200000": "a tag",
    "d74401020304": "a tag",
    "d818456449455446": "a tag",
    "d82076687474703a2f2f7777772e6578616d706c652e636f6d": "a tag",
    "a201020304": "a key that is no text",
}


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit, and of equal types."""
    return type(a) is type(b) and repr(a) == repr(b)


@pytest.mark.parametrize(("text", "value", "written"), EXAMPLES, ids=[text for text, _, _ in EXAMPLES])
def test_examples(side: ModuleType, text: str, value: Any, written: bool) -> None:
    data = bytes.fromhex(text)
    assert same(side.loads(data), value)
    if written:
        assert side.dumps(value) == data
    assert same(side.loads(side.dumps(value)), value)


@pytest.mark.parametrize(("text", "why"), REFUSED.items())
def test_examples_that_json_has_not(side: ModuleType, text: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^data .*{why}.* at byte 0|1$"):
        side.loads(bytes.fromhex(text))


# ---- Refusals ----

FAULTS = [
    ("", "data ends inside of an item at byte 0"),
    ("8201", "data ends inside of an item at byte 2"),
    ("6261", "data ends inside of an item at byte 0"),
    ("1b00000000", "data ends inside of an item at byte 0"),
    ("5bffffffffffffffff", "data ends inside of an item at byte 0"),
    ("7b7fffffffffffffff61", "data ends inside of an item at byte 0"),
    ("9bffffffffffffffff", "data ends inside of an item at byte 0"),
    ("9b000000000000ffff", "data ends inside of an item at byte 9"),
    ("bb8000000000000000", "data ends inside of an item at byte 0"),
    ("9f01", "data ends inside of an item at byte 2"),
    ("0000", "data goes on behind its value at byte 1"),
    ("1c", "data is not CBOR at byte 0"),
    ("ff", "data is not CBOR at byte 0"),
    ("81ff", "data is not CBOR at byte 1"),
    ("bf6161ff", "data is not CBOR at byte 3"),
    ("1f", "data is not CBOR at byte 0"),
    ("df", "data has a tag, which has no place, at byte 0"),
    ("d0", "data has a tag, which has no place, at byte 0"),
    ("5fc1", "data has a tag, which has no place, at byte 1"),
    ("fc", "data is not CBOR at byte 0"),
    ("5f6161ff", "data is not CBOR at byte 1"),
    ("5f5f4100ffff", "data is not CBOR at byte 1"),
    ("7f01ff", "data is not CBOR at byte 1"),
    ("7f61c361bcff", "data has text that is not UTF-8 at byte 1"),
    ("61ff", "data has text that is not UTF-8 at byte 0"),
    ("63eda080", "data has text that is not UTF-8 at byte 0"),
    ("62c080", "data has text that is not UTF-8 at byte 0"),
    ("a14100f6", "data has a key that is no text at byte 1"),
    ("bf5f4161fff6ff", "data has a key that is no text at byte 1"),
    ("a1a0f6", "data has a key that is no text at byte 1"),
    ("a2616101616102", "data has the key 'a' twice in one map at byte 4"),
    ("81a261610161", "data ends inside of an item at byte 5"),
    ("a2616101" + "7f6161ff" + "02", "data has the key 'a' twice in one map at byte 4"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_faults(side: ModuleType, text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        side.loads(bytes.fromhex(text))
    assert str(caught.value) == message


def test_limits(side: ModuleType) -> None:
    assert side.dumps(side.loads(b"\x81" * 256 + b"\0")) == b"\x81" * 256 + b"\0"
    with pytest.raises(ValueError, match="^data is nested more than 256 levels deep at byte 256$"):
        side.loads(b"\x81" * 257 + b"\0")
    with pytest.raises(ValueError, match="^data is nested more than 2 levels deep at byte 2$"):
        side.loads(b"\x9f\x9f\x9f\xff\xff\xff", max_depth=2)
    assert side.loads(b"\x83\1\2\3", max_items=4) == [1, 2, 3]
    with pytest.raises(ValueError, match="^data has more than 3 items at byte 3$"):
        side.loads(b"\x83\1\2\3", max_items=3)
    with pytest.raises(ValueError, match="^data must have at most 3 bytes, not 4$"):
        side.loads(b"\x83\1\2\3", max_bytes=3)
    for name, most in (("max_depth", 256), ("max_items", 1 << 31), ("max_bytes", 1 << 40)):
        for value in (0, -1, most + 1):
            with pytest.raises(ValueError, match=f"^{name} must be between 1 and {most}, not {value}$"):
                side.loads(b"\0", **{name: value})
    for text in ("f97c00", "f97e00", "fbfff0000000000000"):
        with pytest.raises(ValueError, match="^data has a number that is not finite at byte 0$"):
            side.loads(bytes.fromhex(text), finite=True)


def test_bytes_like(side: ModuleType) -> None:
    data = side.dumps(["a", b"b"])
    for given in (data, bytearray(data), memoryview(data)):
        assert side.loads(given) == ["a", b"b"]
    for bad in ("a", 1, None, ["a"]):
        with pytest.raises(TypeError, match=f"^data must be bytes-like, not {type(bad).__name__}$"):
            side.loads(bad)


def test_declared_sizes_cost_nothing(side: ModuleType) -> None:
    """Nine bytes that promise 2**40 items in each of 60 levels."""
    bomb = bytes.fromhex("9b0000010000000000") * 60
    with pytest.raises(ValueError, match=f"^data ends inside of an item at byte {len(bomb)}$"):
        side.loads(bomb)


DEEP: Any = 0
for _ in range(257):
    DEEP = [DEEP]
UNWRITABLE = [
    (1 << 64, ValueError, "value must be between -2**64 and 2**64 - 1"),
    ([{"a": -(1 << 64) - 1}], ValueError, "value[0]['a'] must be between -2**64 and 2**64 - 1"),
    (
        {"a": [0, {1}]},
        TypeError,
        "value['a'][1] must be None, bool, int, float, str, bytes, list, tuple or dict, not set",
    ),
    ({"a": {1: 2}}, TypeError, "value['a'] must have keys that are str, not int"),
    (["x\ud800"], ValueError, "value[0] must be valid Unicode: lone surrogate at index 1"),
    (DEEP, ValueError, "value must not be nested more than 256 levels deep"),
    (object, TypeError, "value must be None, bool, int, float, str, bytes, list, tuple or dict, not type"),
]


@pytest.mark.parametrize(("value", "error", "message"), UNWRITABLE, ids=range(len(UNWRITABLE)))
def test_what_cannot_be_written(side: ModuleType, value: Any, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        side.dumps(value)
    assert str(caught.value) == message


# ---- At random ----

EDGES = [0, 1, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1]


def made_up(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(10 if depth < 6 else 7)
    if kind < 2:
        number = rng.choice(EDGES) if rng.random() < 0.5 else rng.getrandbits(rng.randrange(1, 65))
        return number if rng.random() < 0.6 else -1 - number
    if kind == 2:
        return (
            struct.unpack(">d", rng.randbytes(8))[0] if rng.random() < 0.7 else rng.choice([0.0, -0.0, inf, -inf, nan])
        )
    if kind == 3:
        return rng.choice([None, True, False])
    if kind == 4:
        return "".join(rng.choice("ab\0é水😀") for _ in range(rng.choice([0, 1, 5, 23, 24, 300])))
    if kind < 7:
        return rng.randbytes(rng.choice([0, 1, 23, 24, 300]))
    count = rng.choice([0, 1, 2, 3, 24, 30])
    if kind == 7:
        return {f"k{rng.randrange(1000)}": made_up(rng, depth + 2) for _ in range(count)}
    return [made_up(rng, depth + 2) for _ in range(count)]


def outcome(module: ModuleType, data: bytes) -> tuple:
    try:
        return "value", repr(module.loads(data))
    except ValueError as error:
        return "error", str(error)


def mutated(rng: random.Random, data: bytes) -> bytes:
    raw = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(raw) + 1)
        choice = rng.randrange(4)
        if choice == 0 and raw:
            raw[min(at, len(raw) - 1)] = rng.randrange(256)
        elif choice == 1:
            raw[at:at] = rng.choice([b"\xff", b"\x9f", b"\xbf", b"\x7f", b"\x5f", b"\x61a", b"\xf9\x7e\x00", b"\xc1"])
        elif choice == 2:
            del raw[at : at + rng.randrange(1, 4)]
        else:
            raw = raw[:at]
    return bytes(raw)


def test_random_values(side: ModuleType, rng: random.Random) -> None:
    for _ in range(CASES // 3):
        value = made_up(rng)
        data = side.dumps(value)
        assert data == cbor2.dumps(value)
        assert repr(side.loads(data)) == repr(value)


@pytest.mark.skipif(len(SIDES) == 1, reason="the C reader of CBOR is not built")
def test_both_sides_say_the_same(rng: random.Random) -> None:
    c = importlib.import_module("kato_fast._cbor")
    refused = 0
    for i in range(CASES * 3):
        data = rng.randbytes(rng.randrange(1, 12)) if i % 3 == 0 else mutated(rng, twin.dumps(made_up(rng)))
        ours = outcome(c, data)
        assert ours == outcome(twin, data), data.hex()
        refused += ours[0] == "error"
    assert refused > CASES / 10


def test_what_we_take_cbor2_takes_too(side: ModuleType, rng: random.Random) -> None:
    taken = 0
    for _ in range(CASES):
        data = mutated(rng, twin.dumps(made_up(rng)))
        kind, value = outcome(side, data)
        if kind == "value":
            taken += 1
            assert repr(cbor2.loads(data)) == value, data.hex()
    assert taken > 0
