"""Blocks and ratios of both implementations against ``difflib``, and common subsequences against the naive table.

KATO_FAST_PAIRS sets how many pairs there are; the seed is printed in the header.
"""

from __future__ import annotations

import os
import random
from difflib import SequenceMatcher
from types import ModuleType

import pytest

PAIRS = int(os.environ.get("KATO_FAST_PAIRS", "20000"))
VOCABULARIES = (1, 2, 3, 5, 10, 30, 200)
#: The naive table takes longer than all else together: one pair in so many.
TABLE_EVERY = 10


def length(rng: random.Random) -> int:
    """Mostly short, sometimes around a word of 64 bits or two, up to 150."""
    kind = rng.random()
    if kind < 0.75:
        return rng.randint(0, 16)
    if kind < 0.95:
        return rng.randint(10, 70)
    return rng.randint(60, 150)


def uniform(rng: random.Random) -> tuple[list[str], list[str]]:
    vocabulary = [f"w{i}" for i in range(rng.choice(VOCABULARIES))]
    return rng.choices(vocabulary, k=length(rng)), rng.choices(vocabulary, k=length(rng))


def planted(rng: random.Random) -> tuple[list[str], list[str]]:
    """The same runs in both, in another order, with noise between."""
    vocabulary = [f"w{i}" for i in range(rng.choice(VOCABULARIES))]
    runs = [rng.choices(vocabulary, k=rng.randint(1, 9)) for _ in range(rng.randint(1, 4))]

    def side() -> list[str]:
        out: list[str] = []
        for run in rng.sample(runs, rng.randint(1, len(runs))):
            out += rng.choices(vocabulary, k=rng.randint(0, 3)) + run
        return out

    return side(), side()


def repeated(rng: random.Random) -> tuple[list[str], list[str]]:
    """One symbol in runs, cut by another: as many equal runs as there can be."""

    def side() -> list[str]:
        out: list[str] = []
        for _ in range(rng.randint(0, 5)):
            out += ["x"] * rng.randint(0, 20) + ["y"] * rng.randint(0, 2)
        return out

    return side(), side()


def alternating(rng: random.Random) -> tuple[list[str], list[str]]:
    """A short period against itself, shifted, with one fault."""
    period = [f"w{i}" for i in range(rng.randint(1, 4))]

    def side() -> list[str]:
        n, shift = length(rng), rng.randint(0, 3)
        out = [period[(i + shift) % len(period)] for i in range(n)]
        if out and rng.random() < 0.5:
            out[rng.randrange(n)] = "fault"
        return out

    return side(), side()


def relative(rng: random.Random) -> tuple[list[str], list[str]]:
    """One is the other with a few changes, as a state is of a pattern."""
    a, _ = uniform(rng)
    b = a[:]
    for _ in range(rng.randint(0, 5)):
        at = rng.randrange(len(b) + 1)
        b[at : at + rng.randint(0, 3)] = rng.choices(a or ["new"], k=rng.randint(0, 2))
    return a, b


KINDS = (uniform, planted, repeated, alternating, relative)


def expected_blocks(a: list[str], b: list[str]) -> list[tuple[int, int, int]]:
    return [tuple(block) for block in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()[:-1]]


def common_by_table(a: list[str], b: list[str]) -> int:
    """The longest common subsequence, by all of the (len(a) + 1) * (len(b) + 1) table."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def share(common: int, a: list[str], b: list[str]) -> float:
    return 2.0 * common / (len(a) + len(b)) if a or b else 1.0


def pairs(rng: random.Random, count: int):
    for i in range(count):
        yield KINDS[i % len(KINDS)](rng)


def test_blocks_and_ratio(engine: ModuleType, rng: random.Random) -> None:
    for a, b in pairs(rng, PAIRS):
        blocks = expected_blocks(a, b)
        assert engine.matching_blocks(a, b) == blocks, (a, b)
        assert engine.ratio(a, b) == share(sum(size for _, _, size in blocks), a, b), (a, b)


def test_common_subsequence(engine: ModuleType, rng: random.Random) -> None:
    for a, b in pairs(rng, PAIRS // TABLE_EVERY):
        assert engine.ratio(a, b, "lcs") == share(common_by_table(a, b), a, b), (a, b)


def test_ratio_is_that_of_difflib(engine: ModuleType, rng: random.Random) -> None:
    for a, b in pairs(rng, 200):
        assert engine.ratio(a, b) == SequenceMatcher(None, a, b, autojunk=False).ratio(), (a, b)


@pytest.mark.parametrize("m", [1, 63, 64, 65, 127, 128, 129, 1000])
def test_long_sequences(engine: ModuleType, rng: random.Random, m: int) -> None:
    for vocabulary in (1, 2, 300):
        symbols = [f"w{i}" for i in range(vocabulary)]
        b = rng.choices(symbols, k=m)
        for n in (1, m, 500):
            a = rng.choices(symbols, k=n)
            for first, second in ((a, b), (b, b), (b[m // 2 :] + a, b)):
                assert engine.matching_blocks(first, second) == expected_blocks(first, second), (vocabulary, n)


@pytest.mark.parametrize(
    ("a", "b"),
    [([], []), (["a"], []), ([], ["a"]), (["a"], ["b"]), (["a"], ["a"]), (["a"] * 64, ["a"] * 64)],
    ids=["both empty", "b empty", "a empty", "strangers", "equal", "a word full"],
)
def test_edges(engine: ModuleType, a: list[str], b: list[str]) -> None:
    assert engine.matching_blocks(a, b) == expected_blocks(a, b)
    assert engine.ratio(a, b) == share(sum(size for _, _, size in expected_blocks(a, b)), a, b)
    assert engine.ratio(a, b, "lcs") == share(common_by_table(a, b), a, b)
