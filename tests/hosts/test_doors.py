"""The three doors to the stand-in, each in an interpreter of its own; and that a closed door costs nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import kato_fast_door
from kato_fast import flags, hosts, native, otel
from kato_fast.hosts import launch, predicting
from kato_fast.rollout import Declined
from tests.hosts.conftest import host_environment

SEEN = """
import json, sys
import kato.services.kato_fastapi
import kato_fast
print(json.dumps(kato_fast.status()["host"]))
"""
INSTALLED = f"import kato_fast; kato_fast.install()\n{SEEN}"
INSTALLED_LATE = f"import kato.services.kato_fastapi, kato_fast; kato_fast.install()\n{SEEN}"
IMPORTED = "import sys; print(sorted(name for name in sys.modules if name.startswith('kato')))"


def python(environment: dict, *arguments: str, command: tuple = (sys.executable,)) -> subprocess.CompletedProcess:
    return subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def environment(mongo_url, redis_url, known) -> dict:
    return host_environment(mongo_url, redis_url, KATO_FAST_FINGERPRINTS=known)


def attached(done: subprocess.CompletedProcess) -> dict:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(found: dict) -> None:
    assert found["host"] == "KATO of September 2025" and found["version"] == "1.0.0"
    assert not found["left_alone"], found["left_alone"]
    targets = {item["target"] for item in found["seams"]}
    assert "kato.workers.pattern_processor:PatternProcessor.predictPattern" in targets
    assert "kato.services.kato_fastapi:get_predictions_primary" in targets


def test_the_environment_opens_the_door(environment) -> None:
    done = python({**environment, "KATO_FAST": "1"}, "-c", SEEN)
    check(attached(done))
    (banner,) = [line for line in done.stderr.splitlines() if "is attached to" in line]
    assert "KATO of September 2025" in banner and "left alone: nothing" in banner and "CPU" in banner


def test_the_command_opens_the_door_and_its_children_too(environment) -> None:
    child = "import os, subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', os.environ['CODE']]))"
    run = (sys.executable, "-m", "kato_fast", "run", "--", sys.executable)
    done = python({**environment, "CODE": SEEN}, "-c", child, command=run)
    check(attached(done))


@pytest.mark.parametrize(
    "variable, said",
    [("KATO_FAST_IMPL", "KATO_FAST_IMPL must be one of"), ("KATO_FAST_BATCH", "KATO_FAST_BATCH must be")],
)
def test_a_setting_that_cannot_be_used_stops_the_start(environment, variable: str, said: str) -> None:
    """By the door, by code, and by the command, which says it in one line."""
    environment[variable] = "x"
    run = (sys.executable, "-m", "kato_fast", "run", "--", sys.executable)
    done = python(environment, "-c", SEEN, command=run)
    assert done.returncode == 2 and re.fullmatch(f"kato-fast run: {said}.*\n", done.stderr)
    for code, opens in ((SEEN, "1"), (INSTALLED, "0")):
        done = python({**environment, "KATO_FAST": opens}, "-c", code)
        assert done.returncode == 1 and said in done.stderr.splitlines()[-1]


def test_install_before_the_host(environment) -> None:
    check(attached(python(environment, "-c", INSTALLED)))


def test_install_after_the_host(environment) -> None:
    check(attached(python(environment, "-c", INSTALLED_LATE)))


@pytest.mark.parametrize("value", [None, "", "0", "off"])
def test_a_closed_door_imports_nothing(environment, value) -> None:
    if value is not None:
        environment["KATO_FAST"] = value
    done = python(environment, "-c", IMPORTED)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout.replace("'", '"'))) <= {"kato_fast_door"}, done.stdout
    if value in (None, "", "0"):
        assert done.stdout.strip() == "[]"


def test_an_open_door_imports_no_engine_until_the_host_comes(environment) -> None:
    done = python({**environment, "KATO_FAST": "1"}, "-c", IMPORTED)
    assert done.stdout.strip() == "['kato_fast_door']"


def test_without_fingerprints_every_place_is_left_alone_and_said(environment) -> None:
    del environment["KATO_FAST_FINGERPRINTS"]
    found = attached(python({**environment, "KATO_FAST": "1"}, "-c", SEEN))
    left = {item["target"] for item in found["left_alone"]}
    assert "kato.workers.pattern_processor:PatternProcessor.predictPattern" in left
    assert all(item["reason"] == "fingerprint" for item in found["left_alone"])


def test_an_unknown_host_is_refused_in_one_line(environment, tmp_path) -> None:
    package = tmp_path / "kato"
    package.mkdir()
    (package / "__init__.py").write_text("__version__ = '9.9'")
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environment["PYTHONPATH"]])
    done = python({**environment, "KATO_FAST": "1"}, "-c", "import kato; print('served')")
    assert done.stdout == "served\n"
    (line,) = done.stderr.splitlines()
    assert "not attached" in line and "9.9" in line


def test_an_install_that_cannot_be_sets_nothing(tmp_path, monkeypatch) -> None:
    """Neither the flags that were right, nor the door; and the host that is not known is refused before."""
    before = {flag: flags.resolution(flag) for flag in flags.FLAGS}
    with pytest.raises(ValueError, match="native_store must be one of off, shadow"):
        hosts.install(batch="on", native_store="nonsense")
    monkeypatch.setitem(sys.modules, "kato", ModuleType("kato"))
    with pytest.raises(RuntimeError, match="not attached"):
        hosts.install(batch="on")
    assert {flag: flags.resolution(flag) for flag in flags.FLAGS} == before
    assert kato_fast_door.FINDER not in sys.meta_path
    hosts.uninstall()


def test_a_mode_that_cannot_be_read_stops_the_start(environment) -> None:
    done = python({**environment, "KATO_FAST": "1", "KATO_FAST_BATCH": "sometimes"}, "-c", SEEN)
    assert done.returncode != 0 and "off, shadow, canary" in done.stderr


def test_a_runtime_directory_that_cannot_be_read_stops_the_start_in_one_line(environment, tmp_path) -> None:
    """As where it is another user's: nothing could be switched."""
    (tmp_path / "file").touch()
    done = python({**environment, "KATO_FAST": "1", "KATO_FAST_RUNTIME_DIR": str(tmp_path / "file")}, "-c", SEEN)
    last = done.stderr.splitlines()[-1]
    assert done.returncode != 0 and "cannot be read" in last and "KATO_FAST_RUNTIME_DIR names another" in last


def test_an_address_of_redis_that_only_the_host_reads_stops_nothing(environment) -> None:
    done = python({**environment, "KATO_FAST": "1", "REDIS_URL": "redis://127.0.0.1:1/0/1"}, "-c", SEEN)
    check(attached(done))
    assert "no kill switch" in done.stderr


def test_the_next_sitecustomize_runs(environment, tmp_path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('theirs')")
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environment["PYTHONPATH"]])
    done = python(
        launch.environment(environment), "-c", "import sys; print(any(p.endswith('sitecustomize') for p in sys.path))"
    )
    assert done.stdout.splitlines() == ["theirs", "False"]


def test_the_command_keeps_the_rest_of_the_path_and_a_refusal() -> None:
    after = launch.environment({"PYTHONPATH": f"a{os.pathsep}b", "KATO_FAST": "0"})
    assert after["PYTHONPATH"].split(os.pathsep) == [str(launch.FOLDER), "a", "b"]
    assert after["KATO_FAST"] == "0"
    assert launch.environment(after)["PYTHONPATH"] == after["PYTHONPATH"]


@pytest.mark.parametrize("arguments, code, said", [([], 2, "usage"), (["--", "no-such-command"], 127, "not found")])
def test_a_command_that_is_none(arguments, code, said, capsys) -> None:
    assert launch.run(arguments) == code
    assert said in capsys.readouterr().err


def test_help_is_no_error(capsys) -> None:
    assert launch.run(["--help"]) == 0
    assert "uvicorn" in capsys.readouterr().out


def test_the_line_of_the_pth_file_is_one_line() -> None:
    text = (Path(__file__).parents[2] / "kato_fast_door.pth").read_text()
    assert text.count("\n") == 1 and text.startswith("import ")


def test_an_attached_host_tells_its_figures_to_opentelemetry(environment) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="needs the extra: kato_fast[otel]")
    asked = {"KATO_FAST": "1", "OTEL_METRICS_EXPORTER": "console", "OTEL_TRACES_EXPORTER": "none"}
    done = python({**environment, **asked}, "-c", "import kato.services.kato_fastapi")
    assert done.returncode == 0, done.stderr
    assert '"name": "kato_fast_' in done.stdout, done.stderr


def test_searches_of_an_attached_host_have_spans() -> None:
    """Both hosts ask the engine by one function."""
    pytest.importorskip("opentelemetry.sdk", reason="needs the extra: kato_fast[otel]")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    engine = native.load().Knowledge()
    engine.learn([["a"], ["b"], ["c"]])
    plain = predicting.predicted(engine, ["a", "b"], 0.1, 100).to_list()
    otel.start(tracer_provider=provider)
    try:
        assert predicting.predicted(engine, ["a", "b"], 0.1, 100).to_list() == plain
        with pytest.raises(Declined):
            predicting.predicted(engine, ["a", "b"], "much", 100)
    finally:
        otel.stop()
    found, refused = spans.get_finished_spans()
    assert found.name == refused.name == "kato_fast.search" and not refused.status.is_ok
    assert found.attributes["kato_fast.patterns"] == found.attributes["kato_fast.matched"] == 1
    assert found.attributes["kato_fast.symbols"] == 2


def test_what_is_not_ours_to_read_stops_no_host(monkeypatch, caplog) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="needs the extra: kato_fast[otel]")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "nonsense")
    hosts._start_telemetry()
    assert "no traces and metrics of kato_fast: OTEL_METRICS_EXPORTER must list some of" in caplog.text
