"""Foreign bytes: every file of the corpora through the fuzz targets under the sanitizers, and a short run of libFuzzer.

``KATO_FAST_FUZZ_SECONDS=600 make test ARGS=tests/fuzz`` looks longer.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Optional

import pytest

from tests.libraries import flags_of

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TARGETS = {
    "redis": ("redis_replies", "hiredis"),
    "cbor": ("cbor", "libcbor"),
    "mongo": ("mongo_walk mongo_bson", "libmongoc-1.0"),
}
SHARED = ("alloc", "buffer", "cbor", "status", "utf8")
SANITIZE = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1".split()
SECONDS = int(os.environ.get("KATO_FAST_FUZZ_SECONDS", "3"))


def build(compiler: str, name: str, program: Path, *more: str) -> Path:
    """The target as a program."""
    wire, library = TARGETS[name]
    sources = [
        HERE / f"fuzz_{name}.c",
        *(ROOT / f"csrc/wire/{part}.c" for part in wire.split()),
        *(ROOT / f"csrc/core/{part}.c" for part in SHARED),
    ]
    includes = [f"-I{ROOT}/csrc/include", f"-I{ROOT}/csrc", f"-I{HERE}"]
    warnings = ["-std=gnu11", "-Wall", "-Wextra", "-Werror"]
    command = [compiler, *warnings, *SANITIZE, *includes, *map(str, sources), *more, *flags_of(library), "-lm"]
    done = subprocess.run([*command, "-o", str(program)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{shlex.join(command)}:\n{done.stdout}"
    return program


def run(*command: str, seconds: float = 120) -> str:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds, text=True, errors="replace"
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str, tmp_path: Path) -> None:
    compiler = os.environ.get("CC", "cc")
    files = sorted(map(str, (HERE / "corpus" / name).iterdir()))
    assert len(files) > 50
    program = build(compiler, name, tmp_path / name, str(HERE / "replay.c"))
    assert f"{len(files)} files" in run(str(program), *files)


def libfuzzer() -> Optional[str]:
    """A clang that has it."""
    return next((found for found in map(shutil.which, ("clang", "clang-14")) if found), None)


@pytest.mark.parametrize("name", TARGETS)
def test_a_little_luck(name: str, tmp_path: Path) -> None:
    compiler = libfuzzer()
    if compiler is None:
        pytest.skip("clang is not installed")
    program = build(compiler, name, tmp_path / name, "-fsanitize=fuzzer")
    found = tmp_path / "found"
    found.mkdir()
    seed = os.environ.get("KATO_FAST_TEST_SEED", "1")
    limits = [f"-max_total_time={SECONDS}", "-max_len=1024", f"-seed={int(seed) % (1 << 31)}"]
    output = run(
        str(program),
        *limits,
        f"-artifact_prefix={tmp_path}/",
        str(found),
        str(HERE / "corpus" / name),
        seconds=SECONDS + 120,
    )
    assert "Done" in output
