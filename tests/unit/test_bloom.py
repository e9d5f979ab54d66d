"""The Bloom filter: both implementations, the same bytes and the same answers."""

from __future__ import annotations

import array
import copy
import gc
import mmap
import pickle
import random
import struct
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from kato_fast import native
from kato_fast.reference import bloom as twin

KNOWN_HASHES = {  # by the program of wyhash's author, seed 0
    b"": 0x93228A4DE0EEC5A2,
    b"a": 0xACED12527FE5BFF8,
    b"abc": 0x989B4A209C1011C9,
    b"message digest": 0x309AB4C045215E8F,
    b"abcdefghijklmnopqrstuvwxyz": 0xCCAEADC12A061176,
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789": 0x1FDD130ECB5B4709,
    b"1234567890" * 8: 0x7E22DA19F1A6055A,
}
# BloomFilter(3, 0.01) with "a", b"bc" and "é€😀", as every version must write and read it.
KNOWN_BYTES = bytes.fromhex(
    "6b665f626c6f6f6d010000000000000003000000000000007b14ae47e17a843f"
    "03000000000000000100000000000000d24668b46d15b5ee2556e070fbc234e4"
    "0000030100005008028100000404010000031000110008000100008408000202"
)
HEADER = 64


@pytest.fixture
def bloom(engine):
    return engine.BloomFilter


def filled(bloom, keys, *arguments):
    made = bloom(*arguments)
    made.update(keys)
    return made


def numbers(first, last):
    return [f"key {i}" for i in range(first, last)]


def random_key(rng):
    length = rng.choice([0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 95, 96, 97, 200])
    if rng.random() < 0.5:
        return bytes(rng.randrange(256) for _ in range(length))
    top = rng.choice([0x7F, 0xFF, 0x7FF, 0xD7FF, 0x10FFFF])
    codes = (rng.randrange(top + 1) for _ in range(length))
    return "".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000)


# ---- Keys ----


def test_add_and_ask(bloom):
    made = bloom(1000, 1e-6)
    assert len(made) == 0
    assert "a" not in made
    assert made.add("a") is True
    assert made.add("a") is False
    assert "a" in made
    assert "b" not in made
    assert len(made) == 1
    assert made.capacity == 1000
    assert made.error_rate == 1e-6
    with pytest.raises(AttributeError):
        made.capacity = 5


def test_defaults_and_keywords(bloom):
    assert bloom(5).error_rate == 0.001
    made = bloom(error_rate=0.5, capacity=7)
    assert (made.capacity, made.error_rate) == (7, 0.5)


def test_text_and_its_utf8_are_one_key(bloom):
    made = bloom(100, 1e-6)
    for text in ("", "a", "nul \0 inside", "é", "€uro", "😀" * 40):
        assert made.add(text) is True
        assert made.add(text.encode()) is False
        assert text.encode() in made


def test_subclasses_of_str_and_bytes_are_keys(bloom):
    made = filled(bloom, [type("S", (str,), {})("é"), type("B", (bytes,), {})(b"b")], 10)
    assert made.contains_many(["é", b"b"]) == b"\1\1"


@pytest.mark.parametrize("kind", [list, tuple, iter, dict.fromkeys, lambda keys: (key for key in keys)])
def test_keys_may_be_any_iterable(bloom, kind):
    keys = numbers(0, 50)
    made = filled(bloom, kind(keys), 100)
    assert len(made) == 50
    assert made.contains_many(kind(keys)) == b"\1" * 50
    assert made.update([]) is None
    assert made.contains_many(()) == b""


def test_batches_answer_as_single_calls(bloom, rng):
    keys = [random_key(rng) for _ in range(400)]
    one, many = bloom(60, 0.05), bloom(60, 0.05)
    for key in keys[:200]:
        one.add(key)
    many.update(keys[:200])
    assert one.to_bytes() == many.to_bytes()
    assert list(many.contains_many(keys)) == [key in one for key in keys]
    assert many.contains_many(keys[:200]) == b"\1" * 200


def test_more_keys_than_the_capacity(bloom):
    made = filled(bloom, numbers(0, 3000), 10)
    assert made.contains_many(numbers(0, 3000)) == b"\1" * 3000
    assert 10 < len(made) < 3000


# ---- The same bytes and answers everywhere ----


@pytest.mark.parametrize("key", KNOWN_HASHES)
def test_known_hashes(bloom, key):
    assert twin.hash_bytes(key) == KNOWN_HASHES[key]
    made = filled(bloom, [key], 1000)
    assert made.to_bytes() == filled(twin.BloomFilter, [key], 1000).to_bytes()


def test_known_bytes(bloom):
    made = filled(bloom, ["a", b"bc", "é€😀"], 3, 0.01)
    assert made.to_bytes().hex() == KNOWN_BYTES.hex()
    assert bloom.from_bytes(KNOWN_BYTES).contains_many(["a", "bc", "é€😀", "d"]) == b"\1\1\1\0"


def test_bytes_and_answers_are_those_of_the_twin(bloom, rng):
    for _ in range(60):
        arguments = rng.randrange(1, 300), 10 ** -rng.uniform(0.01, 7)
        keys = [random_key(rng) for _ in range(rng.randrange(200))]
        made, expected = bloom(*arguments), twin.BloomFilter(*arguments)
        assert [made.add(key) for key in keys] == [expected.add(key) for key in keys]
        assert made.to_bytes() == expected.to_bytes()
        asked = keys + [random_key(rng) for _ in range(100)]
        assert made.contains_many(asked) == expected.contains_many(asked)
        assert len(made) == len(expected)


def test_size_is_that_of_the_twin(bloom, rng):
    """Also where the filter would not fit: the number of blocks is checked before the size of the data."""
    cases = [(twin.MAX_CAPACITY, 1e-8), (twin.MAX_CAPACITY, 0.999999), (1, 1e-8), (2, 1e-8), (1, 0.5)]
    cases += [(int(2 ** rng.uniform(0, 36)), 10 ** -rng.uniform(0.0001, 8)) for _ in range(300)]
    for capacity, error_rate in cases:
        blocks = twin.blocks_needed(capacity, error_rate)
        with pytest.raises(ValueError, match=f"data must have {HEADER + 32 * blocks} bytes, not 64"):
            bloom.from_bytes(header(capacity=capacity, error_rate=error_rate, blocks=blocks))
        with pytest.raises(ValueError, match="number of blocks"):
            bloom.from_bytes(header(capacity=capacity, error_rate=error_rate, blocks=blocks - 1))


# ---- The promised rate ----


@pytest.mark.parametrize("error_rate", [1e-2, 1e-3, 1e-4])
def test_rate_when_full(implementation, bloom, error_rate):
    capacity, asked = (20_000, 2_000_000) if implementation == "c" else (5_000, 50_000)
    made = filled(bloom, numbers(0, capacity), capacity, error_rate)
    found = sum(made.contains_many(numbers(capacity, capacity + asked)))
    expected = error_rate * asked
    slack = 5 * expected**0.5 + 0.1 * expected
    print(f"{found} false answers of {asked}, {expected:.0f} expected")
    assert expected - slack <= found <= expected + slack


@pytest.mark.parametrize("capacity,error_rate", [(1, 0.5), (2, 0.01), (7, 0.1), (20, 0.9), (60, 0.05), (300, 0.3)])
def test_rate_of_small_filters(bloom, rng, capacity, error_rate):
    """The size is whole blocks, so the rate may be better than promised; it may not be worse."""
    found, filters, asked = 0, 100, 100
    for _ in range(filters):
        made = filled(bloom, [rng.getrandbits(64).to_bytes(8, "big") for _ in range(capacity)], capacity, error_rate)
        found += sum(made.contains_many([rng.getrandbits(72).to_bytes(9, "big") for _ in range(asked)]))
    expected = error_rate * filters * asked
    assert found <= expected + 6 * expected**0.5


def test_rate_formula_is_the_mean_over_the_keys_of_a_block():
    for capacity, blocks in [(1, 1), (9, 1), (9, 2), (40, 3), (100, 9)]:
        mean = sum(binomial(capacity, i, 1 / blocks) * (1 - (31 / 32) ** i) ** 8 for i in range(capacity + 1))
        assert twin.full_error_rate(capacity, blocks) == pytest.approx(mean, rel=1e-9)


def binomial(n, i, p):
    chance = (1 - p) ** (n - i) * p**i
    for j in range(i):
        chance = chance * (n - j) / (j + 1)
    return chance


@pytest.mark.parametrize("error_rate", [0.5, 1e-2, 1e-4, 1e-8])
@pytest.mark.parametrize("capacity", [2, 3, 100, 12345, 10**7])
def test_size_is_the_smallest_that_keeps_the_promise(capacity, error_rate):
    blocks = twin.blocks_needed(capacity, error_rate)
    assert twin.full_error_rate(capacity, blocks) <= error_rate
    if blocks > -(-capacity // twin.BLOCK_BITS):
        assert twin.full_error_rate(capacity, blocks - 1) > error_rate


# ---- Bad input ----

BAD_ARGUMENTS = [
    ((True,), TypeError, "capacity must be an int, not bool"),
    ((1.0,), TypeError, "capacity must be an int, not float"),
    (("1",), TypeError, "capacity must be an int, not str"),
    ((None,), TypeError, "capacity must be an int, not NoneType"),
    ((0,), ValueError, "capacity must be from 1 to 68719476736, not 0"),
    ((-5,), ValueError, "capacity must be from 1 to 68719476736, not -5"),
    ((2**36 + 1,), ValueError, "capacity must be from 1 to 68719476736, not 68719476737"),
    ((2**63,), ValueError, "capacity must be from 1 to 68719476736"),
    ((-(10**5000),), ValueError, "capacity must be from 1 to 68719476736"),
    ((1, "0.1"), TypeError, "error_rate must be a number, not str"),
    ((1, None), TypeError, "error_rate must be a number, not NoneType"),
    ((1, 0), ValueError, "error_rate must be over 0 and under 1, not 0.0"),
    ((1, 1), ValueError, "error_rate must be over 0 and under 1, not 1.0"),
    ((1, True), ValueError, "error_rate must be over 0 and under 1, not 1.0"),
    ((1, -1), ValueError, "error_rate must be over 0 and under 1, not -1.0"),
    ((1, -0.25), ValueError, "error_rate must be over 0 and under 1, not -0.25"),
    ((1, 1.5), ValueError, "error_rate must be over 0 and under 1, not 1.5"),
    ((1, float("nan")), ValueError, "error_rate must be over 0 and under 1, not nan"),
    ((1, float("inf")), ValueError, "error_rate must be over 0 and under 1, not inf"),
    ((1, 10**400), ValueError, "error_rate must be over 0 and under 1, not inf"),
    ((1, -(10**400)), ValueError, "error_rate must be over 0 and under 1, not -inf"),
    ((1, 5e-324), ValueError, "error_rate must be at least 1e-08, not 5e-324"),
    ((1, 9.99e-9), ValueError, "error_rate must be at least 1e-08, not 9.99e-09"),
]


@pytest.mark.parametrize("arguments,kind,text", BAD_ARGUMENTS, ids=[text for _, _, text in BAD_ARGUMENTS])
def test_bad_arguments(bloom, arguments, kind, text):
    with pytest.raises(kind) as caught:
        bloom(*arguments)
    assert str(caught.value) == text
    assert type(caught.value) is kind


def test_arguments_that_are_missing_or_too_many(bloom):
    for arguments, keywords in [((), {}), ((1, 0.1, 2), {}), ((1,), {"rate": 0.1}), ((1,), {"capacity": 1})]:
        with pytest.raises(TypeError):
            bloom(*arguments, **keywords)


BAD_KEYS = [
    (1, TypeError, "{} must be a str or bytes, not int"),
    (None, TypeError, "{} must be a str or bytes, not NoneType"),
    (bytearray(b"a"), TypeError, "{} must be a str or bytes, not bytearray"),
    (array.array("b"), TypeError, "{} must be a str or bytes, not array"),
    ("\ud800", ValueError, "{} must be valid Unicode: lone surrogate at index 0"),
    ("añ😀\udfff", ValueError, "{} must be valid Unicode: lone surrogate at index 3"),
]


@pytest.mark.parametrize("key,kind,text", BAD_KEYS, ids=[ascii(key) for key, _, _ in BAD_KEYS])
def test_bad_keys(bloom, key, kind, text):
    made = bloom(10)
    calls = [
        (lambda: made.add(key), "key"),
        (lambda: key in made, "key"),
        (lambda: made.update(["a", b"b", "c", key]), "keys[3]"),
        (lambda: made.contains_many(iter([key, 5])), "keys[0]"),
    ]
    for call, place in calls:
        with pytest.raises(kind) as caught:
            call()
        assert str(caught.value) == text.format(place)
        assert type(caught.value) is kind
    assert len(made) == 0
    assert made.contains_many(["a", "b", "c"]) == b"\0\0\0"


@pytest.mark.parametrize("keys", ["abc", b"abc", 5, None])
def test_bad_iterables(bloom, keys):
    made = bloom(10)
    for call in (made.update, made.contains_many):
        with pytest.raises(TypeError) as caught:
            call(keys)
        assert str(caught.value) == f"keys must be an iterable of str or bytes, not {type(keys).__name__}"


def test_errors_of_the_iterator_come_through(bloom):
    def broken():
        yield "a"
        raise LookupError("by the iterator")

    made = bloom(10)
    for call in (made.update, made.contains_many):
        with pytest.raises(LookupError, match="by the iterator"):
            call(broken())
    assert "a" not in made


# ---- The serialised form ----


def header(**changes):
    """A header that is right for itself; a filter of 40 keys, unless told otherwise."""
    fields = {"capacity": 40, "error_rate": 0.01, "count": 0, "blocks": twin.blocks_needed(40, 0.01)}
    fields.update(changes)
    start = b"kf_bloom" + struct.pack("<QQdQQQ", 1, *fields.values(), 0)
    return start + struct.pack("<Q", twin.hash_bytes(start))


def test_bytes_there_and_back(bloom):
    for count in (0, 1, 100, 500):
        made = filled(bloom, numbers(0, count), 100, 0.02)
        again = bloom.from_bytes(made.to_bytes())
        assert again.to_bytes() == made.to_bytes()
        assert (len(again), again.capacity, again.error_rate) == (len(made), 100, 0.02)
        assert again.contains_many(numbers(0, 1000)) == made.contains_many(numbers(0, 1000))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: array.array("Q", data)])
def test_any_bytes_like_object(bloom, kind):
    made = filled(bloom, ["a"], 10)
    assert bloom.from_bytes(kind(made.to_bytes())).to_bytes() == made.to_bytes()


def test_large_filters_there_and_back(bloom):
    made = filled(bloom, numbers(0, 5000), 200_000)
    data = made.to_bytes()
    assert len(data) > 1 << 18
    assert bloom.from_bytes(data).to_bytes() == data


def test_every_damaged_byte_is_found(bloom):
    data = bytearray(filled(bloom, numbers(0, 40), 40, 0.01).to_bytes())
    assert len(data) == HEADER + 64
    for i, byte in enumerate(data):
        for flip in (1, 0x80, 0xFF):
            data[i] = byte ^ flip
            with pytest.raises(ValueError, match=what_is_damaged(i)):
                bloom.from_bytes(data)
        data[i] = byte
    bloom.from_bytes(data)


def what_is_damaged(i):
    if i < 8:
        return "^data must begin with the magic of a Bloom filter$"
    if i < 16:
        return "^data must have version 1, not [0-9]+$"
    return f"^data is damaged: the checksum of its {'header' if i < HEADER else 'blocks'} does not match$"


def test_lost_and_added_bytes_are_found(bloom):
    data = filled(bloom, numbers(0, 40), 40, 0.01).to_bytes()
    for size in range(HEADER):
        with pytest.raises(ValueError, match=f"^data must have at least 64 bytes, not {size}$"):
            bloom.from_bytes(data[:size])
    for size in [*range(HEADER, len(data)), len(data) + 1, len(data) + 32]:
        with pytest.raises(ValueError, match=f"^data must have {len(data)} bytes, not {size}$"):
            bloom.from_bytes((data + bytes(32))[:size])


@pytest.mark.parametrize(
    "changes,text",
    [
        ({"capacity": 0}, "data has a capacity that is not from 1 to 68719476736"),
        ({"capacity": 2**36 + 1}, "data has a capacity that is not from 1 to 68719476736"),
        ({"capacity": 2**64 - 1}, "data has a capacity that is not from 1 to 68719476736"),
        ({"error_rate": 0.0}, "data has an error_rate that is not from 1e-08 to under 1"),
        ({"error_rate": 1.0}, "data has an error_rate that is not from 1e-08 to under 1"),
        ({"error_rate": -0.5}, "data has an error_rate that is not from 1e-08 to under 1"),
        ({"error_rate": float("nan")}, "data has an error_rate that is not from 1e-08 to under 1"),
        ({"blocks": 0}, "data has a number of blocks that its capacity and error_rate do not give"),
        ({"blocks": 2**64 - 1}, "data has a number of blocks that its capacity and error_rate do not give"),
        ({"capacity": 5000}, "data has a number of blocks that its capacity and error_rate do not give"),
        ({"count": 513}, "data has a count of more keys than its blocks have bits"),
        ({"count": 2**64 - 1}, "data has a count of more keys than its blocks have bits"),
        ({}, "data must have 128 bytes, not 64"),
    ],
)
def test_headers_that_lie(bloom, changes, text):
    with pytest.raises(ValueError) as caught:
        bloom.from_bytes(header(**changes))
    assert str(caught.value) == text


@pytest.mark.parametrize("data", ["text", 5, None, [1, 2]])
def test_data_that_is_no_bytes(bloom, data):
    with pytest.raises(TypeError) as caught:
        bloom.from_bytes(data)
    assert str(caught.value) == f"data must be a bytes-like object, not {type(data).__name__}"


def test_data_with_gaps(bloom):
    with pytest.raises(BufferError):
        bloom.from_bytes(memoryview(bytes(256))[::2])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(bloom, protocol):
    made = filled(bloom, numbers(0, 50), 40, 0.05)
    again = pickle.loads(pickle.dumps(made, protocol))
    assert type(again) is bloom
    assert again.to_bytes() == made.to_bytes()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_are_independent(bloom, copied):
    made = filled(bloom, ["a"], 1000)
    other = copied(made)
    assert other.add("b")
    assert other.to_bytes() != made.to_bytes()
    assert "b" not in made
    assert len(made) == 1


# ---- Attached to bytes that are there already ----


def test_attached_filter_answers_as_a_copy(bloom):
    for count in (0, 1, 100, 500):
        data = filled(bloom, numbers(0, count), 100, 0.02).to_bytes()
        attached = bloom.attach(data)
        assert (len(attached), attached.capacity, attached.error_rate) == (
            len(bloom.from_bytes(data)),
            100,
            0.02,
        )
        assert attached.contains_many(numbers(0, 1000)) == bloom.from_bytes(data).contains_many(numbers(0, 1000))
        assert attached.to_bytes() == data
        assert ("key 0" in attached) == (count > 0)


@pytest.mark.parametrize("kind", [bytes, lambda data: memoryview(bytearray(data)).toreadonly()])
def test_attached_to_what_cannot_be_written(bloom, kind):
    data = filled(bloom, ["a"], 1000).to_bytes()
    attached = bloom.attach(kind(data))
    for call in (lambda: attached.add("b"), lambda: attached.update(["b"]), lambda: attached.update([])):
        with pytest.raises(ValueError, match="^the filter is attached to a read-only buffer$"):
            call()
    with pytest.raises(TypeError, match="key must be"):
        attached.add(5)  # the key is looked at first
    assert attached.to_bytes() == data
    other = copy.copy(attached)
    assert other.add("b")  # a copy has its own bytes
    assert attached.to_bytes() == data


@pytest.mark.parametrize("offset", [0, 1, 7])
def test_attached_to_what_can_be_written(bloom, offset):
    """At any address, with more bytes behind it, which stay as they are."""
    data = filled(bloom, numbers(0, 100), 1000, 1e-6).to_bytes()
    buffer = bytearray(b"\xaa" * offset + data + b"\xbb" * 40)
    attached, beside = (bloom.attach(memoryview(buffer)[offset:]) for _ in range(2))
    assert attached.add("new") is True
    assert attached.add("new") is False
    attached.update(numbers(100, 300))
    assert beside.contains_many(["new", *numbers(0, 300)]) == b"\1" * 301  # the same bits, nothing copied
    expected = filled(bloom, ["new", *numbers(0, 300)], 1000, 1e-6)
    assert attached.to_bytes() == expected.to_bytes()
    assert buffer[offset + HEADER : offset + len(data)] == expected.to_bytes()[HEADER:]
    assert buffer[:offset] + buffer[offset + len(data) :] == b"\xaa" * offset + b"\xbb" * 40
    assert (len(attached), len(beside)) == (301, 100)  # each counts its own
    assert bloom.attach(memoryview(buffer)[offset:]).capacity == 1000
    with pytest.raises(ValueError, match="checksum of its blocks"):
        bloom.from_bytes(bytes(buffer)[offset : offset + len(data)])


def test_attached_filter_keeps_the_buffer(bloom):
    buffer = bytearray(filled(bloom, numbers(0, 100), 100).to_bytes())
    attached = bloom.attach(buffer)
    with pytest.raises(BufferError):
        buffer.append(0)
    holder = [array.array("B", buffer)]
    other = bloom.attach(holder[0])
    holder.clear()
    gc.collect()
    assert other.contains_many(numbers(0, 100)) == b"\1" * 100
    del attached
    gc.collect()
    buffer.append(0)


def test_attach_checks_the_header(bloom):
    data = bytearray(filled(bloom, numbers(0, 40), 40, 0.01).to_bytes())
    for i in range(HEADER):
        data[i] ^= 0x80
        with pytest.raises(ValueError, match=what_is_damaged(i)):
            bloom.attach(bytes(data))
        data[i] ^= 0x80
    for size in range(len(data)):
        text = f"data must have at least {HEADER if size < HEADER else len(data)} bytes, not {size}"
        with pytest.raises(ValueError, match=f"^{text}$"):
            bloom.attach(bytes(data[:size]))
    with pytest.raises(ValueError, match="number of blocks"):
        bloom.attach(header(blocks=2**64 - 1))
    for wrong in ("text", 5, None):
        with pytest.raises(TypeError, match=f"^data must be a bytes-like object, not {type(wrong).__name__}$"):
            bloom.attach(wrong)
    with pytest.raises(BufferError):
        bloom.attach(memoryview(bytes(256))[::2])


SHARED = """
import mmap, sys
from kato_fast import native
with open(sys.argv[2], "r+b") as file:
    made = native.load(sys.argv[1]).BloomFilter.attach(mmap.mmap(file.fileno(), 0))
first, last = int(sys.argv[3]), int(sys.argv[4])
for i in range(first, last, 2):
    made.add(f"key {i}")
made.update([f"key {i}" for i in range(first + 1, last, 2)])
assert made.contains_many([f"key {i}" for i in range(first, last)]) == b"\\1" * (last - first)
"""


def test_processes_share_a_filter(implementation, bloom, tmp_path):
    """Several write at the same time, into few blocks, and no key is lost; the twin has one writer at a time."""
    each, processes = (20_000, 3) if implementation == "c" else (200, 2)
    path = tmp_path / "filter"
    path.write_bytes(bloom(2000, 0.001).to_bytes())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        attached = bloom.attach(mapped)
        command = [sys.executable, "-c", SHARED, implementation, str(path)]
        started = []
        for first in range(0, each * processes, each):
            arguments = [*command, str(first), str(first + each)]
            started.append(subprocess.Popen(arguments, stderr=subprocess.PIPE))
            if implementation != "c":
                started[-1].wait(60)
        for process in started:
            told = process.communicate(timeout=60)[1].decode()
            assert process.returncode == 0, told
        keys = numbers(0, each * processes)
        assert attached.contains_many(keys) == b"\1" * len(keys)
        with pytest.raises(ValueError, match="read-only"):
            attached.add("a")
        del attached


# ---- Threads and memory ----


def run_beside(threads, work):
    """work(number) in that many threads at once; what one of them raises is raised here."""
    start = threading.Barrier(threads)

    def run(number):
        start.wait()
        work(number)

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(run, number) for number in range(threads)]:
            done.result(timeout=60)


def test_threads(implementation, bloom):
    """Writers, batches above and below the size that lets the GIL go, and readers, all at once."""
    each = 12_000 if implementation == "c" else 300
    made = bloom(8 * each, 1e-6)

    def run(number):
        mine = numbers(number * each, (number + 1) * each)
        half = each // 2
        for key in mine[:100]:
            made.add(key)
        made.update(mine[:half])
        assert made.contains_many(mine[:half]) == b"\1" * half
        for first in range(half, each, 100):
            made.update(mine[first : first + 100])
            assert mine[first] in made
        assert bloom.from_bytes(made.to_bytes()).contains_many(mine) == b"\1" * each

    run_beside(8, run)
    keys = numbers(0, 8 * each)
    assert made.contains_many(keys) == b"\1" * len(keys)
    if implementation == "c":  # the bits do not depend on the order; the count nearly never does at this rate
        assert made.to_bytes()[HEADER:] == filled(bloom, keys, 8 * each, 1e-6).to_bytes()[HEADER:]
    assert abs(len(made) - len(filled(bloom, keys, 8 * each, 1e-6))) <= 5


def test_batches_without_the_gil(implementation, bloom):
    """Large enough for threads to be in the filter at the same time, and to lose bits or counts but for the lock."""
    threads, size, rounds = 3, *((60_000, 5) if implementation == "c" else (100, 1))
    batches = [numbers(first, first + size) for first in range(0, 3 * threads * size, size)]
    singles = [[key + "!" for key in batch[::50]] for batch in batches]
    capacity = 3 * threads * size
    expected = bloom(capacity, 1e-6)
    for keys in batches + singles:
        expected.update(keys)
    shares = [(batches[number::threads], singles[number::threads]) for number in range(threads)]
    for _ in range(rounds):
        made = bloom(capacity, 1e-6)
        run_beside(threads, lambda number, made=made: add_some(made, *shares[number]))
        assert made.to_bytes()[HEADER:] == expected.to_bytes()[HEADER:]
        assert abs(len(made) - len(expected)) <= 5  # which of two keys is taken for known depends on their order


def add_some(made, batches, singles):
    for batch, more in zip(batches, singles):
        made.update(batch)
        for key in more:
            made.add(key)
        assert made.contains_many(batch) == b"\1" * len(batch)


def every_call(bloom):
    """Each function and each kind of error, once."""
    made = bloom(100, 0.01)
    made.add("ä")
    made.update(["a", b"b"])
    made.contains_many(iter(["a", b"c"]))
    make, arguments = made.__reduce__()  # pickle itself fills a cache of the interpreter's
    make(*arguments)
    bad = bytearray(made.to_bytes())
    bad[-1] ^= 1
    calls = [
        lambda: bloom(0),
        lambda: bloom("1"),
        lambda: bloom(1, 2),
        lambda: bloom(1, 10**400),
        lambda: made.add(1),
        lambda: "\ud800" in made,
        lambda: made.update("abc"),
        lambda: made.update(["a", 1]),
        lambda: made.contains_many([b"a", "\ud800"]),
        lambda: bloom.from_bytes(bad),
        lambda: bloom.from_bytes(bad[:70]),
        lambda: bloom.from_bytes(5),
        lambda: bloom.from_bytes(memoryview(bad)[::2]),
        lambda: bloom.attach(bytes(70)),
        lambda: bloom.attach(bytes(bad)).add("b"),
        lambda: bloom.attach(5),
    ]
    bloom.attach(bytearray(bad)).update(["b"])
    for call in calls:
        try:
            call()
        except (TypeError, ValueError, BufferError):
            continue
        raise AssertionError("no error")


def test_memory_stays_flat(bloom):
    every_call(bloom)
    tracemalloc.start()
    try:
        for _ in range(20):
            every_call(bloom)
        gc.collect()
        before, references = tracemalloc.get_traced_memory()[0], sys.getrefcount(bloom)
        for _ in range(100):
            every_call(bloom)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 2000
        assert sys.getrefcount(bloom) <= references
    finally:
        tracemalloc.stop()


NO_MEMORY = """
import resource, sys
from kato_fast import native
BloomFilter = native.load(sys.argv[1]).BloomFilter
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
for arguments in [(2**36,), (2**36, 1e-8), (2**34, 0.99), (10**9, 0.001)]:
    try:
        BloomFilter(*arguments)
    except MemoryError:
        continue
    sys.exit(f"{arguments} were given memory")
made = BloomFilter(1000)
made.add("a")
assert "a" in made
"""


def test_no_memory_for_the_capacity(implementation):
    pytest.importorskip("resource", reason="memory can be limited on POSIX only")
    subprocess.run([sys.executable, "-c", NO_MEMORY, implementation], check=True, timeout=60)


def test_each_allocation_may_fail():
    """Of the C engine; nothing is lost, changed or left behind."""
    testcapi = pytest.importorskip("_testcapi", reason="this interpreter has no _testcapi to make allocations fail")
    try:
        bloom = native.load("c").BloomFilter
    except ImportError as error:
        pytest.skip(str(error))
    made = filled(bloom, numbers(0, 10), 100)
    data, some = made.to_bytes(), numbers(0, 20)
    calls = [
        lambda: bloom(100),
        lambda: bloom.from_bytes(data),
        lambda: bloom.attach(data),
        lambda: made.to_bytes(),
        lambda: made.__reduce__(),
        lambda: made.update(some),
        lambda: made.update(iter(some)),
        lambda: made.contains_many(some),
        lambda: made.add("é" * random.randrange(1, 5)),
        lambda: made.add(5),
        lambda: bloom(0),
        lambda: bloom(1, 2.5),
    ]
    for call in calls:
        failed = 0
        for nth in range(60):
            error = None
            testcapi.set_nomemory(nth, nth + 1)
            try:
                call()
            except BaseException as caught:
                error = caught
            finally:
                testcapi.remove_mem_hooks()
            assert error is None or isinstance(error, (MemoryError, TypeError, ValueError))
            failed += isinstance(error, MemoryError)
        assert failed > 0 or call is calls[8]
        assert made.contains_many(numbers(0, 10)) == b"\1" * 10
