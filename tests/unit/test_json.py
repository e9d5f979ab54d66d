"""The C writer of JSON against json.dumps."""

from __future__ import annotations

import json
import struct
import sys

ALPHABETS = ["abc", '"\\ab', "".join(map(chr, range(0x20))) + "ab", "".join(map(chr, range(0x20, 0x100))), "é日😀a"]


def dumps(value) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def compare_strings(ask_c, strings):
    answers = ask_c(["x" + text.encode().hex() for text in strings], "json")
    assert len(answers) == len(strings)
    for text, answer in zip(strings, answers):
        expected = dumps(text)
        assert answer == f"{len(expected.encode())} {expected}", f"of {ascii(text)}"


def test_every_code_point(ask_c):
    codes = [code for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    compare_strings(ask_c, ["".join(map(chr, codes[start : start + 64])) for start in range(0, len(codes), 64)])


def test_each_byte_at_each_place(ask_c):
    texts = ["a" * place + chr(code) + "b" * (20 - place) for place in range(20) for code in range(0x100)]
    compare_strings(ask_c, texts)


def test_random_strings(ask_c, rng, cases):
    texts = []
    for _ in range(cases // 4):
        alphabet = rng.choice(ALPHABETS)
        texts.append("".join(rng.choice(alphabet) for _ in range(rng.choice([0, 1, 3, 7, 8, 9, 15, 16, 17, 40]))))
    compare_strings(ask_c, texts)


def test_numbers(ask_c, rng):
    lines, expected = [], []
    limits = [0, 1, 9, 10, 99, 100, 10**8 - 1, 10**8, 2**31, 2**63 - 1]
    for value in limits + [rng.getrandbits(63) >> rng.randrange(63) for _ in range(1000)]:
        lines += [f"i {value}", f"i {-value}", f"u {value}"]
        expected += [value, -value, value]
    lines += [f"i {-(2**63)}", f"u {2**64 - 1}", "d" + struct.pack(">d", -0.0).hex()]
    expected += [-(2**63), 2**64 - 1, -0.0]
    assert ask_c(lines, "json") == [f"0 {dumps(value)}" for value in expected]
