"""``python -m benchmarks.compare [group ...]``: measure against the peers; runs in their environment."""

from __future__ import annotations

import argparse
import ast
import importlib
import shlex
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Optional

from benchmarks import machine
from benchmarks.compare import FULL, GROUPS, LONG, QUICK, SCALES

RESULTS = Path(__file__).parents[1] / "results"
ROOT = Path(__file__).parents[2]
PEERS = ("rapidfuzz", "cydifflib", "duckdb", "SetSimilaritySearch", "rbloom", "pybloom_live", "orjson", "msgspec")
PEERS += ("cbor2", "fastapi", "uvicorn", "numpy")


def main(arguments: Optional[list[str]] = None) -> int:
    """Measure the groups named, or all; exit status 1 where one of them failed."""
    given = _parser().parse_args(arguments)
    groups = given.group or GROUPS
    if len(groups) == 1:
        _measure(groups[0], given)
        return 0
    failed = [group for group in groups if not _in_its_own_process(group, given)]
    for group in failed:
        print(f"{group}: failed, see above", file=sys.stderr)
    return int(bool(failed))


def _parser() -> argparse.ArgumentParser:
    epilog = "groups:\n" + "\n".join(f"  {name:<12}{_first_line(name)}" for name in (*GROUPS, *LONG))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description=__doc__,
        epilog=epilog + "\n\nexample: python -m benchmarks.compare bloom render --quick",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "group", nargs="*", choices=[[], *GROUPS, *LONG], metavar="group", help="what to measure (default all but twin)"
    )
    parser.add_argument("--scale", choices=SCALES, default=FULL.name, help=f"how much (default {FULL.name})")
    quick = f"small sizes, in minutes: --scale {QUICK.name}, stored nowhere unless --results says where"
    parser.add_argument("--quick", action="store_const", const=QUICK.name, dest="scale", help=quick)
    parser.add_argument("--seed", type=int, default=1, help="of the data (default 1)")
    where = "folder of the JSON (default benchmarks/results for the full scale)"
    parser.add_argument("--results", type=Path, default=None, metavar="FOLDER", help=where)
    return parser


def _module(group: str):
    try:
        return importlib.import_module(f"benchmarks.compare.{group}")
    except ModuleNotFoundError as error:
        sys.exit(f"benchmarks.compare: {error}; run it in the environment that `make bench-peers` makes")


def _first_line(group: str) -> str:
    """Of the module's docstring, read without what it imports: that may take seconds."""
    source = (Path(__file__).parent / f"{group}.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)).splitlines()[0]


def _in_its_own_process(group: str, given: argparse.Namespace) -> bool:
    """Memory that one group took, and its collector's habits, are none of the next one's."""
    command = [sys.executable, "-m", "benchmarks.compare", group, "--scale", given.scale, "--seed", str(given.seed)]
    if given.results:
        command += ["--results", str(given.results.resolve())]
    return subprocess.run(command, cwd=ROOT).returncode == 0


def _measure(group: str, given: argparse.Namespace) -> None:
    before, began = machine.load(), time.perf_counter()
    comparison = _module(group).run(SCALES[given.scale], given.seed)
    command = ["python", "-m", "benchmarks.compare", group]
    command += [] if given.scale == FULL.name else ["--scale", given.scale]
    command += [] if given.seed == 1 else ["--seed", str(given.seed)]
    comparison.run = {
        "command": shlex.join(command),
        "scale": given.scale,
        "seed": given.seed,
        "machine": machine.describe(),
        "load_before_and_after": [before, machine.load()],
        "versions": {**machine.versions(), **{name: _version(name) for name in PEERS}},
    }
    print(comparison.text())
    folder = given.results or (RESULTS if given.scale == FULL.name else None)
    if folder:
        comparison.store(folder)
    print(f"  {time.perf_counter() - began:.0f} s\n", flush=True)


def _version(name: str) -> Optional[str]:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
