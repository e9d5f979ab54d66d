"""An install without a working compiler succeeds and runs on the twin; forced to C, it fails with the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = (
    "pyproject.toml",
    "setup.py",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
    "kato_fast_door.py",
    "kato_fast_door.pth",
)
BUILT = shutil.ignore_patterns("*.so", "__pycache__")
NO_COMPILER = {"CC": "/nonexistent/cc"}
BROKEN_COMPILER = {"CC": "false"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, as from a fresh clone."""
    copy = tmp_path_factory.mktemp("project")
    for name in SOURCES:
        shutil.copy(ROOT / name, copy)
    for folder in ("csrc", "kato_fast"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=BUILT)
    return copy


def run(arguments: list[str], cwd: Path, **extra: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KATO_FAST_")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env={**environment, **extra}, capture_output=True, text=True, timeout=300
    )


def wheel(project: Path, out: Path, **extra: str) -> subprocess.CompletedProcess:
    shutil.rmtree(project / "build", ignore_errors=True)
    return run(
        ["-m", "pip", "wheel", "-v", "--no-build-isolation", "--no-deps", "--wheel-dir", str(out), "."],
        project,
        **{"PIP_DISABLE_PIP_VERSION_CHECK": "1", **extra},
    )


def unpacked(project: Path, out: Path, **extra: str) -> tuple[Path, str]:
    done = wheel(project, out, **extra)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = out.glob("*.whl")
    with ZipFile(file) as archive:
        archive.extractall(out / "site")
    return out / "site", done.stdout + done.stderr


@pytest.fixture(scope="module", params=[NO_COMPILER, BROKEN_COMPILER], ids=["no compiler", "broken compiler"])
def without_c(request: pytest.FixtureRequest, project: Path, tmp_path_factory: pytest.TempPathFactory):
    """(folder to import from, what the build said)"""
    return unpacked(project, tmp_path_factory.mktemp("wheel"), **request.param)


def python(site: Path, code: str, **extra: str) -> subprocess.CompletedProcess:
    # -S leaves out site-packages, where the tree itself may be installed with its engine.
    return run(["-S", "-c", code], site, PYTHONPATH=str(site), **extra)


def test_install_says_in_one_line_that_the_twin_serves(without_c) -> None:
    _, said = without_c
    lines = [line.strip() for line in said.splitlines() if "kato_fast: the C engine was not built" in line]
    assert len(lines) == 1
    assert "the slower Python twin serves: " in lines[0]


def test_the_twin_answers_and_says_why(without_c) -> None:
    site, _ = without_c
    done = python(site, "import kato_fast, json; print(kato_fast.ratio(['a', 'b'], ['a']), kato_fast.status())")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0.666666")
    assert "'implementation': 'python'" in done.stdout
    assert "the C engine could not be imported: No module named 'kato_fast._core'" in done.stdout
    assert done.stderr.count("the C engine is not there, the slower twin in Python answers") == 1


def test_a_forced_c_engine_that_is_missing_raises_with_the_reason(without_c) -> None:
    site, _ = without_c
    done = python(site, "from kato_fast import ratio", KATO_FAST_IMPL="c")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: KATO_FAST_IMPL=c asks for the C engine, which is not there: No module named 'kato_fast._core'"
    )


def test_the_wheel_holds_types_and_no_sources_of_c(without_c) -> None:
    site, _ = without_c
    assert (site / "kato_fast" / "py.typed").exists()
    assert (site / "kato_fast" / "_core.pyi").exists()
    assert (site / "kato_fast" / "reference" / "__init__.py").exists()
    assert not list(site.rglob("*.[ch]")) and not list(site.rglob("*.so"))
    names = ["kato_fast", "kato_fast", "kato_fast_door.pth", "kato_fast_door.py"]
    assert sorted(path.name.split("-")[0] for path in site.iterdir()) == names


@pytest.mark.parametrize("compiler", [NO_COMPILER, BROKEN_COMPILER], ids=["no compiler", "broken compiler"])
def test_a_required_c_engine_that_does_not_build_fails_the_install(project: Path, tmp_path: Path, compiler) -> None:
    done = wheel(project, tmp_path, KATO_FAST_REQUIRE_C="1", **compiler)
    assert done.returncode != 0
    assert not list(tmp_path.glob("*.whl"))


def test_an_engine_of_an_earlier_build_does_not_outlive_a_failed_one(project: Path) -> None:
    stale = run(["setup.py", "-q", "--name"], project)
    assert stale.returncode == 0, stale.stderr
    suffix = run(["-c", "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))"], project).stdout.strip()
    old = project / "kato_fast" / f"_core{suffix}"
    old.touch()
    done = run(["setup.py", "-q", "build_ext", "--inplace", "--force"], project, **NO_COMPILER)
    assert done.returncode == 0, done.stderr
    assert not old.exists()
