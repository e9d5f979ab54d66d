"""Compiles C programs of tests/c against the C library, with sanitizers, for the tests of this folder."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Callable

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLAGS = (
    "-std=gnu11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
    " -ffp-contract=off -Wall -Wextra -Werror"
).split()
# Random cases of one differential test; more for a long run.
CASES = int(os.environ.get("KATO_FAST_CASES", "200000"))


@pytest.fixture(scope="session")
def compiler() -> list[str]:
    command = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no C compiler: {command[0]} (set CC)")
    return command


def run(*command: object) -> None:
    """Fail with what the program said."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{shlex.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}"


@pytest.fixture(scope="session")
def core_objects(compiler: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("core")
    objects = []
    for source in sorted((ROOT / "csrc/core").rglob("*.c")):
        objects.append(folder / ("_".join(source.relative_to(ROOT).parts) + ".o"))
        run(*compiler, *FLAGS, f"-I{ROOT}/csrc/include", "-c", source, "-o", objects[-1])
    return objects


@pytest.fixture(scope="session")
def compile_c(
    compiler: list[str], core_objects: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """compile_c("oracle") builds tests/c/oracle.c once and gives the program's path."""
    folder = tmp_path_factory.mktemp("programs")

    def compile_program(name: str) -> Path:
        program = folder / name
        if not program.exists():
            source = ROOT / "tests/c" / f"{name}.c"
            includes = [f"-I{ROOT}/csrc/include", f"-I{ROOT}/tests/c"]
            run(*compiler, *FLAGS, *includes, source, *core_objects, "-o", program, "-lm", "-lpthread")
        return program

    return compile_program


@pytest.fixture(scope="session")
def ask_c(compile_c: Callable[[str], Path]) -> Callable[..., list[str]]:
    """ask_c(lines, topic, ...) gives the oracle's answers, one for each line; see tests/c/oracle.c."""

    def ask(lines: list[str], *arguments: str) -> list[str]:
        done = subprocess.run(
            [str(compile_c("oracle")), *arguments],
            input="".join(line + "\n" for line in lines).encode(),
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        answers = done.stdout.decode("utf-8").split("\n")
        assert answers.pop() == ""
        return answers

    return ask


@pytest.fixture(scope="session")
def cases() -> int:
    return CASES
