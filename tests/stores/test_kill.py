"""SIGKILL at seeded moments while learning: what was acknowledged is there after the restart, whole, and nothing else.

The script part does the work in a process of its own, which never opens an engine and so forks children that are sound:
``python tests/stores/test_kill.py --moments 1000 --seed 7``. Each child opens the knowledge base, learns what a seed
decides, alone and in batches, with and without emotives, forgetting some, and acknowledges every write on a pipe.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from kato_fast import KnowledgeBase, pattern_name  # noqa: E402
from kato_fast.emotives import push  # noqa: E402
from kato_fast.stores.sqlite import SqliteStore  # noqa: E402

MOMENTS = int(os.environ.get("KATO_FAST_KILLS") or 60)
PER_FILE = 25
READY = -1
#: A child is killed at any moment from its start to a few writes after it was ready.
STARTING, WORKING = 0.01, 0.06


def operation(seed: int, number: int) -> tuple:
    """What write number so-and-so is; the same in the child and in the model."""
    rng = random.Random(f"{seed}/{number}")
    kind = rng.choices(["learn", "batch", "large", "forget", "clear"], [50, 30, 8, 11, 1])[0]
    count = {"batch": rng.randint(2, 20), "large": rng.randint(200, 400)}.get(kind, 1)
    items = [sequence(rng) for _ in range(count)]
    return kind, items


def sequence(rng: random.Random) -> tuple[list[list[str]], list[dict[str, float]]]:
    """Few symbols, so that patterns come again. Those that begin with 'e' always have emotives, others never."""
    first = rng.choice("ef")
    events = [[first], *([rng.choice("abcde\0é") * rng.choice([1, 1, 300])] for _ in range(rng.randint(1, 4)))]
    return events, [{"joy": rng.random() - 0.5}] if first == "e" else []


def write(kb: KnowledgeBase, kind: str, items: list) -> None:
    if kind == "clear":
        kb.clear()
    elif kind == "forget":
        kb.forget(pattern_name(items[0][0]))
    elif kind == "learn":
        kb.learn(*items[0])
    else:
        kb.learn_many([events for events, _ in items], emotives=[maps for _, maps in items])


class Model:
    """name → [events, frequency, emotives], in learning order, after a number of writes."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.done = 0
        self.patterns: dict[str, list] = {}

    def step(self) -> None:
        kind, items = operation(self.seed, self.done)
        self.done += 1
        if kind == "clear":
            self.patterns.clear()
        elif kind == "forget":
            self.patterns.pop(pattern_name(items[0][0]), None)
        else:
            for events, maps in items:
                self._learn(events, maps)

    def _learn(self, events: list, maps: list) -> None:
        name = pattern_name(events)
        known = name in self.patterns
        entry = self.patterns.setdefault(name, [events, 0, None])
        entry[1] += 1
        entry[2], _ = push(known, entry[2], maps, 5)

    def state(self) -> list:
        return [(name, *entry) for name, entry in self.patterns.items()]


def child(path: Path, seed: int, number: int, pipe: int) -> None:
    """Learn for ever. Each message is the number of the write that was acknowledged."""
    try:
        kb = KnowledgeBase(path)
        os.write(pipe, struct.pack("<q", READY))
        while True:
            write(kb, *operation(seed, number))
            os.write(pipe, struct.pack("<q", number))
            number += 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def kill_once(path: Path, model: Model, rng: random.Random) -> tuple[int, bool]:
    """One child's life: (writes acknowledged, was it ready when it was killed)."""
    receiver, sender = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(receiver)
        child(path, model.seed, model.done, sender)
    os.close(sender)
    starting = rng.random() < 0.1
    if not starting:
        select.select([receiver], [], [], 60)
    time.sleep(rng.uniform(0, STARTING if starting else WORKING))
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), f"the child ended by itself: {status}"
    return received(receiver, model.done)


def received(receiver: int, first: int) -> tuple[int, bool]:
    with open(receiver, "rb") as file:
        data = file.read()
    messages = [number for (number,) in struct.iter_unpack("<q", data)]
    assert messages == [READY, *range(first, first + len(messages) - 1)][: len(messages)], messages
    return max(0, len(messages) - 1), bool(messages)


def stored(path: Path) -> list:
    store = SqliteStore(path)
    try:
        found = [(put.name, put.events, put.frequency, put.emotives) for put in store.changes()]
        problems = store.verify()
    finally:
        store.close()
    assert problems == [], problems[:5]
    return found


def check(path: Path, model: Model, acknowledged: int) -> bool:
    """Whether the write that was under way is there; it may be, whole, since only its answer was lost."""
    for _ in range(acknowledged):
        model.step()
    found = stored(path)
    if found == model.state():
        return False
    model.step()
    assert found == model.state(), f"after {model.done - 1} writes: neither those nor the next one"
    return True


def campaign(moments: int, seed: int) -> str:
    rng = random.Random(seed)
    writes = unanswered = ready = 0
    with tempfile.TemporaryDirectory() as folder:
        for moment in range(moments):
            if moment % PER_FILE == 0:
                path, model = Path(folder, f"{moment}.sqlite3"), Model(rng.randrange(2**32))
            try:
                acknowledged, was_ready = kill_once(path, model, rng)
                unanswered += check(path, model, acknowledged)
            except BaseException:
                print(f"at moment {moment} of seed {seed}", file=sys.stderr)
                raise
            writes, ready = writes + acknowledged, ready + was_ready
    return (
        f"{moments} kills, {moments - ready} of them while opening: {writes} acknowledged writes all there,"
        f" {unanswered} that were under way are there as a whole"
    )


def test_kill():
    from tests.conftest import SEED

    arguments = ["--moments", str(MOMENTS), "--seed", str(SEED)]
    found = subprocess.run([sys.executable, __file__, *arguments], cwd=ROOT, capture_output=True, text=True)
    print(found.stdout, found.stderr)
    assert found.returncode == 0, f"{found.stdout}\n{found.stderr}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=MOMENTS)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    begun = time.monotonic()
    print(campaign(options.moments, options.seed), f"{time.monotonic() - begun:.1f} s")
