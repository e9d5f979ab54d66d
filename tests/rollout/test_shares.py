"""All judges of a flag have one chance of a false alarm: workers, restarts, and later ones."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kato_fast import flags, rollout
from kato_fast.rollout import pairs, ramp, shares
from kato_fast.rollout.judge import ALPHA, TESTS, Judge

ROOT = Path(__file__).parents[2]
FLAG = "batch"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    pairs._after_fork()
    yield
    pairs._after_fork()


def test_the_shares_of_any_number_of_judges_add_up_to_one_chance() -> None:
    shares_of_all = [len(TESTS) * math.exp(-Judge(number=number).limit) for number in range(1, 2000)]
    assert sum(shares_of_all) <= ALPHA and sum(shares_of_all) > 0.99 * ALPHA
    assert shares_of_all == sorted(shares_of_all, reverse=True)


WORKER = """
import sys
from kato_fast.rollout import pairs
print(pairs.judge_of("batch").limit)
"""


def test_each_worker_has_its_own(folder: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [subprocess.Popen([sys.executable, "-c", WORKER], env=env, stdout=subprocess.PIPE) for _ in range(2)]
    limits = [float(worker.communicate(timeout=60)[0]) for worker in started]
    assert sorted(limits) == [Judge(number=number).limit for number in (1, 2)]
    assert pairs.judge_of(FLAG).limit == Judge(number=3).limit
    assert pairs.judge_of(FLAG) is pairs.judge_of(FLAG) and pairs.judge_of("indexes").limit == Judge().limit


def test_a_fork_has_its_own() -> None:
    ours = pairs.judge_of(FLAG).limit
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, str(pairs.judge_of(FLAG).limit).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        theirs = float(pipe.read())
    os.waitpid(child, 0)
    assert (ours, theirs) == (Judge(number=1).limit, Judge(number=2).limit)


def test_a_new_rollout_counts_again() -> None:
    for _ in range(3):
        pairs._after_fork()
        pairs.judge_of(FLAG)
    ramp.start(FLAG, by="test")
    assert pairs.judge_of(FLAG).limit == Judge().limit


def test_what_another_process_saw_before_a_latch_was_cleared_is_forgotten() -> None:
    """Else its old evidence would take the flag back at once."""
    old = pairs.judge_of(FLAG)
    old.differs()
    rollout.roll_back(FLAG, "answers", {"summary": "by another process"})
    pairs.forget_old()
    assert pairs.judges[FLAG] is old
    rollout.clear(FLAG, by="test")
    pairs.forget_old()
    assert FLAG not in pairs.judges
    assert pairs.judge_of(FLAG) is not old and pairs.judge_of(FLAG).alarm() is None


@pytest.mark.parametrize("text", ["{", "[]", '{"batch": 3}', '{"batch": [1]}', '{"batch": ["a", 1]}'])
def test_a_damaged_file_begins_again(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / shares.FILE).write_text(text)
    assert shares.rollouts() == {} and shares.take(FLAG) == (0, 1) and shares.take(FLAG) == (0, 2)


def test_without_a_runtime_directory_it_is_careful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KATO_FAST_RUNTIME_DIR", str(tmp_path / "file"))
    assert pairs.judge_of(FLAG).limit == Judge(number=shares.UNKNOWN).limit
    assert flags.mode(FLAG).kind == "off"
