"""The code blocks of the documentation, and what each kind must do.

``python`` runs, block after block in one program per page. ``sh`` runs in bash, in the page's own folder; a block that
is one ``kato-fast serve`` starts the service that the blocks below it ask, and lines of ``make`` only have to name
targets, which the checks are made of. A block without a language right after one of these is what it prints; ``...`` in
it stands for anything. ``json`` and ``toml`` must parse. ``text`` and ``c`` are shown.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
ADDRESS = "127.0.0.1:8000"
SECONDS = 180

# Of the blocks of one page: run each, hand back what it printed.
PROGRAM = """
import contextlib, io, json, sys
namespace = {"__name__": "__main__"}
for line, source in json.load(sys.stdin):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\\n" * line + source, sys.argv[1], "exec"), namespace)
    print(json.dumps(printed.getvalue()))
"""


@dataclass(frozen=True)
class Block:
    """A fenced block. line: that of its fence. output: of the fence right below it, if that is one."""

    line: int
    language: str
    source: str
    output: Optional[str] = None


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, outputs joined to what prints them."""
    found: list[Block] = []
    end = -1
    for token in MarkdownIt().parse(page.read_text("utf-8")):
        if token.type == "fence":
            block = Block(token.map[0] + 1, token.info.strip(), token.content)
            if not block.language and found and token.map[0] <= end + 1 and found[-1].output is None:
                last = found.pop()
                block = Block(last.line, last.language, last.source, block.source)
            found.append(block)
            end = token.map[1]
        elif token.type == "inline":
            end = -1
    return found


def agrees(printed: str, shown: str) -> bool:
    """Whether the output is the one that the page shows, trailing blanks aside."""
    parts = (re.escape(part) for part in strip(shown).split("..."))
    return re.fullmatch(".*?".join(parts), strip(printed), re.DOTALL) is not None


def strip(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def run_python(page: Path, blocks: list[Block], folder: Path) -> None:
    """Run the page's Python, compare what is shown."""
    blocks = [block for block in blocks if block.language == "python"]
    given = json.dumps([(block.line, block.source) for block in blocks])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(page)],
        input=given,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(),
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    for block, line in zip(blocks, done.stdout.splitlines()):
        compare(page, block, json.loads(line))


def compare(page: Path, block: Block, printed: str) -> None:
    if block.output is not None:
        assert agrees(printed, block.output), f"{page}:{block.line} prints\n{printed}\nbut shows\n{block.output}"


def run_shell(page: Path, blocks: list[Block], folder: Path) -> None:
    """Run the page's commands in order, in one folder, with one service if the page starts one."""
    service = None
    try:
        for block in blocks:
            if block.language != "sh":
                continue
            if all(line.startswith("make ") for line in block.source.splitlines()):
                check_targets(page, block)
                continue
            if block.source.startswith("kato-fast serve"):
                assert service is None, f"{page}:{block.line}: one service per page"
                service = Service(block.source, folder)
                continue
            source = block.source.replace(ADDRESS, service.address) if service else block.source
            done = bash(source, folder)
            assert done.returncode == 0, f"{page}:{block.line} ends with {done.returncode}\n{done.stdout}{done.stderr}"
            compare(page, block, done.stdout.replace(service.address, ADDRESS) if service else done.stdout)
    finally:
        if service:
            service.stop()


def check_targets(page: Path, block: Block) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for line in block.source.splitlines():
        target = line.split()[1]
        assert f"\n{target}:" in makefile, f"{page}:{block.line}: the Makefile has no target {target}"


def bash(source: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", source],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def environment() -> dict[str, str]:
    """Without this run's settings; ``kato-fast`` and ``python`` are those of this interpreter."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KATO_FAST", "PYTEST"))}
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")]))
    kept["COLUMNS"] = "100"
    kept["KATO_FAST_RUNTIME_DIR"] = "run"  # of the page's folder: nothing that runs is switched
    return kept


class Service:
    """What a page's ``kato-fast serve`` starts, on a free port."""

    def __init__(self, command: str, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {command.strip()} --port {port}"],
            cwd=folder,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://{self.address}/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        self.stop()
        raise AssertionError("the page's service did not start")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=30)


def pages() -> list[Path]:
    """All pages but start.md, which `.ci/start` follows on a fresh clone."""
    found = [page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name != "start.md"]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *found]
