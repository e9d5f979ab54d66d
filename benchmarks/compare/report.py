"""The comparison as a table and plots for docs/performance.md, from the stored results; for ``benchmarks.report``."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.compare import GROUPS, LONG, figures
from benchmarks.compare.record import TIMES, figure

FIGURES = "docs/figures"
#: Rows of the table that stand in the README too.
HEADLINES = (3, 4, 5, 6, 10)
#: Peers that a reader does not know by their name in the table.
KNOWN_AS = {"cdist": "RapidFuzz's cdist", "twin": "the twin in Python"}


def stored(results: Path) -> list[dict]:
    """What was measured, in the order of the groups."""
    paths = [results / f"compare-{group}.json" for group in (*GROUPS, *LONG)]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


def text(results: Path) -> str:
    """The table of all entries, the plots, and the conditions of each group."""
    found = stored(results)
    lines = ["| # | what | against | measured | floor | goal | |", "| --- | --- | --- | --- | --- | --- | --- |"]
    entries = sorted((entry for group in found for entry in group["entries"]), key=lambda entry: entry["row"] or 99)
    lines += [_row(entry) for entry in entries]
    lines += [""] + [f"![{title}](figures/{name})" for name, title in _titles(found).items()]
    for group in found:
        lines += ["", *_conditions(group)]
    return "\n".join(lines)


def headlines(results: Path) -> list[str]:
    """Lines of a table: question, figure, command."""
    return [
        f"| {entry['what']}, against {KNOWN_AS.get(entry['peer'], entry['peer'])}"
        f" | {figure(entry['value'], entry['unit'])} | `{group['run']['command']}` |"
        for group in stored(results)
        for entry in group["entries"]
        if entry["row"] in HEADLINES and entry["unit"] == TIMES
    ]


def _row(entry: dict) -> str:
    bounds = ["" if entry[name] is None else figure(entry[name], entry["unit"]) for name in ("floor", "goal")]
    row, value = entry["row"] or "", figure(entry["value"], entry["unit"])
    told = {"missed": "**missed**"}.get(entry["reached"], entry["reached"])
    return f"| {row} | {entry['what']} | {entry['peer']} | {value} | {bounds[0]} | {bounds[1]} | {told} |"


def _conditions(group: dict) -> list[str]:
    run = group["run"]
    before, after = run["load_before_and_after"]
    lines = [
        f"**{group['group']}**: `{run['command']}`, commit {run['versions']['kato_fast commit']},"
        f" load average {before[0]} before, {after[0]} after.",
        "",
        f"- data: {_plain(group['data'])}",
        f"- checked first: {group['checked']}",
    ]
    seen = set()
    for entry in group["entries"]:
        told = f"- {entry['what']}: {_plain(entry['notes'])}"
        if entry["notes"] and told not in seen:
            seen.add(told)
            lines.append(told)
    return lines


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_nested(item)}" for name, item in value.items())
    if isinstance(value, list):
        return " / ".join(map(_plain, value))
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _nested(value: object) -> str:
    return f"({_plain(value)})" if isinstance(value, dict) else _plain(value)


def plots(results: Path) -> dict[str, str]:
    """File name to SVG."""
    found = stored(results)
    made = {}
    entries = [entry for group in found for entry in group["entries"] if entry["unit"] == TIMES]
    if entries:
        made["compare-ratios.svg"] = figures.ratios(sorted(entries, key=lambda entry: entry["row"] or 99))
    for group in found:
        made |= {f"compare-{curve['name']}.svg": figures.curve(curve) for curve in group["curves"]}
    return made


def _titles(found: list[dict]) -> dict[str, str]:
    titles = {"compare-ratios.svg": "How many times faster, beside floor and goal"} if found else {}
    return titles | {f"compare-{curve['name']}.svg": curve["title"] for group in found for curve in group["curves"]}
