"""The command line: help, JSON, exit codes, what goes where, and how quick the version is.

``run`` calls ``main`` in this process, since there are many cases; ``run_program`` starts the real thing.
"""

from __future__ import annotations

import io
import json
import os
import pty
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("typer", reason="the command line needs the extra: kato_fast[cli]")
pytest.importorskip("rich", reason="the command line needs the extra: kato_fast[cli]")

from kato_fast.cli import main  # noqa: E402

ROOT = Path(__file__).parents[2]
COMMANDS = (
    "serve",
    "learn",
    "predict",
    "snapshot",
    "doctor",
    "status",
    "verify-store",
    "explain-queries",
    "flags",
    "kill",
    "explain",
    "canary",
    "shadow",
    "replay",
    "exporter",
    "top",
    "bench",
)


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KATO_FAST_", "PYTHON"))}
    return {**kept, "PYTHONPATH": str(ROOT), "KATO_FAST_IMPL": "python", **more}


def run_program(*arguments: object, env: dict | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kato_fast", *map(str, arguments)]
    return subprocess.run(command, env=env or environment(), capture_output=True, text=True, timeout=60)


def run(*arguments: object, input: str = "") -> subprocess.CompletedProcess[str]:
    """As run_program, in this process."""
    streams = [io.TextIOWrapper(io.BytesIO(content), "utf-8", newline="") for content in (input.encode(), b"", b"")]
    words = [str(argument) for argument in arguments]
    with pytest.MonkeyPatch.context() as patch:
        for name, stream in zip(("stdin", "stdout", "stderr"), streams):
            patch.setattr(sys, name, stream)
        patch.setenv("KATO_FAST_IMPL", "python")
        with pytest.raises(SystemExit) as ended:
            main(words)
    for stream in streams:
        stream.seek(0)
    return subprocess.CompletedProcess(words, ended.value.code, streams[1].read(), streams[2].read())


def answer(done: subprocess.CompletedProcess[str], command: str) -> dict:
    found = json.loads(done.stdout)
    assert found["schema"] == f"kato-fast/{command}/1"
    assert next(iter(found)) == "schema"
    return found


def plain(done: subprocess.CompletedProcess[str], code: int) -> str:
    """stderr of a command that ended with the code, in words."""
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("One two three. Four five.\n\nOne two six.\n\nalone\n")
    (folder / "b.py").write_text("def close(self):\n    self.file.close()\n\ndef f(): return 1\n")
    (folder / "c.jsonl").write_text('[["a"], ["b", "c"]]\n[["a"], ["b", "d"]]\n')
    (folder / "picture.png").write_bytes(b"\x89PNG\0\0")
    return folder


@pytest.fixture
def data(tmp_path: Path, texts: Path) -> Path:
    file = tmp_path / "kb.sqlite"
    plain(run("learn", texts, "--data", file), 0)
    return file


NO_ENGINE = "KATO_FAST_IMPL must be one of c, python, not 'x'"
NO_PROVIDER = "KATO_FAST_OPENFEATURE: nope:x makes no provider: .*"
NO_CPU = "KATO_FAST_CPU must be scalar.*, not x"


class TestAll:
    def test_the_real_thing(self, texts: Path, tmp_path: Path) -> None:
        file = tmp_path / "kb.sqlite"
        assert answer(run_program("learn", texts, "--data", file, "--json"), "learn")["patterns_new"] == 6
        done = run_program("predict", "--data", file, "One", "two")
        plain(done, 0)
        assert "matches among 6 patterns" in done.stdout
        assert "must be" in plain(run_program("predict", "--data", file, "--state-json", "{}"), 2)

    @pytest.mark.parametrize("command", COMMANDS)
    def test_help_has_example_and_exit_codes(self, command: str) -> None:
        done = run(command, "--help")
        assert done.returncode == 0
        assert re.search(rf"Examples?:\n +kato-fast {command}", done.stdout)
        assert "Exit codes: 0 done, 1 a finding" in done.stdout and "--json" in done.stdout

    def test_the_list_of_commands(self) -> None:
        done = run("--help")
        assert done.stdout == run().stdout and done.returncode == 0
        assert all(f"\n  {command} " in done.stdout for command in COMMANDS)
        assert not re.search(r"[a-z,;:]\.\.\.", done.stdout), "a sentence is cut off"

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_completion(self, shell: str) -> None:
        """What the shell sources, and what it then asks."""
        told = environment(_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="True")  # which needs a shell as parent
        assert "kato-fast" in run_program("--show-completion", shell, env=told).stdout
        asking = environment(_KATO_FAST_COMPLETE="complete_bash", COMP_WORDS="kato-fast pre", COMP_CWORD="1")
        assert run_program(env=asking).stdout.split() == ["predict"]

    @pytest.mark.parametrize(
        ("set_to", "words", "code", "said"),
        [
            ("KATO_FAST_IMPL=x", "doctor", 2, NO_ENGINE),
            ("KATO_FAST_IMPL=x", "predict --data kb.sqlite a", 2, NO_ENGINE),
            ("KATO_FAST_IMPL=x", "serve --port 0", 2, NO_ENGINE),
            ("KATO_FAST_CPU=x", "doctor", 2, NO_CPU),
            ("KATO_FAST_CPU=x", "serve --port 0", 2, NO_CPU),
            (
                "KATO_FAST_OPENFEATURE=nope:x",
                "serve --port 0",
                2,
                "KATO_FAST_OPENFEATURE: nope:x makes no provider: .*",
            ),
            ("KATO_FAST_RUNTIME_DIR=/dev/null", "serve --port 0", 3, "/dev/null/flags.json: Not a directory"),
        ],
    )
    def test_a_setting_that_cannot_be_used_is_one_line(
        self, set_to: str, words: str, code: int, said: str, data: Path
    ) -> None:
        """Also what is wrong before a command begins, while modules are imported, or only in the server."""
        words = words.replace("kb.sqlite", str(data))
        variable, _, value = set_to.partition("=")
        done = run_program(*words.split(), env=environment(**{variable: value}))
        last = plain(done, code).splitlines()[-1]
        assert re.fullmatch(f"kato-fast {words.split()[0]}: {said}", last) and not done.stdout

    def test_what_needs_no_engine_goes_without(self) -> None:
        env = environment(KATO_FAST_IMPL="x")
        assert run_program("--version", env=env).stdout.startswith("kato-fast ")
        plain(run_program("kill", "--help", env=env), 0)

    @pytest.mark.parametrize("words", ["nonsense", "learn", "predict --limit x", "doctor --what"])
    def test_wrong_usage(self, words: str) -> None:
        plain(run(*words.split()), 2)

    def test_without_the_extra(self, data: Path, tmp_path: Path) -> None:
        """argparse offers the same commands; what must be drawn names the extra."""
        without = environment(PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
        for name in ("typer", "rich"):
            (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('no {name}', name='{name}')")
        listed = run_program(env=without).stdout
        assert all(re.search(f"\n    {command}[ \n]", listed) for command in COMMANDS)
        assert answer(run_program("doctor", "--json", env=without), "doctor")["checks"]
        asked = ("predict", "--data", data, "One", "two")
        with_typer = answer(run(*asked, "--json"), "predict")
        assert answer(run_program(*asked, "--json", env=without), "predict") == with_typer
        assert "pip install kato_fast[cli]" in plain(run_program(*asked, env=without), 3)
        for words in ("nonsense", "predict --limit -1 a", "predict a", "doctor --what", "doctor --port 70000"):
            assert "--help shows what there is" in plain(run_program(*words.split(), env=without), 2)

    def test_version_needs_no_extra(self, tmp_path: Path) -> None:
        (tmp_path / "typer.py").write_text("raise ImportError('not here')")
        done = run_program("--version", env=environment(PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}"))
        from kato_fast import __version__

        assert (done.returncode, done.stdout) == (0, f"kato-fast {__version__}\n")

    def test_version_imports_nothing_heavy(self) -> None:
        code = "import sys, kato_fast.cli as c\ntry: c.main(['--version'])\nfinally: print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
        assert not {"typer", "click", "rich", "sqlite3", "fastapi"} & set(done.stdout.split())

    def test_version_is_quick(self) -> None:
        """In seconds of the processor; other programs on the machine are not to blame."""
        used = [_seconds_of_children()]
        for _ in range(5):
            assert run_program("--version").returncode == 0
            used.append(_seconds_of_children())
        assert min(after - before for before, after in zip(used, used[1:])) <= 0.150, used

    def test_a_folder_is_no_store(self, tmp_path: Path) -> None:
        assert "is a folder; name a store file in it" in plain(run("predict", "--data", tmp_path, "a", "b"), 2)

    @pytest.mark.parametrize("command", ["predict", "status"])
    def test_errors_are_json_too_where_asked(self, command: str, tmp_path: Path) -> None:
        arguments = ["a", "b"] if command == "predict" else []
        done = run(command, *arguments, "--data", tmp_path / "none", "--json")
        assert "no file" in plain(done, 2)
        found = answer(done, command)
        assert "no file" in found["error"] and found["exit_code"] == 2
        assert not (tmp_path / "none").exists()

    def test_a_reader_that_leaves(self, data: Path) -> None:
        command = f"{sys.executable} -m kato_fast predict --data {data} One two --json | head -c 10"
        done = subprocess.run(command, shell=True, env=environment(), capture_output=True, text=True)
        assert "Traceback" not in done.stderr


class TestLearn:
    def test_what_it_tells(self, texts: Path, tmp_path: Path) -> None:
        file = tmp_path / "kb.sqlite"
        done = run("learn", texts, "--data", file, "--json")
        plain(done, 0)
        found = answer(done, "learn")
        figures = ("files", "patterns_learned", "patterns_new", "patterns_held")
        assert [found[figure] for figure in figures] == [4, 6, 6, 6]
        assert found["file_bytes"] == file.stat().st_size and found["memory_per_pattern"] > 0
        assert found["patterns_per_second"] > 0 and found["interrupted"] is False and found["symbol_order_kept"] is True
        sorted_too = answer(run("learn", texts, "--data", tmp_path / "s.sqlite", "--sort", "--json"), "learn")
        assert sorted_too["symbol_order_kept"] is False
        skipped = {skip["reason"]: (skip["count"], skip["error"]) for skip in found["skipped"]}
        assert skipped == {"fewer than two symbols": (1, False), "not text": (1, False)}
        again = run("learn", texts, "--data", file)
        plain(again, 0)
        assert "learned     0 patterns" in again.stdout and "were already learned" in again.stdout

    def test_a_named_file_must_be_text(self, texts: Path, tmp_path: Path) -> None:
        done = run("learn", texts / "picture.png", "--data", tmp_path / "kb.sqlite")
        plain(done, 1)
        assert "skipped     1 not text" in done.stdout

    def test_wrong_input_is_a_finding(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_text('[["a", "b"]]\n[["a", 3]]\n{\n')
        done = run("learn", tmp_path / "a.jsonl", "--data", tmp_path / "kb.sqlite")
        plain(done, 1)
        assert "line 2: events[0][1] must be a str, not int" in done.stdout and "1 not JSON" in done.stdout

    def test_event_logs(self, tmp_path: Path) -> None:
        (tmp_path / "log.csv").write_text("id,t,a\n1,2,pay\n1,1,order\n")
        assert "name its columns" in plain(run("learn", tmp_path / "log.csv", "--data", tmp_path / "kb.sqlite"), 2)
        columns = ["--case", "id", "--order", "t", "--activity", "a"]
        plain(run("learn", tmp_path / "log.csv", *columns, "--data", tmp_path / "kb.sqlite"), 0)
        done = run("predict", "--data", tmp_path / "kb.sqlite", "order", "pay", "--json")
        assert answer(done, "predict")["predictions"][0]["sequence"] == [["order"], ["pay"]]
        wrong = run("learn", tmp_path / "log.csv", "--case", "id", "--activity", "x", "--data", tmp_path / "kb.sqlite")
        plain(wrong, 1)
        assert "no single column 'x' among id, t, a" in wrong.stdout

    @pytest.mark.parametrize(
        "arguments, words",
        [
            (["none.txt", "--data", "kb.sqlite"], "no file or folder"),
            ([".", "--data", "."], "not a folder"),
            ([".", "--data", "none/kb.sqlite"], "no folder"),
            ([".", "--data", "kb.sqlite", "--case", "id"], "belong together"),
            ([".", "--data", "kb.sqlite", "--implementation", "rust"], "must be one of"),
            ([".", "--data", "other.sqlite"], "must be a"),
        ],
    )
    def test_wrong_input(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "other.sqlite").write_text("this is no database, and longer than its header" * 10)
        assert words in plain(run("learn", *arguments), 2)

    def test_the_bar_is_for_terminals(self, texts: Path, tmp_path: Path) -> None:
        ours, theirs = pty.openpty()
        arguments = ["learn", str(texts), "--data", str(tmp_path / "kb.sqlite"), "--json"]
        command = [sys.executable, "-m", "kato_fast", *arguments]
        env = environment(TERM="xterm", NO_COLOR="1")
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=theirs, timeout=60)
        os.close(theirs)
        shown = os.read(ours, 65536).decode()
        os.close(ours)
        assert done.returncode == 0 and json.loads(done.stdout)["patterns_learned"] == 6
        assert "%" in shown and not re.search(r"\x1b\[[0-9;]*3[0-9][;m]", shown)
        assert "%" not in run("learn", texts, "--data", tmp_path / "kb.sqlite").stderr


class TestPredict:
    def test_every_way_to_give_the_state(self, data: Path) -> None:
        ways = [
            (["a", "b"], None),
            (["--state-json", '[["a"], ["b"]]'], None),
            (["--stdin"], '["a", "b"]'),
        ]
        for arguments, given in ways:
            done = run("predict", "--data", data, "--json", *arguments, input=given or "")
            plain(done, 0)
            found = answer(done, "predict")
            assert {p["sequence"][1][1] for p in found["predictions"]} == {"c", "d"}
            assert found["patterns"] == 6 and found["matched"] == 2

    def test_code_and_the_table(self, data: Path) -> None:
        for code, given in ((r"def close(self):\n    self", None), ("-", "def close(self):\n    self.file")):
            done = run("predict", "--data", data, "--code", code, "--threshold", "0.6", input=given or "")
            plain(done, 0)
            assert "def close(self):" in done.stdout and "(the end)" in done.stdout
            assert "1 of 1 matches among 6 patterns" in done.stdout
            assert "\x1b" not in done.stdout

    def test_limit_and_threshold(self, data: Path) -> None:
        found = answer(run("predict", "--data", data, "a", "b", "--limit", "1", "--json"), "predict")
        assert len(found["predictions"]) == 1 and found["matched"] == 2
        assert plain(run("predict", "--data", data, "a", "b", "--threshold", "nan"), 2)

    def test_no_prediction_is_a_finding(self, data: Path) -> None:
        plain(run("predict", "--data", data, "x", "y"), 1)

    @pytest.mark.parametrize(
        "arguments, words",
        [
            ([], "in one way"),
            (["a", "--code", "b"], "in one way"),
            (["--state-json", "{"], "must be JSON"),
            (["--state-json", "{}"], "must be a list"),
            (["--state-json", "[" * 100_000], "nested too deeply"),
            (["--state-json", '["a", 1]'], "state[1] must be a str"),
            (["--state-json", '["a", "\\ud800"]'], "lone surrogate"),
        ],
    )
    def test_wrong_states(self, data: Path, arguments: list[str], words: str) -> None:
        assert words in plain(run("predict", "--data", data, *arguments), 2)

    def test_control_characters_stay_in_the_store(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_text('[["a"], ["b"], ["\\u001b[31mred\\u0000\\n"]]\n')
        plain(run("learn", tmp_path / "a.jsonl", "--data", tmp_path / "kb.sqlite"), 0)
        done = run("predict", "--data", tmp_path / "kb.sqlite", "a", "b")
        assert r"\x1b[31mred\x00\n" in done.stdout and "\x1b" not in done.stdout


class TestDoctor:
    def test_what_it_looks_at(self, data: Path) -> None:
        done = run("doctor", "--data", data, "--port", free_port(), "--json")
        found = answer(done, "doctor")
        names = [check["name"] for check in found["checks"]]
        assert names[:4] == ["python", "engine", "cpu", "sqlite"]
        assert names[4:7] == ["library mongo", "library redis", "library cbor"]
        assert names[7:10] == ["flags", "extra cli", "extra service"] and names[-3:] == ["port", "data", "store"]
        assert set(names[10:-3]) <= {"http"}
        assert done.returncode == (1 if found["findings"] else 0)
        assert all(check["ok"] for check in found["checks"] if check["name"] not in ("engine", "extra service"))

    def test_a_port_in_use_is_a_finding(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            done = run("doctor", "--port", taken.getsockname()[1])
        plain(done, 1)
        assert re.search("FINDING  port .*choose another", done.stdout)

    @pytest.mark.parametrize(
        ("variables", "text"),
        [
            ({"KATO_FAST": "maybe"}, "KATO_FAST must be one of off, shadow"),
            ({"KATO_FAST_NATIVE_MATCHNIG": "on"}, "KATO_FAST_NATIVE_MATCHNIG is no setting of kato_fast"),
            ({"KATO_FAST_CONFIG": "/none"}, "KATO_FAST_CONFIG: /none: No such file or directory"),
            ({"KATO_FAST_OPENFEATURE": "nope:x"}, "KATO_FAST_OPENFEATURE: nope:x makes no provider"),
        ],
    )
    def test_flags_that_would_end_a_start_are_a_finding(self, variables, text, monkeypatch) -> None:
        monkeypatch.delenv("KATO_FAST_CONFIG", raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        done = run("doctor", "--port", free_port())
        plain(done, 1)
        assert re.search(f"FINDING  flags .*{text}", done.stdout)

    def test_flags_that_are_set_are_named(self, monkeypatch) -> None:
        monkeypatch.setenv("KATO_FAST_BATCH", "canary:5")
        assert re.search("ok       flags .*batch canary:5", run("doctor", "--port", free_port()).stdout)

    def test_wrong_counters_are_a_finding(self, data: Path) -> None:
        import sqlite3

        with sqlite3.connect(data) as db:
            db.execute("UPDATE totals SET value = value + 1 WHERE name = 'total_pattern_frequencies'")
        db.close()
        done = run("doctor", "--data", data)
        plain(done, 1)
        assert re.search("FINDING  store .*total_pattern_frequencies", done.stdout)

    def test_not_a_store(self, tmp_path: Path) -> None:
        (tmp_path / "x.sqlite").write_text("hello" * 1000)
        done = run("doctor", "--data", tmp_path)
        plain(done, 1)
        assert "FINDING  store" in done.stdout


class TestSnapshot:
    """Only the C engine writes snapshots, so these start the program with it where it was built."""

    @pytest.fixture
    def file(self, data: Path, tmp_path: Path) -> Path:
        pytest.importorskip("kato_fast._core", reason="the C engine is not built")
        file = tmp_path / "kb.snapshot"
        done = run_program("snapshot", file, "--data", data, env=environment(KATO_FAST_IMPL="c"))
        plain(done, 0)
        assert f"{file}: 6 patterns" in done.stdout
        return file

    def test_it_answers_as_the_store(self, file: Path, data: Path) -> None:
        shown = [run("predict", "--data", path, "One", "two", "--json") for path in (file, data)]
        predictions = [answer(done, "predict")["predictions"] for done in shown]
        assert predictions[0] == predictions[1] != []

    def test_checking_shows_what_it_holds(self, file: Path) -> None:
        found = answer(run("snapshot", file, "--json"), "snapshot")
        assert (found["patterns"], found["profile"]) == (6, "kato-2025-09")
        assert found["file_bytes"] == file.stat().st_size

    def test_a_damaged_one_is_told(self, file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        assert "is damaged" in plain(run("snapshot", file), 2)

    def test_wrong_files(self, data: Path, tmp_path: Path) -> None:
        assert "no file" in plain(run("snapshot", tmp_path / "none"), 2)
        assert "is no snapshot" in plain(run("snapshot", data), 2)
        assert "is the store itself" in plain(run("snapshot", data, "--data", data), 2)


class TestStatus:
    def test_of_a_file(self, data: Path) -> None:
        done = run("status", "--data", data, "--json")
        plain(done, 0)
        found = answer(done, "status")
        assert found["patterns"] == 6 and found["totals"]["total_pattern_frequencies"] == 6
        assert "patterns " in run("status", "--data", data).stdout

    def test_nobody_answers(self) -> None:
        assert "no service answers" in plain(run("status", "--url", f"http://127.0.0.1:{free_port()}"), 3)

    @pytest.mark.parametrize("url", ["ftp://x", "file:///etc/passwd", "nonsense"])
    def test_wrong_addresses(self, url: str) -> None:
        assert "must begin with http" in plain(run("status", "--url", url), 2)


class TestServe:
    @pytest.fixture(autouse=True)
    def extra(self) -> None:
        pytest.importorskip("fastapi", reason="serving needs the extra: kato_fast[service]")
        pytest.importorskip("uvicorn", reason="serving needs the extra: kato_fast[service]")

    @pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", "::", ""])
    def test_only_this_machine(self, host: str) -> None:
        assert plain(run("serve", "--host", host), 2)

    def test_a_host_from_the_environment_too(self) -> None:
        done = run_program("serve", env=environment(KATO_FAST_HOST="0.0.0.0"))
        assert "must be an address of this machine" in plain(done, 2)

    def test_a_port_in_use(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            done = run("serve", "--port", taken.getsockname()[1])
        assert "in use" in plain(done, 3)

    def test_without_the_extra(self, tmp_path: Path) -> None:
        (tmp_path / "fastapi.py").write_text("raise ImportError('not here')")
        done = run_program("serve", env=environment(PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}"))
        assert "pip install kato_fast[service]" in plain(done, 3)

    @pytest.mark.parametrize(
        ("arguments", "variables", "code", "text"),
        [
            ([], {"KATO_FAST_BATCH": "sometimes"}, 2, "KATO_FAST_BATCH must be one of off, shadow"),
            (["--redis", "foo"], {}, 2, "--redis: url must begin with redis://"),
            (["--data", __file__], {}, 2, "--data must be a folder, and"),
            (["--data", "/proc"], {}, 3, "--data: no file can be made in '/proc'"),
        ],
    )
    def test_what_cannot_serve_says_so_before_it_begins(self, arguments, variables, code, text) -> None:
        done = run_program("serve", "--port", "0", *arguments, env=environment(**variables))
        said = plain(done, code)
        assert said.startswith(f"kato-fast serve: {text}") and said.count("\n") == 1
        assert not done.stdout

    def test_serves_until_interrupted(self, tmp_path: Path) -> None:
        arguments = ["serve", "--port", "0", "--data", str(tmp_path / "new"), "--json"]
        server = subprocess.Popen(
            [sys.executable, "-m", "kato_fast", *arguments],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_interrupts,
        )
        try:
            lines = []
            for line in server.stdout:
                lines.append(line)
                if line == "}\n":
                    break
            url = json.loads("".join(lines))["url"]
            wait_for(url)
            found = answer(run("status", "--url", url, "--json"), "status")
            assert found["health"]["service_name"]
            with urllib.request.urlopen(f"{url}/stm", timeout=30):
                pass  # which opens a processor
            assert re.search(
                r"\n    processors 1 of 1\n      processor_id  +\S+_kato\n", run("status", "--url", url).stdout
            )
            assert re.search("ok +port .*already answers", run("doctor", "--port", url.rsplit(":", 1)[1]).stdout)
            server.send_signal(signal.SIGINT)
            assert server.wait(timeout=20) == 130
            assert "Traceback" not in server.stderr.read()
        finally:
            server.kill()
            server.communicate()


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("bash")), reason="the README's example needs curl and bash"
)
def test_the_demo_does_what_the_readme_says(tmp_path: Path) -> None:
    """The second start finds what the first one learned, and the example's answer is the one that is shown."""
    pytest.importorskip("uvicorn", reason="serving needs the extra: kato_fast[service]")
    readme = (ROOT / "README.md").read_text()
    example = re.search(r"```sh\n(demo=http.*?)```\n\nIts answer:\n\n```text\n(.*?)```", readme, re.DOTALL)
    for said in ("functions of Python's standard library", "learned at an earlier start"):
        port = free_port()
        env = environment()
        del env["KATO_FAST_IMPL"]
        command = [sys.executable, "-m", "kato_fast", "serve", "--demo", "--port", str(port)]
        server = subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            wait_for(f"http://127.0.0.1:{port}")
            script = example[1].replace("127.0.0.1:8000", f"127.0.0.1:{port}")
            shown = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120)
            assert shown.stdout.startswith(example[2][: example[2].index("similarity", 1)]), shown
        finally:
            server.send_signal(signal.SIGINT)
            _, err = server.communicate(timeout=30)
        assert said in err and server.returncode == 130


def heed_interrupts() -> None:
    """A test run in a shell's background ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(url: str) -> None:
    import urllib.request

    for _ in range(600):
        try:
            with urllib.request.urlopen(url + "/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"nothing answers at {url}")


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
