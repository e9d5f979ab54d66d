"""What ``kato-fast bench`` says: figures, and one HTML file with a percentile plot that needs nothing else."""

from __future__ import annotations

import html
import math
import platform
from dataclasses import asdict
from typing import Any, Optional

from kato_fast.cli.bench.load import Plan, Run

SHOWN = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
#: Of the plot.
WIDTH, HEIGHT, LEFT, BOTTOM = 720, 320, 80, 40


def result(plan: Plan, runs: list[Run]) -> dict[str, Any]:
    """Everything, for JSON."""
    from kato_fast import native

    return {
        "plan": asdict(plan),
        "machine": {"cpu": cpu(), "python": platform.python_version(), "system": platform.platform()},
        "version": native.status()["version"],
        "runs": [_figures(run) for run in runs],
        "errors": sum(run.errors for run in runs),
        "match_rate": match_rate(runs),
    }


def cpu() -> str:
    """The processor's name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        return f"{len(names)} x {names[0]}" if names else platform.machine()
    except OSError:
        return platform.processor() or platform.machine()


def match_rate(runs: list[Run]) -> Optional[float]:
    """Share of compared answers that are equal; None where nothing was compared."""
    if len(runs) < 2 or not runs[0].digests:
        return None
    pairs = list(zip(runs[0].digests, runs[1].digests))
    return sum(a == b for a, b in pairs) / max(len(runs[0].digests), len(runs[1].digests))


def quantile(ordered: list[float], q: float) -> float:
    """Of sorted values; nearest rank."""
    return ordered[min(len(ordered) - 1, math.ceil(q * len(ordered)) - 1 if q else 0)]


def _figures(run: Run) -> dict[str, Any]:
    ordered = sorted(run.latencies)
    steps = [1 - 10 ** (-i / 10) for i in range(31)]
    return {
        "url": run.url,
        "requests": len(ordered),
        "errors": run.errors,
        "seconds": run.seconds,
        "per_second": len(ordered) / run.seconds if run.seconds else 0.0,
        "latency_seconds": {name: quantile(ordered, q) if ordered else None for name, q in SHOWN.items()},
        "curve": [[q, quantile(ordered, q)] for q in steps] if ordered else [],
    }


def text(found: dict[str, Any]) -> str:
    """For people."""
    plan = found["plan"]
    lines = [f"{plan['kind']}, seed {plan['seed']}, {found['machine']['cpu']}, kato_fast {found['version']}"]
    for run in found["runs"]:
        times = ", ".join(
            f"{name} {value * 1000:.3g} ms" for name, value in run["latency_seconds"].items() if value is not None
        )
        lines.append(
            f"{run['url']}: {run['requests']:,} requests, {run['per_second']:,.1f}/s, {run['errors']} errors; {times}"
        )
    if found["match_rate"] is not None:
        lines.append(f"match rate {found['match_rate']:.2%}")
    return "\n".join(lines)


def page(found: dict[str, Any]) -> str:
    """One HTML file, with the plot as SVG in it."""
    rows = "".join(
        "<tr><th>{}</th><td>{:,}</td><td>{:,.1f}</td><td>{}</td>{}</tr>".format(
            html.escape(run["url"]),
            run["requests"],
            run["per_second"],
            run["errors"],
            "".join(
                f"<td>{value * 1000:.3g} ms</td>" if value is not None else "<td></td>"
                for value in run["latency_seconds"].values()
            ),
        )
        for run in found["runs"]
    )
    heads = "".join(f"<th>{name}</th>" for name in ("", "requests", "per second", "errors", *SHOWN))
    about = html.escape(text(found).splitlines()[0])
    match = "" if found["match_rate"] is None else f"<p>Match rate {found['match_rate']:.2%}</p>"
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>kato-fast bench</title>'
        "<style>body{font:16px system-ui;max-width:60rem;margin:2rem auto}td,th{padding:.3rem .8rem;text-align:left}"
        f"</style><h1>kato-fast bench</h1><p>{about}</p>{match}"
        f"<table><tr>{heads}</tr>{rows}</table>{plot(found)}</html>\n"
    )


def plot(found: dict[str, Any]) -> str:
    """Latency over percentile, both on logarithmic axes: 90 %, 99 % and 99.9 % are equally far apart."""
    curves = [run["curve"] for run in found["runs"] if run["curve"]]
    if not curves:
        return ""
    values = [value for curve in curves for _, value in curve]
    low, high = math.floor(math.log10(max(min(values), 1e-7))), math.ceil(math.log10(max(max(values), 1e-6)) + 1e-9)

    def x(q: float) -> float:
        return LEFT - (WIDTH - LEFT - 20) * math.log10(1 - q) / 3

    def y(value: float) -> float:
        share = (math.log10(max(value, 1e-7)) - low) / max(high - low, 1)
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 20) * share

    parts = []
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ccc"/>')
        parts.append(f'<text x="4" y="{at + 4:.1f}">{10.0**power * 1000:g} ms</text>')
    for label, q in (("0 %", 0.0), ("90 %", 0.9), ("99 %", 0.99), ("99.9 %", 0.999)):
        parts.append(f'<text x="{x(q) - 16:.1f}" y="{HEIGHT - 14}">{label}</text>')
    for curve, colour, dash in zip(curves, ("#14602f", "#a84300"), ("none", "7 4")):
        points = " ".join(f"{x(q):.1f},{y(value):.1f}" for q, value in curve)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
        )
    named = " and ".join(html.escape(run["url"]) for run in found["runs"])
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Latency by percentile of {named}" font-size="13">'
        f"{''.join(parts)}</svg><p>Latency by percentile; solid: the first, dashed: the second.</p>"
    )
