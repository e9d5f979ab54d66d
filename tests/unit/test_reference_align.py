"""The twin's alignment against Python's own difflib, and the subsequence against its definition."""

from __future__ import annotations

import difflib
import random
from functools import cache

import pytest

from kato_fast.reference import matching_blocks, ratio
from kato_fast.reference.align import Aligner, _join

PAIRS = 4000


def random_pair(rng: random.Random) -> tuple[list[str], list[str]]:
    """Small alphabets, so that ties and repeats are many; lengths around 10, 64 and 128 now and then."""
    alphabet = "abcdefghijkl"[: rng.randint(1, 12)]
    longest = rng.choice((3, 8, 12, 24, 66, 130))
    return tuple([rng.choice(alphabet) for _ in range(rng.randint(0, longest))] for _ in range(2))


def test_blocks_and_ratio_are_those_of_difflib(rng: random.Random) -> None:
    for _ in range(PAIRS):
        a, b = random_pair(rng)
        matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
        assert matching_blocks(a, b) == [tuple(block) for block in matcher.get_matching_blocks()[:-1]], (a, b)
        assert ratio(a, b) == matcher.ratio(), (a, b)


def test_one_aligner_serves_many_patterns(rng: random.Random) -> None:
    state = random_pair(rng)[0] or ["a"]
    aligner = Aligner(state)
    for _ in range(100):
        pattern = random_pair(rng)[1]
        assert aligner.blocks(pattern) == matching_blocks(pattern, state)


def test_no_junk_heuristic_in_long_states() -> None:
    """difflib's autojunk would drop a symbol that makes up more than 1 % of 200 or more."""
    state = ["a", "b"] * 150
    assert matching_blocks(["b", "a", "b"], state) == [(0, 1, 3)]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("", "", []),
        ("a", "", []),
        ("", "a", []),
        ("ab", "ab", [(0, 0, 2)]),
        ("dac", "cda", [(0, 1, 2)]),
        ("abcabd", "ab", [(0, 0, 2)]),  # earliest in the pattern
        ("ab", "abxab", [(0, 0, 2)]),  # then earliest in the state
        ("abcd", "cdab", [(0, 2, 2)]),  # crossing: the other run is lost
        ("acd", "axcd", [(0, 0, 1), (1, 2, 2)]),
    ],
)
def test_blocks_by_hand(a: str, b: str, expected: list) -> None:
    assert matching_blocks(list(a), list(b)) == expected


def test_touching_blocks_are_joined() -> None:
    assert _join([(0, 1, 2), (2, 3, 1), (4, 5, 1), (5, 7, 1)]) == [(0, 1, 3), (4, 5, 1), (5, 7, 1)]


def test_ratio_is_not_symmetric() -> None:
    assert ratio(["a", "c"], ["c", "a", "x", "c"]) == 2 * 2 / 6
    assert ratio(["c", "a", "x", "c"], ["a", "c"]) == 2 * 1 / 6


def test_lcs_is_the_longest_common_subsequence(rng: random.Random) -> None:
    for _ in range(300):
        a, b = (sequence[:10] for sequence in random_pair(rng))
        expected = 2.0 * subsequence(tuple(a), tuple(b)) / (len(a) + len(b)) if a or b else 1.0
        assert ratio(a, b, "lcs") == expected, (a, b)


def test_lcs_finds_more_than_the_blocks() -> None:
    assert ratio(["a", "d", "a"], ["d", "c", "a"]) == 2 * 1 / 6
    assert ratio(["a", "d", "a"], ["d", "c", "a"], "lcs") == 2 * 2 / 6


@cache
def subsequence(a: tuple, b: tuple) -> int:
    if not a or not b:
        return 0
    if a[-1] == b[-1]:
        return subsequence(a[:-1], b[:-1]) + 1
    return max(subsequence(a[:-1], b), subsequence(a, b[:-1]))
