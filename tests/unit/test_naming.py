"""The C names of patterns against SHA-1 of this interpreter's repr."""

from __future__ import annotations

import hashlib
import sys
import unicodedata

import pytest

MAJOR, MINOR = unicodedata.unidata_version.split(".")[:2]
UNICODE = str(int(MAJOR) * 10 + int(MINOR))

ALPHABETS = [
    "abcxyz0189_-|",
    "'\"\\ab",
    "".join(map(chr, range(0x20))) + "\x7f",
    "".join(map(chr, range(0x80, 0x180))),
    "".join(map(chr, range(0x20, 0x7F))),
]


def encode(events) -> str:
    return "|".join(",".join("x" + symbol.encode().hex() for symbol in event) for event in events)


def name(events) -> str:
    return hashlib.sha1(repr(events).encode()).hexdigest()


def compare(ask_c, patterns):
    answers = ask_c([encode(events) for events in patterns], "name", UNICODE)
    assert len(answers) == len(patterns)
    for events, answer in zip(patterns, answers):
        assert answer == name(events), f"of {ascii(events)}"


def code_point(rng) -> str:
    while True:
        code = rng.randrange(rng.choice([0x80, 0x800, 0x3000, 0x10000, sys.maxunicode + 1]))
        if not 0xD800 <= code < 0xE000:
            return chr(code)


def symbol(rng) -> str:
    length = rng.choice([0, 1, 2, 3, 5, 8, 13, 40, 70])
    if rng.random() < 0.3:
        return "".join(code_point(rng) for _ in range(length))
    alphabet = rng.choice(ALPHABETS)
    return "".join(rng.choice(alphabet) for _ in range(length))


def test_unicode_version_is_known():
    assert UNICODE in ("130", "140", "150", "151", "160"), "the table does not know this interpreter's version"


def test_printable_code_points(ask_c):
    (answer,) = ask_c([], "printable", UNICODE)
    expected = "".join("01"[chr(code).isprintable()] for code in range(sys.maxunicode + 1))
    wrong = [f"U+{code:04X}" for code in range(sys.maxunicode + 1) if answer[code] != expected[code]]
    assert wrong == []


@pytest.mark.parametrize("length", range(140))
def test_lengths_around_the_blocks(ask_c, length):
    compare(ask_c, [[["a" * length]], [["a" * length, "b"]], [["é" * length], ["b"]]])


def test_lengths_around_the_buffer(ask_c):
    """Of 512 bytes, of which a piece fills at most 448; symbols up to 16 bytes go in at once, also with odd bytes."""
    lengths = [*range(430, 530), *range(880, 910), 1000, 5000]
    patterns = [[[mark * length], ["b"]] for length in lengths for mark in ("a", "'", "é")]
    patterns += [[["x" * before, "y" * size], ["z"] * 40] for before in range(400, 520, 3) for size in (15, 16, 17)]
    odd = [chr(code) for code in range(256)]
    patterns += [[["a" * at + one + "b" * (size - at)]] for one in odd for size in (0, 2, 5, 7, 15) for at in (0, size)]
    compare(ask_c, patterns)


def test_random_patterns(ask_c, rng, cases):
    patterns = [
        [[symbol(rng) for _ in range(rng.randint(1, 4))] for _ in range(rng.randint(1, 5))] for _ in range(cases // 20)
    ]
    compare(ask_c, patterns)


def test_every_code_point(ask_c):
    codes = [code for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    compare(ask_c, [[["".join(map(chr, codes[start : start + 64]))]] for start in range(0, len(codes), 64)])
