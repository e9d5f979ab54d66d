"""Runs every program tests/wire/test_*.c, built with the sanitizers against the library that its name says."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.libraries import flags_of

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIBRARIES = {"redis": "hiredis", "cbor": "libcbor", "mongo": "libmongoc-1.0"}
PROGRAMS = sorted(path.stem for path in HERE.glob("test_*.c") if path.stem.split("_")[1] in LIBRARIES)
SHARED = ("alloc", "buffer", "cbor", "status", "utf8")
FLAGS = (
    "-std=gnu11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
    " -Wall -Wextra -Werror -pthread"
).split()


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str, tmp_path: Path) -> None:
    concept = name.split("_")[1]
    wire = sorted((ROOT / "csrc/wire").glob(f"{concept}*.c"))
    core = [ROOT / f"csrc/core/{part}.c" for part in SHARED]
    includes = [f"-I{ROOT}/csrc/include", f"-I{ROOT}/csrc", f"-I{ROOT}/tests/c"]
    sources = [HERE / f"{name}.c", *wire, *core]
    program = tmp_path / name
    command = [*shlex.split(os.environ.get("CC", "cc")), *FLAGS, *includes, *map(str, sources)]
    command += [*flags_of(LIBRARIES[concept]), "-lm", "-o", str(program)]
    built = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert built.returncode == 0, built.stdout
    done = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


def test_programs_are_found() -> None:
    assert {"test_redis_replies", "test_redis_pool", "test_cbor_decode", "test_mongo_walk"} <= set(PROGRAMS)
