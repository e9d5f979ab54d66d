"""What does it take to learn the standard library?

``kato-fast learn`` in a process of its own learns the functions of the running interpreter's standard library (the
files that the demo takes) into a new SQLite file. Patterns per second include reading and tokenising the source; memory
is what the engine holds. There is no peer, so these figures belong to this machine.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Figure, Result

EXAMPLE = "python -m benchmarks corpus --files 20"
OPTIONS = {"files": "only so many of the library's files; 0 takes all"}


def run(*, files: int = 0) -> Result:
    """Ask; see the module."""
    from kato_fast.cli import demo

    sources = demo.sources()[: files or None]
    with tempfile.TemporaryDirectory() as folder:
        before = _cpu()
        told = _learn([source.path for source in sources], Path(folder) / "kb.sqlite3")
        cpu = _cpu() - before
    data = {"files": len(sources), "source_bytes": sum(source.size for source in sources)}
    held, learned = told["patterns_held"], told["patterns_learned"]
    result = Result("corpus", data, "nothing: no peer")
    result.figures = [
        Figure("functions learned", learned, "patterns"),
        Figure("different ones", held, "patterns"),
        Figure("speed, wall time", told["patterns_per_second"], "patterns/s"),
        Figure("speed, CPU time of the whole command", learned / cpu, "patterns/s"),
        Figure("size of the file", told["file_bytes"], "bytes"),
        Figure("size of the file per pattern", told["file_bytes"] / held, "bytes"),
        Figure("engine memory", told["memory_bytes"], "bytes"),
        Figure("engine memory per pattern", told["memory_bytes"] / held, "bytes"),
    ]
    return result


def _cpu() -> float:
    """Of the processes that this one started and that have ended, seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _learn(paths: list[Path], data: Path) -> dict:
    command = [sys.executable, "-m", "kato_fast", "learn", *map(str, paths), "--data", str(data), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    if done.returncode not in (0, 1):  # 1: a file was skipped, which the figures do not hide
        raise RuntimeError(f"kato-fast learn ended with status {done.returncode}")
    return json.loads(done.stdout)
