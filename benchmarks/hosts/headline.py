"""What the authors measured: 25 observations in 25 requests and in one, an empty knowledge base, a client per request.

Theirs (PERFORMANCE_ANALYSIS.md): 57 observations per second one by one, 203.71 in a batch; 438.62 and 122.73 ms.
"""

from __future__ import annotations

import argparse
import time

from benchmarks.hosts.client import ALL, PLAIN, SEQUENCE, Side, quantile, sides
from benchmarks.measure import turned
from tests.hosts.services import Connection

#: Observations per second and milliseconds: theirs.
AUTHORS = {"one by one": (57.00, 438.62), "batch": (203.71, 122.73)}


def run(options: argparse.Namespace) -> list[dict]:
    """One row for each side and way. size: patterns known before; the authors' knowledge base was small."""
    rows = []
    with sides({"plain": PLAIN, "attached": ALL}) as found:
        for side in found.values():
            side.fill(options.size)
        for way, work in (("one by one", one_by_one), ("batch", batch)):
            took: dict = {name: [] for name in found}
            until = time.monotonic() + options.seconds
            for turn in range(options.rounds):
                for name in turned(list(found), turn):
                    took[name].append(work(found[name], options.size))
                if time.monotonic() > until and turn >= 4:
                    break
            for name, values in took.items():
                middle = quantile(values, 0.5)
                figures = {"milliseconds": 1e3 * middle, "per_second": SEQUENCE / middle, "rounds": len(values)}
                rows.append({"way": way, "side": name, "patterns": options.size, **figures})
                print(rows[-1], flush=True)
    return rows


def one_by_one(side: Side, size: int) -> float:
    """A connection for every request, as requests.post makes it."""
    clear(side, size)
    start = time.perf_counter()
    for number in range(SEQUENCE):
        _ask(side, size, "/observe", {"strings": [f"sym{number}"]})
    return time.perf_counter() - start


def batch(side: Side, size: int) -> float:
    clear(side, size)
    observations = [{"strings": [f"sym{number}"]} for number in range(SEQUENCE)]
    start = time.perf_counter()
    _ask(side, size, "/observe-sequence", {"observations": observations})
    return time.perf_counter() - start


def clear(side: Side, size: int) -> None:
    _ask(side, size, "/clear-stm", None)


def _ask(side: Side, size: int, path: str, body: object) -> None:
    with Connection(side.service.port, f"bench{size}u0") as connection:
        status, answer = connection.send("POST", path, body)
    if status != 200:
        raise RuntimeError(f"{path}: {status} {answer[:200]!r}")
