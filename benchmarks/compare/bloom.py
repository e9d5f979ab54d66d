"""Row 9: membership in a Bloom filter, one key at a time and in batches.

Against pybloom_live and rbloom, filters of the same capacity and error rate.
"""

from __future__ import annotations

from statistics import median

import pybloom_live
import rbloom

from benchmarks.compare import Scale
from benchmarks.compare.record import Comparison, against
from benchmarks.measure import interleave
from kato_fast import BloomFilter

CAPACITY, ERROR_RATE = 100_000, 0.001
KEYS = 100_000


def run(scale: Scale, seed: int) -> Comparison:
    """Measure; see the module."""
    there = [f"{seed}:there:{k}" for k in range(KEYS)]
    absent = [f"{seed}:absent:{k}" for k in range(KEYS)]
    mixed = [key for pair in zip(there[::2], absent[::2]) for key in pair]
    filters = {
        "ours": BloomFilter(CAPACITY, ERROR_RATE),
        "pybloom_live": pybloom_live.BloomFilter(CAPACITY, ERROR_RATE),
        "rbloom": rbloom.Bloom(CAPACITY, ERROR_RATE),
    }
    for filter in filters.values():
        for key in there:
            filter.add(key)
    wrong = {name: sum(key in filter for key in absent) / KEYS for name, filter in filters.items()}
    for name, filter in filters.items():
        assert all(key in filter for key in there), f"{name} has lost a key"
        assert wrong[name] < 2 * ERROR_RATE, f"{name}: {wrong[name]:.4f} false answers"
    assert filters["ours"].contains_many(mixed) == bytes(key in filters["ours"] for key in mixed)
    data = {"keys": f"{KEYS} str, half of them in the filter", "capacity": CAPACITY, "error_rate": ERROR_RATE}
    checked = "no key is lost; false answers below twice the rate; the batch says what one by one says"
    comparison = Comparison("bloom", data, checked)

    def one_by_one(filter) -> None:
        for key in mixed:
            key in filter  # noqa: B015

    def nothing() -> None:
        for key in mixed:
            key  # noqa: B018

    sides = {name: lambda number, filter=filter: one_by_one(filter) for name, filter in filters.items()}
    sides["loop"] = lambda number: nothing()
    times = interleave(sides, scale.rounds, units=KEYS)
    loop = median(times["loop"].cpu)
    notes = {"false answers": {name: f"{100 * share:.3f} %" for name, share in wrong.items()}}
    notes["the loop, in both times"] = f"{1e9 * loop:.1f} ns per key"
    without = (median(times["rbloom"].cpu) - loop) / (median(times["ours"].cpu) - loop)
    notes["against rbloom without the loop"] = f"{without:.2f} x"
    for peer, floor, goal in (("pybloom_live", 25, 35), ("rbloom", 2, 3)):
        what = "Bloom filter, key in filter"
        comparison.entries.append(against(9, what, times, peer, floor=floor, goal=goal, per="key", notes=notes))
    batches = {
        "ours": lambda number: filters["ours"].contains_many(there),
        "pybloom_live": lambda number: [key in filters["pybloom_live"] for key in there],
        "rbloom": lambda number: filters["rbloom"].issuperset(there),
    }
    times = interleave(batches, scale.rounds, units=KEYS)
    notes = {"keys": "all in the filter, so that rbloom's issuperset, its fastest way, looks at each"}
    for peer, floor, goal in (("pybloom_live", 80, 200), ("rbloom", 2.5, 8)):
        what = f"Bloom filter, a batch of {KEYS:,} keys"
        comparison.entries.append(against(9, what, times, peer, floor=floor, goal=goal, per="key", notes=notes))
    return comparison
