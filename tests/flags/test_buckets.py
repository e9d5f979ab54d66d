"""The same bucket for ever and everywhere; nobody moves out; one flag says nothing about another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from kato_fast import flags

GOLDEN = Path(__file__).parents[1] / "data" / "buckets.json"

#: 1,000,000 in a long run.
KEYS = int(os.environ.get("KATO_FAST_CASES", "20000"))

#: Of chi-square with 9,999 and with 81 degrees of freedom, one in 10^6 is larger.
MOST_9999, MOST_81 = 10_692.0, 153.0


def golden() -> list[tuple[str, str, int]]:
    """(flag, key, bucket): plain ids, Unicode, the empty key, long ones."""
    return [tuple(row) for row in json.loads(GOLDEN.read_text("utf-8"))]


def bucket(flag: str, key: str) -> int:
    return flags.bucket(flags.salt(flag), key.encode())


def keys(count: int) -> list[str]:
    """Consecutive numbers, as ids often are."""
    return [f"session-{number:012d}" for number in range(count)]


def test_python_is_as_ever() -> None:
    rows = golden()
    assert len(rows) == 1000 and {row[0] for row in rows} == set(flags.FLAGS)
    assert [bucket(flag, key) for flag, key, _ in rows] == [number for _, _, number in rows]


def test_another_process_agrees() -> None:
    """Whatever its hash seed."""
    code = "from kato_fast import flags; print([flags.bucket(flags.salt(f), b'key') for f in flags.FLAGS])"
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [bucket(flag, "key") for flag in flags.FLAGS]


def test_buckets_are_even() -> None:
    for flag in flags.FLAGS[:3]:
        counts = Counter(bucket(flag, key) for key in keys(KEYS))
        assert min(counts) >= 0 and max(counts) < flags.BUCKETS
        expected = KEYS / flags.BUCKETS
        total = sum((counts[number] - expected) ** 2 / expected for number in range(flags.BUCKETS))
        assert total < MOST_9999, (flag, total)


def test_more_percent_moves_nobody_out() -> None:
    taken: set[str] = set()
    for percent in ("0", "0.01", "1", "5", "25", "50", "99.99", "100"):
        flags.set_mode("batch", f"canary:{percent}", by="test")
        now = {key for key in keys(KEYS) if flags.chosen("batch", key)}
        assert taken <= now
        share = float(percent) / 100
        assert abs(len(now) - share * KEYS) <= 6 * (share * (1 - share) * KEYS) ** 0.5
        taken = now
    assert len(taken) == KEYS


@pytest.mark.parametrize("pair", [(0, 1), (2, 9), (5, 11), (3, 10)])
def test_flags_are_independent(pair: tuple[int, int]) -> None:
    """Chi-square of the table of both flags' tenths."""
    first, second = (flags.FLAGS[number] for number in pair)
    table = Counter((bucket(first, key) // 1000, bucket(second, key) // 1000) for key in keys(KEYS))
    rows = [sum(table[i, j] for j in range(10)) for i in range(10)]
    columns = [sum(table[i, j] for i in range(10)) for j in range(10)]
    total = 0.0
    for i in range(10):
        for j in range(10):
            expected = rows[i] * columns[j] / KEYS
            total += (table[i, j] - expected) ** 2 / expected
    assert total < MOST_81, total
