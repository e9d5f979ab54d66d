"""Buckets of flags: C computes what Python does."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from kato_fast import flags

GOLDEN = Path(__file__).parents[1] / "data" / "buckets.json"


def test_c_is_as_python(ask_c: Callable[..., list[str]], rng: random.Random) -> None:
    rows = json.loads(GOLDEN.read_text("utf-8"))
    for flag in flags.FLAGS:
        for _ in range(200):
            key = rng.getrandbits(72).to_bytes(9, "big").hex()
            rows.append((flag, key, flags.bucket(flags.salt(flag), key.encode())))
    lines = [f"{flag.encode().hex()}={key.encode().hex()}" for flag, key, _ in rows]
    assert [int(answer) for answer in ask_c(lines, "bucket")] == [number for _, _, number in rows]
