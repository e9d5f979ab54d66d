"""The long pairs that take longest to compare, beside what is typical: ``python -m benchmarks.worst_long``.

Families that are hard for a recursion over runs (one symbol, two, periods, runs that grow or fall between other
symbols, palindromes), and a seeded search that climbs from them by changes of a slice. Typical of a size are symbols
with Zipf 1.0 over 10,000. Times are processor time, the least of several, so that a neighbour changes little.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from itertools import count, islice

from kato_fast import matching_blocks

VOCABULARY = 10_000
#: How many pairs the search goes on from.
KEPT = 6

Side = list[str]
Pair = tuple[Side, Side]


def cost(pair: Pair, rounds: int = 3) -> float:
    """Seconds of processor time, the least of the rounds."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        matching_blocks(*pair)
        times.append(time.process_time() - start)
    return min(times)


def typical(rng: random.Random, size: int) -> Pair:
    """Symbols by Zipf's law."""
    symbols = [f"s{k}" for k in range(VOCABULARY)]
    weights = [1 / (k + 1) for k in range(VOCABULARY)]
    return rng.choices(symbols, weights, k=size), rng.choices(symbols, weights, k=size)


def _runs(size: int, lengths: Iterator[int], between: Iterator[str]) -> Side:
    """Runs of x of these lengths, each with another symbol behind it."""
    out: Side = []
    for length in lengths:
        if len(out) >= size:
            break
        out += ["x"] * length + [next(between)]
    return (out + ["x"] * size)[:size]


def _new(letter: str) -> Iterator[str]:
    return (f"{letter}{k}" for k in count())


def families(rng: random.Random, size: int) -> dict[str, Pair]:
    """By name, the hard ones. Of the size, one longest run after the other takes most of what is left."""
    most = int((2 * size) ** 0.5)
    half = rng.choices("xy", k=size // 2)
    falling = [_runs(size, iter(range(most, 0, -1)), _new(letter)) for letter in "pq"]
    any_runs = [_runs(size, iter(lambda: rng.randint(1, 20), 0), iter(lambda: "y", "")) for _ in "pq"]
    return {
        "one symbol": (["x"] * size, ["x"] * size),
        "one symbol, half of the state": (["x"] * size, ["x"] * (size // 2) + ["y"] * (size // 2)),
        "two symbols, any order": (rng.choices("xy", k=size), rng.choices("xy", k=size)),
        "eight symbols, any order": (rng.choices("abcdefgh", k=size), rng.choices("abcdefgh", k=size)),
        "a period of two, shifted": (["x", "y"] * (size // 2), ["y", "x"] * (size // 2)),
        "a palindrome": (half + half[::-1], half[::-1] + half),
        "falling runs": (falling[0], falling[1]),
        "growing runs": (falling[0][::-1], falling[1][::-1]),
        "falling runs in one symbol": (["x"] * size, falling[1]),
        "any runs": (any_runs[0], any_runs[1]),
        "one symbol against runs of seven": (["x"] * size, (["x"] * 7 + ["y"]) * (size // 8)),
    }


def _changed(rng: random.Random, side: Side) -> Side:
    size = len(side)
    at, other, length = rng.randrange(size), rng.randrange(size), rng.randint(1, max(1, size // 4))
    out = side[:]
    kind = rng.randrange(4)
    if kind == 0:
        out[at : at + length] = side[other : other + length]
    elif kind == 1:
        out[at : at + length] = [side[other]] * length
    elif kind == 2:
        out = side[at:] + side[:at]
    else:
        out[at] = rng.choice(side)
    return list(islice(out + out, size))


def search(rng: random.Random, size: int, steps: int) -> tuple[float, str, Pair]:
    """Cost, the family that it began from, and the worst pair that so many steps of climbing find."""
    kept = sorted(((cost(pair), name, pair) for name, pair in families(rng, size).items()), key=lambda k: -k[0])[:KEPT]
    for _ in range(steps):
        _, name, (pattern, state) = rng.choice(kept)
        pair = (_changed(rng, pattern), state) if rng.random() < 0.5 else (pattern, _changed(rng, state))
        if cost(pair, 1) > kept[-1][0]:
            kept = sorted([*kept, (cost(pair), name, pair)], key=lambda k: -k[0])[:KEPT]
    return kept[0]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=0, help="of the search; 0: only the families")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    usual = sorted(cost(typical(rng, args.size)) for _ in range(5))[2]
    print(f"typical of {args.size:,} and {args.size:,} symbols: {1e3 * usual:.2f} ms")
    for name, pair in families(rng, args.size).items():
        took = cost(pair)
        print(f"{name:<34}{1e3 * took:>9.2f} ms {took / usual:>6.2f} x")
    if args.steps:
        took, name, _ = search(rng, args.size, args.steps)
        print(f"the worst of {args.steps:,} steps, from {name}: {1e3 * took:.2f} ms, {took / usual:.2f} x")


if __name__ == "__main__":
    main()
