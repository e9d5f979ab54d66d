"""Row 8: the candidate filter alone, nanoseconds per posting by density of the lists.

Against a plain scan with byte counters in the same C program (benchmarks/micro/postings.c), which checks that both
give the same candidates.
"""

from __future__ import annotations

import re

from benchmarks import micro
from benchmarks.compare import Scale
from benchmarks.compare.record import TIMES, Comparison, Entry

#: By density of the lists, per cent: floor and goal.
BOUNDS = {0.3: (1, 2), 2.7: (1, 2), 10.0: (4, 10), 30.0: (20, 40)}
LINE = re.compile(r"density +([\d.]+) %: plain +([\d.]+), ours +([\d.]+) ns per posting.*; +([\d.]+) % pass")


def run(scale: Scale, seed: int) -> Comparison:
    """Measure; see the module."""
    segments = max(1, scale.patterns // 65_536)
    told = micro.run("postings", segments, "densities")
    found = {}
    for density, plain, ours, passed in LINE.findall(told):
        found.setdefault(float(density), []).append((float(plain), float(ours), float(passed)))
    data = {"lists": 20, "patterns": segments * 65_536, "pattern_length": "5 to 50 symbols, uniform"}
    data["kernels"] = told.split(",")[0]
    checked = "the candidates of both sides, one by one"
    comparison = Comparison("candidates", data, checked)
    for density, (floor, goal) in BOUNDS.items():
        for needed, (plain, ours, passed) in zip(("0.3", "0.6"), found[density]):
            notes = {"ours, ns per posting": ours, "byte counters, ns per posting": plain, "pass": f"{passed} %"}
            what = f"candidates, lists of {density} % density, threshold {needed}"
            entry = Entry(8, what, plain / ours, TIMES, "byte counters", floor, goal, notes=notes)
            comparison.entries.append(entry)
    return comparison
