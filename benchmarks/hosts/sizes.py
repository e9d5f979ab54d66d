"""Plain and attached at some numbers of patterns, one client and eight, latency and requests per second."""

from __future__ import annotations

import argparse

from benchmarks.hosts.client import ALL, CALLS, PLAIN, eight, one, sides, users_of

#: A request of plain KATO at this many patterns or more takes seconds: eight at once are not waited for.
TOO_SLOW = ("observe-sequence of 25", 5_000)


def run(options: argparse.Namespace) -> list[dict]:
    """One row for each number of patterns, operation and number of clients."""
    rows = []
    with sides({"plain": PLAIN, "attached": ALL}) as found:
        for size in options.sizes:
            for side in found.values():
                side.fill(size, users_of(size, max(options.clients)))
            for operation in options.operations:
                for clients in options.clients:
                    rows.append(_tried(found, size, operation, clients, options))
                    print(shown(rows[-1]), flush=True)
    return rows


def _tried(found: dict, size: int, operation: str, clients: int, options: argparse.Namespace) -> dict:
    """A side whose store did not answer in time is no reason to lose the rows before and after."""
    try:
        return _row(found, size, operation, clients, options)
    except RuntimeError as error:
        return {"patterns": size, "operation": operation, "clients": clients, "failed": str(error)[:300]}


def _row(found: dict, size: int, operation: str, clients: int, options: argparse.Namespace) -> dict:
    call = CALLS[operation]
    if clients == 1:
        figures = one(found, size, call, options.rounds, options.seconds)
    else:
        asked = found
        if operation == TOO_SLOW[0] and size >= TOO_SLOW[1]:
            asked = {"attached": found["attached"]}
        figures = eight(asked, size, call, options.turns, options.seconds / options.turns / 4, clients)
    memory = {name: side.memory()["now"] for name, side in found.items()}
    return {"patterns": size, "operation": operation, "clients": clients, **figures, "memory": memory}


def shown(row: dict) -> str:
    """A row of the table."""
    cells = [f"{row['patterns']:,}", row["operation"], str(row["clients"])]
    if "failed" in row:
        return f"| {' | '.join([*cells, 'failed: ' + row['failed'], '', '', '', '', '', ''])} |"
    for name in ("plain", "attached"):
        cells += _cells(row[name]) if name in row else ["not waited for", "", ""]
    if "plain" in row:
        times = [number(row["plain"]["p50"] / row["attached"]["p50"])]
        if "cpu" in row["plain"]:
            times.append(number(row["plain"]["cpu"]["p50"] / row["attached"]["cpu"]["p50"]))
        cells.append(", ".join(times))
    else:
        cells.append("")
    return f"| {' | '.join(cells)} |"


def _cells(figures: dict) -> list[str]:
    cpu = figures.get("cpu")
    return [
        " / ".join(number(figures[key]) for key in ("p50", "p95", "p99")),
        " / ".join(number(cpu[key]) for key in ("p50", "p99")) if cpu else "",
        number(figures["per_second"]),
    ]


def number(value: float) -> str:
    """Three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
