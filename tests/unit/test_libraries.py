"""Extensions over other libraries: each may be missing, all eight combinations build and say what is not there."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kato_fast import native

ROOT = Path(__file__).parents[2]
NAMES = tuple(native.LIBRARIES)
COMBINATIONS = [left_out for n in range(len(NAMES) + 1) for left_out in itertools.combinations(NAMES, n)]

LISTED = """
import json, setuptools
def setup(**arguments):
    print(json.dumps([extension.name for extension in arguments["ext_modules"]]))
setuptools.setup = setup
exec(compile(open("setup.py").read(), "setup.py", "exec"))
"""
ASKED = "import json, kato_fast; print(json.dumps(kato_fast.status()['libraries']))"


def python(code: str, **extra: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **extra}, capture_output=True, text=True, timeout=60
    )


def with_sources() -> set[str]:
    return {name for name in NAMES if list((ROOT / "csrc" / "python").glob(f"{name}_*.c"))}


@pytest.mark.parametrize("left_out", COMBINATIONS, ids=lambda names: "-".join(names) or "none")
def test_what_is_left_out_is_not_built_and_named(left_out: tuple[str, ...]) -> None:
    done = python(LISTED, KATO_FAST_WITHOUT=",".join(left_out))
    assert done.returncode == 0, done.stderr
    built = set(json.loads(done.stdout))
    assert "kato_fast._core" in built
    for name in with_sources():
        said = [line for line in done.stderr.splitlines() if line.startswith(f"kato_fast: {name}: no library")]
        assert len(said) == (f"kato_fast._{name}" not in built)
    assert not built & {f"kato_fast._{name}" for name in left_out}


def test_without_pkg_config_only_the_core_is_built() -> None:
    done = python(LISTED, PKG_CONFIG="/nonexistent/pkg-config")
    assert json.loads(done.stdout) == ["kato_fast._core"]
    for name in with_sources():
        assert f"apt-get install pkg-config {native.LIBRARIES[name][1]}" in done.stderr


@pytest.mark.parametrize("left_out", COMBINATIONS, ids=lambda names: "-".join(names) or "none")
def test_what_is_left_out_is_reported(left_out: tuple[str, ...]) -> None:
    done = python(ASKED, KATO_FAST_WITHOUT=" ".join(left_out))
    found = json.loads(done.stdout)
    assert set(found) == set(NAMES)
    for name in left_out:
        assert not found[name]["available"]
        assert found[name]["reason"].startswith("left out by KATO_FAST_WITHOUT; ")
        assert found[name]["package"].startswith("lib")


def test_built_libraries_say_their_version() -> None:
    for name in with_sources() if os.environ.get("CI") == "true" else ():
        assert native.libraries()[name]["available"], native.libraries()[name]["reason"]
    for name, found in native.libraries().items():
        assert found["available"] is (native.wire(name) is not None)
        assert bool(found["version"]) is found["available"]


def test_a_missing_one_gives_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    native._imported.cache_clear()
    monkeypatch.setitem(sys.modules, "kato_fast._redis", None)
    try:
        assert native.libraries()["redis"]["reason"] == "kato_fast._redis was not built; redis-py serves"
        assert native.wire("redis") is None
    finally:
        native._imported.cache_clear()


LOADED = """
import os, pathlib
path, taken = pathlib.Path(f"/dev/shm/mongoc-{os.getpid()}"), os.environ["TAKEN"] == "yes"
if taken: path.touch()
from kato_fast import native
assert native.wire("mongo") is not None
print(path.exists(), os.environ.get("MONGOC_DISABLE_SHM"))
if taken: path.unlink()
"""


@pytest.mark.skipif(native.wire("mongo") is None or not Path("/dev/shm").is_dir(), reason="_mongo was not built")
@pytest.mark.parametrize(("taken", "printed"), [("no", "False None\n"), ("yes", "True None\n")])
def test_the_driver_of_mongodb_leaves_no_counters_behind(taken: str, printed: str) -> None:
    """A process that is killed would leave a file, and another of its number would warn of it on stderr."""
    done = python(LOADED, TAKEN=taken)
    assert (done.stdout, done.stderr) == (printed, "")


NEITHER = """
import sys
sys.modules["pymongo"] = sys.modules["redis"] = None
from kato_fast import KnowledgeBase
from kato_fast.redis_client import open_client
for made in (lambda: KnowledgeBase("mongodb://127.0.0.1/x"), lambda: open_client("redis://127.0.0.1")):
    try:
        made()
    except ImportError as error:
        print(error)
"""


def test_without_any_driver_nothing_is_said_to_serve() -> None:
    done = python(NEITHER, KATO_FAST_WITHOUT="mongo,redis")
    assert "serve" not in done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == (
        "MongoDB needs libmongoc (left out by KATO_FAST_WITHOUT) or pymongo: pip install kato_fast[mongo]"
    )
    assert done.stdout.splitlines()[1].startswith("no client of Redis is there: pip install kato_fast[redis]")
