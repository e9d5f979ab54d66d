"""Fills the tables of the documentation from ``benchmarks/results`` and draws its plots: no figure is typed by hand.

``python -m benchmarks.report`` writes, ``--check`` only says whether anything differs (exit status 1).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Optional

from benchmarks import QUESTIONS
from benchmarks.compare import report as compared
from benchmarks.hosts import tables as hosts
from benchmarks.measure import duration, shown

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
#: What fills a page between its lines ``<!-- ...: python -m benchmarks.report -->`` and ``<!-- end of ... -->``.
FIGURES, COMPARISON = "figures", "comparison"


def main(arguments: Optional[list[str]] = None) -> int:
    """Write or check; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 where a file would change")
    check = parser.parse_args(arguments).check
    wanted = pages()
    changed = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in changed:
        print(f"{path.relative_to(ROOT)}: {'differs from benchmarks/results' if check else 'written'}")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
    return int(check and bool(changed))


def pages() -> dict[Path, str]:
    """The pages with figures, and the plots, as they should be."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in _stored()]
    readme, performance = ROOT / "README.md", ROOT / "docs" / "performance.md"
    made = {path: path.read_text(encoding="utf-8") for path in (readme, performance)}
    made[readme] = _filled(readme, made[readme], FIGURES, summary(results))
    sections = "\n\n".join(map(section, results))
    made[performance] = _filled(performance, made[performance], FIGURES, sections)
    made[performance] = _filled(performance, made[performance], COMPARISON, compared.text(RESULTS))
    for name, parts in hosts.pages(RESULTS).items():
        path = ROOT / "docs" / name
        made[path] = path.read_text(encoding="utf-8")
        for part, text in parts.items():
            made[path] = _filled(path, made[path], part, text)
    return made | {ROOT / compared.FIGURES / name: text for name, text in compared.plots(RESULTS).items()}


def _stored() -> list[Path]:
    paths = [RESULTS / f"{name}.json" for name in QUESTIONS]
    return [path for path in paths if path.exists()]


def _filled(path: Path, text: str, what: str, table: str) -> str:
    begin, end = f"<!-- {what}: python -m benchmarks.report -->", f"<!-- end of {what} -->"
    before, found, rest = text.partition(begin)
    _, also_found, after = rest.partition(end)
    if not (found and also_found):
        raise SystemExit(f"{path.relative_to(ROOT)} must have the lines {begin!r} and {end!r}")
    return f"{before}{begin}\n\n{table}\n\n{end}{after}"


def summary(results: list[dict]) -> str:
    """The headlines of the comparison, and every row that has a goal, in short."""
    lines = ["| question | figure | command |", "| --- | --- | --- |", *compared.headlines(RESULTS)]
    for result in results:
        command = f"`{result['run']['command']}`"
        for row in result["rows"]:
            if row["goal"] is not None:
                lines.append(f"| {row['what']}, against {row['peer']['name']} | {_against_goal(row)} | {command} |")
    return "\n".join(lines)


def _against_goal(row: dict) -> str:
    figure = shown(row["ratio"]["cpu"], row["share"])
    return figure if row["reached"] else f"{figure} (goal {shown(row['goal'], row['share'])} not reached)"


def section(result: dict) -> str:
    """One question: what it was asked of, and its rows with every value that was stored."""
    run = result["run"]
    lines = [f"### {result['question']}", "", *_conditions(result, run)]
    if result["rows"]:
        lines += ["", "| what | ours | peer | ratio, CPU (wall) | goal |", "| --- | --- | --- | --- | --- |"]
        lines += [_row(row) for row in result["rows"]]
    if result["figures"]:
        lines += ["", "| what | figure |", "| --- | --- |"]
        lines += [f"| {figure['what']} | {_value(figure)} |" for figure in result["figures"]]
    return "\n".join(lines)


def _conditions(result: dict, run: dict) -> list[str]:
    machine, versions = run["machine"], run["versions"]
    before, after = run["load_before_and_after"]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return [
        f"- command: `{run['command']}`",
        f"- options: {_fields(run['options'])}",
        f"- data: {_fields(result['data'])}",
        f"- checked equal first: {result['checked']}",
        f"- machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']};"
        f" load average before {before[0]}, after {after[0]}",
        f"- versions: {packages}",
    ]


def _fields(fields: dict) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_field(value)}" for name, value in fields.items())


def _field(value: object) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_field(item)}" for name, item in value.items()) + ")"
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _row(row: dict) -> str:
    cpu, wall = (shown(row["ratio"][clock], row["share"]) for clock in ("cpu", "wall"))
    goal = "" if row["goal"] is None else shown(row["goal"], row["share"]) + ("" if row["reached"] else ", not reached")
    return f"| {row['what']} | {_side(row['ours'], row['unit'])} | {_side(row['peer'], '')} | {cpu} ({wall}) | {goal} |"


def _side(side: dict, unit: str) -> str:
    cpu, wall = side["cpu"], side["wall"]
    spread = f"{duration(cpu['min'])} to {duration(cpu['max'])}"
    per = f" per {unit}" if unit else ""
    return f"{side['name']}: {duration(cpu['median'])}{per} ({spread}; wall {duration(wall['median'])})"


def _value(figure: dict) -> str:
    value = figure["value"]
    return f"{value:,.0f} {figure['unit']}" if value >= 10 else f"{value:.3g} {figure['unit']}"


if __name__ == "__main__":
    sys.exit(main())
