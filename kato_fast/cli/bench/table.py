"""What ``kato-fast bench flags`` says: a row for each flag, and one HTML file with the bars of it."""

from __future__ import annotations

import html
import platform
from dataclasses import asdict
from typing import Any, Optional

from kato_fast.cli.bench.report import cpu
from kato_fast.cli.bench.switched import Plan

HEADS = tuple("flag p50 p95 p99 requests/s CPU memory bytes/request observe learn sequence cache".split())
WIDTH, BAR = 720, 22


def result(plan: Plan, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything, for JSON; of servers only whether there were any."""
    from kato_fast import native

    shown = {**asdict(plan), "mongo": plan.mongo is not None, "redis": plan.redis is not None}
    return {
        "plan": {"kind": "flags", **shown},
        "machine": {"cpu": cpu(), "python": platform.python_version(), "system": platform.platform()},
        "version": native.status()["version"],
        "rows": rows,
        "equal": all(row["equal"] for row in rows),
    }


def cells(row: dict[str, Any]) -> list[str]:
    """A row for people: off → on."""
    if not row["equal"]:
        return [row["flag"], "the answers differ"]
    off, on = row["off"], row["on"]
    kinds = [_milliseconds(off["p50_by_kind"][kind], on["p50_by_kind"][kind]) for kind in HEADS[8:]]
    return [
        row["flag"],
        *(_milliseconds(off["latency_seconds"][name], on["latency_seconds"][name]) for name in ("p50", "p95", "p99")),
        f"{off['per_second']:.0f} → {on['per_second']:.0f}",
        _milliseconds(off["cpu_seconds_per_request"], on["cpu_seconds_per_request"]),
        _pair(off["resident_bytes"], on["resident_bytes"], 2**20, " MiB"),
        _pair(off["bytes_moved_per_request"], on["bytes_moved_per_request"], 1, ""),
        *kinds,
    ]


def _milliseconds(off: Optional[float], on: Optional[float]) -> str:
    return "" if off is None or on is None else f"{off * 1000:.3g} → {on * 1000:.3g} ms"


def _pair(off: Optional[float], on: Optional[float], unit: float, name: str) -> str:
    return "" if off is None or on is None else f"{off / unit:.0f} → {on / unit:.0f}{name}"


def _about(found: dict[str, Any]) -> str:
    plan = found["plan"]
    servers = " and ".join(name for name, there in (("MongoDB", plan["mongo"]), ("Redis", plan["redis"])) if there)
    return (
        f"flags, off → on, everything else on; {servers or 'folders'}; {plan['patterns']} patterns, {plan['count']}"
        f" rounds of 18 requests, seed {plan['seed']}, {found['machine']['cpu']}, kato_fast {found['version']}"
    )


def text(found: dict[str, Any]) -> str:
    """For people."""
    lines = [_about(found)]
    for row in found["rows"]:
        name, *values = cells(row)
        pairs = zip(HEADS[1:], values) if len(values) > 1 else [("", values[0])]
        line = "; ".join(f"{head} {value}".strip() for head, value in pairs if value)
        lines.append(f"{name}: {line}" + (f" (no effect: {row['without_effect']})" if row["without_effect"] else ""))
    return "\n".join(lines)


def page(found: dict[str, Any]) -> str:
    """One HTML file that needs nothing else."""
    heads = "".join(f"<th>{head}</th>" for head in HEADS)
    lines = ("".join(f"<td>{html.escape(cell)}</td>" for cell in cells(row)) for row in found["rows"])
    rows = "".join(f"<tr>{line}</tr>" for line in lines)
    without = {row["flag"]: row["without_effect"] for row in found["rows"] if row["without_effect"]}
    reasons = "".join(f"<li>{flag}: {html.escape(reason)}</li>" for flag, reason in without.items())
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>kato-fast bench flags</title>'
        "<style>body{font:16px system-ui;max-width:90rem;margin:2rem auto}td,th{padding:.3rem .6rem;text-align:left}"
        f"</style><h1>kato-fast bench flags</h1><p>{html.escape(_about(found))}</p>"
        f"<table><tr>{heads}</tr>{rows}</table>"
        f"<p>Without effect:</p><ul>{reasons}</ul>{plot(found)}</html>\n"
    )


def plot(found: dict[str, Any]) -> str:
    """Median of off over that of on, a bar for each flag; the line is where both are as quick."""
    rows = [row for row in found["rows"] if row["equal"]]
    ratios = [row["off"]["latency_seconds"]["p50"] / row["on"]["latency_seconds"]["p50"] for row in rows]
    most, left = max([*ratios, 1.0]), 170
    parts = []
    for i, (row, ratio) in enumerate(zip(rows, ratios)):
        y, width = i * BAR, (WIDTH - left - 60) * ratio / most
        parts.append(f'<text x="0" y="{y + 15}">{row["flag"]}</text>')
        parts.append(f'<rect x="{left}" y="{y + 3}" width="{width:.1f}" height="{BAR - 6}" fill="#14602f"/>')
        parts.append(f'<text x="{left + width + 6:.1f}" y="{y + 15}">{ratio:.2f}</text>')
    one = left + (WIDTH - left - 60) / most
    height = len(rows) * BAR
    parts.append(f'<line x1="{one:.1f}" x2="{one:.1f}" y1="0" y2="{height}" stroke="#a84300"/>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Median with each flag off as a multiple of on"'
        f' font-size="13">{"".join(parts)}</svg>'
        "<p>Median request with the flag off, as a multiple of that with it on.</p>"
    )
