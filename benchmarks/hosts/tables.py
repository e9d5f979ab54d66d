"""What the docs say of a real KATO, made from the stored results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Optional

from benchmarks.hosts.headline import AUTHORS
from benchmarks.hosts.sizes import number, shown
from kato_fast.flags import FLAGS

OPERATIONS = ("observe", "GET predictions", "learn", "observe-sequence of 25")


def pages(results: Path) -> dict:
    """Page, below docs, to the parts that fill it by their names; parts without a result are left out."""
    found = {name: _read(results / f"hosts-{name}.json") for name in TABLES}
    parts = {name: table(result) for name, result in found.items() if result for table in (TABLES[name],)}
    made = {"hosts.md": parts}
    if found["flags"]:
        made.update({f"flags/{flag}.md": {"attached": _alone(found["flags"], flag)} for flag in FLAGS})
    return made


def _read(path: Path) -> Optional[dict]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _conditions(result: dict) -> str:
    machine = result["machine"]
    return (
        f"`{result['command']}`; {machine['cpu']}, {machine['cores']} cores shared with other work: load average "
        f"{result['load_before'][0]:.0f} before, {result['load'][0]:.0f} after. Plain and attached took turns."
    )


def _sizes(result: dict) -> str:
    sides = [f"{side} p50 / p95 / p99 ms | CPU p50 / p99 ms | per s" for side in ("plain", "attached")]
    head = [f"| patterns | operation | clients | {' | '.join(sides)} | times (p50, CPU) |", "|" + " --- |" * 10]
    measured = [row for row in result["rows"] if "memory" in row]
    plain, attached = (measured[-1]["memory"][side] for side in ("plain", "attached"))
    memory = f"Memory of the process afterwards: plain {plain:.0f} MB, attached {attached:.0f} MB."
    return "\n".join([*head, *map(shown, result["rows"]), "", f"{memory} {_conditions(result)}"])


def _flags(result: dict) -> str:
    plain = result["rows"][0]
    head = [
        "| KATO | observe | per s | GET predictions | learn | observe-sequence | memory | refused | longest stall |",
        "|" + " --- |" * 9,
    ]
    rows = [_row(row) for row in result["rows"]]
    return "\n".join([*head, *rows, "", f"{plain['patterns']:,} patterns. {_conditions(result)}"])


def _row(row: dict) -> str:
    cells = [f"`{row['variant']}`" if row["variant"] in FLAGS else row["variant"]]
    cells += [_latency(row["observe"]), number(row["observe"]["per_second"])]
    cells += [_latency(row[operation]) for operation in OPERATIONS[1:]]
    cells.append(f"{row['memory']['now']:.0f} MB")
    cells.append(f"{row['crowd']['failed']} of {row['crowd']['requests']}" if "crowd" in row else "")
    cells.append(f"{number(row['stall']['longest'])} ms" if "stall" in row else "")
    if "plain" in row:
        cells[0] += f" (a later run, plain {_latency(row['plain'][OPERATIONS[-1]])} a sequence)"
    return f"| {' | '.join(cells)} |"


def _latency(figures: dict) -> str:
    return f"{number(figures['p50'])} ({number(figures['cpu']['p50'])})"


def _alone(result: dict, flag: str) -> str:
    rows = {row["variant"]: row for row in result["rows"]}
    mine = rows[flag]
    plain = mine.get("plain", rows["plain"])
    lines = [
        f"| KATO with {plain['patterns']:,} patterns | plain | this flag alone | times, CPU (wall) |",
        "|" + " --- |" * 4,
    ]
    for operation in OPERATIONS:
        a, b = plain[operation], mine[operation]
        times = f"{_times(a['cpu']['p50'], b['cpu']['p50'])} ({_times(a['p50'], b['p50'])})"
        lines.append(f"| {operation}, p50 ms (CPU ms) | {_latency(a)} | {_latency(b)} | {times} |")
    rates = [row["observe"]["per_second"] for row in (plain, mine)]
    lines.append(
        f"| observations per second | {number(rates[0])} | {number(rates[1])} | {_times(rates[1], rates[0])} |"
    )
    lines.append(f"| memory, MB | {plain['memory']['now']:.0f} | {mine['memory']['now']:.0f} | |")
    refused = [f"{row['crowd']['failed']} of {row['crowd']['requests']}" for row in (plain, mine)]
    lines.append(f"| refused, 100 at once | {refused[0]} | {refused[1]} | |")
    stalls = [number(row["stall"]["longest"]) for row in (plain, mine)]
    lines.append(f"| longest stall in 25 s, ms | {stalls[0]} | {stalls[1]} | |")
    return "\n".join([*lines, "", _conditions(result)])


def _times(a: float, b: float) -> str:
    return f"{a / b:.2f}" if a < 2 * b else number(a / b)


def _headline(result: dict) -> str:
    lines = ["| 25 observations | milliseconds | per second | times the authors' best |", "|" + " --- |" * 4]
    best = AUTHORS["batch"][0]
    for way, (rate, took) in AUTHORS.items():
        lines.append(
            f"| {way}, as the authors publish it, their machine | {took:.0f} | {rate:.0f} | {rate / best:.1f} |"
        )
    for row in result["rows"]:
        rate, took = row["per_second"], row["milliseconds"]
        lines.append(f"| {row['way']}, {row['side']} here | {number(took)} | {number(rate)} | {rate / best:.1f} |")
    patterns = result["rows"][0]["patterns"]
    return "\n".join([*lines, "", f"{patterns} patterns are known. {_conditions(result)}"])


def _off(result: dict) -> str:
    head = "request plain,_calls attached,_all_off more plain,_CPU_ms attached,_all_off more in_95_of_100"
    names = [name.replace("_", " ") for name in head.split()]
    lines = [f"| {' | '.join(names)} |", "|" + " --- |" * len(names)]
    for row in result["rows"]:
        calls, cpu = row["calls"], row["cpu"]
        cells = [row["operation"], f"{calls['plain']:,.0f}", f"{calls['off']:,.0f}", f"{calls['share']:+.2%}"]
        cells += [f"{cpu['plain']:.3g}", f"{cpu['off']:.3g}", f"{cpu['share']:+.2%}"]
        cells.append(" to ".join(f"{value:+.1%}" for value in cpu["between"]))
        lines.append(f"| {' | '.join(cells)} |")
    patterns, requests = result["rows"][0]["patterns"], result["rows"][0]["cpu"]["requests"]
    return "\n".join([*lines, "", f"{patterns} patterns, medians of {requests} requests. {_conditions(result)}"])


TABLES = {
    "sizes": _sizes,
    "large": _sizes,
    "eight": _sizes,
    "v21": _sizes,
    "v21-learn": _sizes,
    "flags": _flags,
    "headline": _headline,
    "off": _off,
}
