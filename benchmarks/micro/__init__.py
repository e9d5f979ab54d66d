"""Small C programs that time parts of the engine alone; each says at its top how it is called."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "micro"
FLAGS = ["-std=gnu11", "-O3", "-fvisibility=hidden", "-ffp-contract=off", "-Icsrc/include", "-Icsrc/core", "-Itests/c"]


def program(name: str) -> Path:
    """The program ``micro/<name>.c`` with all of the C library, built unless it is newer than every source."""
    sources = [ROOT / "benchmarks" / "micro" / f"{name}.c", *sorted((ROOT / "csrc" / "core").rglob("*.c"))]
    headers = [*(ROOT / "csrc").rglob("*.h"), *(ROOT / "tests" / "c").glob("*.h")]
    built = BUILT / name
    if not built.exists() or any(path.stat().st_mtime > built.stat().st_mtime for path in (*sources, *headers)):
        BUILT.mkdir(parents=True, exist_ok=True)
        command = [*compiler(), *FLAGS, "-o", str(built), *map(str, sources), "-lm", "-lpthread"]
        subprocess.run(command, cwd=ROOT, check=True)
    return built


def compiler() -> list[str]:
    """As setup.py would be told."""
    return shlex.split(os.environ.get("CC", "cc"))


def run(name: str, *arguments: object, cpu: str = "") -> str:
    """What the program prints; cpu forces a level of kernels."""
    environment = {**os.environ, **({"KATO_FAST_CPU": cpu} if cpu else {})}
    command = [str(program(name)), *map(str, arguments)]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
