"""How many instructions the kernels take, counted by callgrind: the same on a busy machine as on a quiet one.

``python -m benchmarks.instructions`` counts and stores, with the compiler's version, what ``pytest -m performance``
holds later builds against. Each count is of one function of the engine on the data of ``benchmarks/micro/kernels.c``.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Optional

from benchmarks import micro

STORED = Path(__file__).parent / "results" / "instructions.json"
#: Enough for a mean, few enough for callgrind, which is fifty times slower than the processor.
PATTERNS = 2_048
#: callgrind knows no AVX-512.
LEVELS = ("scalar", "avx2")
LENGTHS = (10, 20, 50)
#: Mode of the program to the function that is counted, callees included.
KERNELS = {
    "align": "kf_align_local_many",
    "blocks": "kf_align_blocks",
    "postings": "kf_postings_candidates",
    "lcs": "kf_align_lcs",
}
#: Rounds times states of the program.
REPEATS = 5 * 8


def names() -> list[str]:
    """``align avx2 20`` and so on."""
    return [f"{kernel} {level} {m}" for kernel in KERNELS for level in LEVELS for m in LENGTHS]


def count(name: str) -> float:
    """Instructions per pair (postings: per stored pattern)."""
    kernel, level, m = name.split()
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command += [f"--toggle-collect={KERNELS[kernel]}", str(micro.program("kernels")), kernel, str(PATTERNS), m]
    environment = {**os.environ, "KATO_FAST_CPU": level}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    collected = re.search(r"Collected : (\d+)", done.stdout)
    if done.returncode != 0 or collected is None or not int(collected[1]):
        raise RuntimeError(f"callgrind counted nothing of {name}:\n{done.stdout}")
    return int(collected[1]) / PATTERNS / REPEATS


def compiler() -> str:
    """Name, version and processor: other ones give other code."""
    told = subprocess.run([*micro.compiler(), "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return f"{told.splitlines()[0]}, {platform.machine()}"


def why_not() -> Optional[str]:
    """Why nothing can be counted here, None if it can."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    if shutil.which(micro.compiler()[0]) is None:
        return f"there is no C compiler: {micro.compiler()[0]} (set CC)"
    return None


def main() -> None:
    """Count and store."""
    counts = {name: round(count(name), 1) for name in names()}
    STORED.write_text(json.dumps({"compiler": compiler(), "instructions": counts}, indent=1) + "\n", encoding="utf-8")
    for name, instructions in counts.items():
        print(f"{name:<20} {instructions:>8.1f}")


if __name__ == "__main__":
    main()
