"""How fast against the best of the field: one module per group of rows of the table in docs/performance.md.

``make bench-peers`` makes the environment of the peers, ``python -m benchmarks.compare`` runs in it and measures all
groups, each in a process of its own. A group is a module with a docstring and ``run(scale, seed) -> Comparison``.
Answers are checked first, and every entry says what was checked. Nothing here is imported by ``kato_fast``, and no peer
is a dependency of it.
"""

from __future__ import annotations

from dataclasses import dataclass

#: In the order in which they are measured.
GROUPS = (
    *("pairs", "dense", "sparse", "predict", "latency", "candidates", "bloom", "render", "learn", "snapshot"),
    *("threads", "http", "database", "real", "growth"),
)
#: Measured when named only.
LONG = ("twin",)


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    patterns: the N of most rows. twin: patterns of the twin in Python, whose times are extrapolated. rounds: of each
    comparison, at least five. growth: sizes of the growth curves. large: patterns of the row that asks for 10**7.
    seconds: for how long rates are counted.
    """

    name: str
    patterns: int
    twin: int
    rounds: int
    growth: tuple[int, ...]
    large: int
    seconds: float


FULL = Scale("full", 10**6, 10**4, 7, (10**4, 10**5, 10**6, 5 * 10**6), 10**7, 5.0)
QUICK = Scale("quick", 10**5, 2_000, 5, (10**4, 3 * 10**4, 10**5), 10**5, 1.0)
TEST = Scale("test", 65_536, 1_000, 5, (10**4, 3 * 10**4), 65_536, 0.5)
SCALES = {scale.name: scale for scale in (FULL, QUICK, TEST)}
