"""Each flag alone, plain and attached: latency, CPU time, memory; what many at once and the longest stall are."""

from __future__ import annotations

import argparse
import json
import threading
import time

from benchmarks.hosts.client import ALL, CALLS, PLAIN, RESULTS, Client, Side, one, only, run_all, sides
from kato_fast.flags import FLAGS
from kato_fast.hosts.predicting import WRITE_BEHIND

TOGETHER = "native_matching and incremental_metrics"
BEFORE = "all flags, predictions_kb written before the response"

#: What does something in an attached KATO of September 2025.
ACTING = (
    "native_matching",
    "aggregation",
    "incremental_metrics",
    "connection_pools",
    "batch",
    "native_responses",
    "native_store",
    "host_repairs",
)

#: How many ask at once; how long, and how often a second, the stalls are looked for.
CROWD, WATCHED, EVERY = 100, 25.0, 0.05


def variants() -> dict:
    """Name to environment: plain, off, each flag alone, two that belong together, all."""
    found = {"plain": PLAIN, "off": only(), **{flag: only(flag) for flag in FLAGS}}
    found[TOGETHER] = only("native_matching", "incremental_metrics")
    return {**found, "all": ALL, BEFORE: {**ALL, WRITE_BEHIND: "0"}}


def run(options: argparse.Namespace) -> list[dict]:
    """One row for each variant."""
    wanted = variants()
    if options.only:
        wanted = {name: wanted[name] for name in ("plain", *options.only)}
    with sides(wanted) as found:
        rows = {name: {"variant": name, "patterns": options.size} for name in found}
        for side in found.values():
            side.fill(options.size)
        for operation in options.operations:
            figures = one(found, options.size, CALLS[operation], options.rounds, options.seconds)
            _add(rows, operation, figures)
        _add(rows, "memory", {name: side.memory() for name, side in found.items()})
        if options.size <= 1_000:
            _add(rows, "crowd", {name: crowd(side, options.size) for name, side in found.items()})
            _add(rows, "stall", stalls(found))
    for row in rows.values():
        print(shown(row), flush=True)
    return _among_the_stored(rows, options) if options.only else list(rows.values())


def _among_the_stored(rows: dict, options: argparse.Namespace) -> list[dict]:
    """What was measured again takes the place of what is stored; each such row keeps the plain one of its own run."""
    stored = json.loads((RESULTS / f"{options.store}.json").read_text(encoding="utf-8"))["rows"]
    plain = {**stored[0], **rows.pop("plain")}
    return [{**row, **rows[row["variant"]], "plain": plain} if row["variant"] in rows else row for row in stored]


def _add(rows: dict, what: str, figures: dict) -> None:
    for name, values in figures.items():
        rows[name][what] = values
    plain = figures.get("plain", {}).get("p50")
    print(f"{what}: " + ", ".join(f"{name} {_first(values)}" for name, values in figures.items()), plain, flush=True)


def _first(values: dict) -> str:
    return f"{next(iter(values.values())):.3g}"


def crowd(side: Side, size: int) -> dict:
    """Many sessions at once: how many requests failed, of how many, and how many a second were answered."""
    clients = [side.client(size, seed, session=True) for seed in range(CROWD)]
    failed: list = []
    ready = threading.Barrier(CROWD)

    def work(client: Client) -> None:
        ready.wait()
        for _ in range(5):
            try:
                client.stm()
            except (RuntimeError, OSError) as error:
                failed.append(error)

    start = time.monotonic()
    run_all([threading.Thread(target=work, args=(client,)) for client in clients])
    took = time.monotonic() - start
    for client in clients:
        client.close()
    return {"failed": len(failed), "requests": 5 * CROWD, "per_second": 5 * CROWD / took}


def stalls(found: dict) -> dict:
    """The longest wait for an answer that costs nothing, in milliseconds, of every side in the same seconds."""
    longest = dict.fromkeys(found, 0.0)

    def work(name: str) -> None:
        client = found[name].client(1)
        until = time.monotonic() + WATCHED
        while time.monotonic() < until:
            longest[name] = max(longest[name], 1e3 * client.call("GET", "/sessions/count"))
            time.sleep(EVERY)
        client.close()

    run_all([threading.Thread(target=work, args=(name,)) for name in found])
    return {name: {"longest": value} for name, value in longest.items()}


def shown(row: dict) -> str:
    """For people."""
    cells = [row["variant"]]
    for operation in CALLS:
        if operation in row:
            cells.append(f"{row[operation]['p50']:.3g} ms, cpu {row[operation]['cpu']['p50']:.3g}")
    return f"| {' | '.join(cells)} | {row['memory']['now']:.0f} MB | {row.get('crowd')} | {row.get('stall')} |"
