"""Random sequences, states, thresholds and malformed arguments for the parity tests, all from one ``Random``."""

from __future__ import annotations

import math
import random
from collections import deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

ODD_TEXTS = ["", "'", '"', "a'b\"", "é", "日本", "😀", "\0", "\n", "\u200b", "\xa0", "\\", "a", "\x7f", "\ue000", "\\n"]
ALPHABETS = [
    ["a", "b"],
    ["a", "b", "c"],
    list("abcdefgh"),
    ODD_TEXTS,
    [f"w{i}" for i in range(40)],
    [f"é{i}" for i in range(200)],
    ["one"],
]
#: Where the algorithms change: the host's index looks at 10 symbols and lengths by tens, words have 64 bits.
EDGES = (10, 64, 128)
UNKNOWN = ["?", "unknown \"'\\", "ü😀"]


def length(rng: random.Random) -> int:
    kind = rng.random()
    if kind < 0.6:
        return rng.randint(1, 9)
    if kind < 0.75:
        return rng.randint(8, 30)
    return max(1, rng.choice(EDGES) + rng.randint(-3, 3))


def symbols(rng: random.Random, alphabet: list[str], n: int) -> list[str]:
    """Uniform, in runs of one symbol, or a phrase again and again."""
    kind = rng.random()
    if kind < 0.6:
        return rng.choices(alphabet, k=n)
    if kind < 0.8:
        out: list[str] = []
        while len(out) < n:
            out += [rng.choice(alphabet)] * rng.randint(1, 8)
        return out[:n]
    phrase = rng.choices(alphabet, k=rng.randint(1, 5))
    return (phrase * n)[:n]


def events(rng: random.Random, flat: list[str]) -> list[list[str]]:
    """The symbols, split: one an event, all in one, or at random."""
    kind = rng.random()
    if kind < 0.4:
        return [[symbol] for symbol in flat]
    if kind < 0.5:
        return [flat[:]] if flat else []
    out, i = [], 0
    while i < len(flat):
        size = rng.randint(1, 4)
        out.append(flat[i : i + size])
        i += size
    return out


def edited(rng: random.Random, flat: list[str], alphabet: list[str]) -> list[str]:
    """A piece of it with a few symbols lost, changed, doubled or moved."""
    start = rng.randint(0, len(flat) // 2)
    out = flat[start : rng.randint(start + 1, len(flat))] if rng.random() < 0.7 else flat[:]
    for _ in range(rng.randint(0, 1 + len(out) // 4)):
        at = rng.randrange(len(out) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            del out[at : at + 1]
        elif kind == 1:
            out.insert(at, rng.choice(alphabet + UNKNOWN))
        elif kind == 2:
            out[at : at + 1] = [rng.choice(alphabet)]
        else:
            out = out[at:] + out[:at]
    return out


def state(rng: random.Random, alphabet: list[str], known: list[list[str]]) -> list:
    """Like something known, or not; flat or as events; 0, 1 or more symbols."""
    kind = rng.random()
    if known and kind < 0.7:
        flat = edited(rng, rng.choice(known), alphabet)
    elif kind < 0.95:
        flat = symbols(rng, alphabet + UNKNOWN[: rng.randint(0, 3)], length(rng) + 1)
    else:
        flat = symbols(rng, alphabet, rng.randint(0, 1))
    if flat and rng.random() < 0.2:
        return events(rng, flat)
    return tuple(flat) if rng.random() < 0.1 else flat


def threshold(rng: random.Random, n: int, m: int) -> float:
    """Often the similarity of a pattern of n and a state of m symbols, or a double beside it."""
    kind = rng.random()
    if kind < 0.5 and n + m > 0:
        exact = 2.0 * rng.randint(0, min(n, m)) / (n + m)
        return math.nextafter(exact, rng.choice([-math.inf, math.inf])) if rng.random() < 0.5 else exact
    if kind < 0.9:
        return rng.choice([0.0, -0.0, 0.1, 0.25, 0.5, 0.9, 1.0, 1 / 3])
    return rng.choice([-1.0, -5e-324, 5e-324, 1.5, 2.0, 7, 1e300, -1e300, True, False, math.nextafter(1.0, 2.0)])


def max_predictions(rng: random.Random) -> int:
    return rng.choice([0, 1, 2, 5, 100, 100, 100, 10**30])


def emotives(rng: random.Random) -> Any:
    """None, or what a pattern keeps."""
    if rng.random() < 0.6:
        return None
    names = ["joy", "fear", "é", ""]
    values = [0, 1, -1, 0.1, 0.25, -2.5, 1e300, 3, True, 1e-300, Fraction(1, 3), 10**20]
    return [
        {name: rng.choice(values) for name in rng.sample(names, rng.randint(0, 3))} for _ in range(rng.randint(0, 4))
    ]


class Odd:
    """No number, no list, no text."""


def bad_value(rng: random.Random) -> Any:
    return rng.choice(
        [
            5,
            1.5,
            True,
            None,
            "text",
            b"bytes",
            "\ud800",
            "ok\udfff",
            [],
            (),
            [[]],
            [["a"]],
            ["a"],
            {"a": 1.0},
            {"a"},
            deque(["a"]),
            Decimal(1),
            Fraction(1, 2),
            1j,
            range(3),
            bytearray(b"x"),
            math.nan,
            -math.inf,
            10**400,
            -(10**30),
            Odd(),
            Odd,
            len,
            {"joy": math.inf},
            {5: 1.0},
            {"\udc00": 1},
            {"joy": "x"},
            [{"joy": 1e308}, {"joy": 1e308}],
        ]
    )


def spoiled(rng: random.Random, value: Any) -> Any:
    """The value with something bad in the place of it or of one of its parts."""
    if isinstance(value, (list, tuple)) and value and rng.random() < 0.8:
        parts = list(value)
        for _ in range(rng.randint(1, 2)):
            at = rng.randrange(len(parts))
            parts[at] = spoiled(rng, parts[at])
        return tuple(parts) if isinstance(value, tuple) else parts
    return bad_value(rng)
