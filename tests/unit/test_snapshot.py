"""Snapshots: what was saved answers as before, in one consistent moment, and nothing else is ever opened."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import kato_fast
from kato_fast import native
from kato_fast.profiles import PROFILES
from kato_fast.reference import snapshot as twin_snapshot
from kato_fast.reference.checksum import checksum
from tests.engines import need_c

READ_ONLY = "the knowledge base is a read-only snapshot"
SYMBOLS = [f"s{i}" for i in range(40)] + ['é"x', "\n\x00", "日本", "", "\U0001f600"]
#: The largest frequency of some kinds, which says how wide they all are.
LARGEST = {"two bytes": 300, "four bytes": 70_000, "wide": 1 << 40}
KINDS = ("plain", "emotives", "forgotten", "empty", "one", *LARGEST)


@pytest.fixture(autouse=True)
def needs_c() -> None:
    need_c()


def some_events(rng: random.Random) -> list[list[str]]:
    return [[rng.choice(SYMBOLS) for _ in range(rng.randint(1, 3))] for _ in range(rng.randint(2, 6))]


def fill(engines, kind: str, rng: random.Random) -> None:
    """The same contents into each."""
    for number in range({"empty": 0, "one": 1}.get(kind, 200)):
        events = some_events(rng)
        emotives = [{"joy": number / 3, "été": -1.0}, {}][: 1 + number % 2] if kind == "emotives" else None
        frequency = LARGEST[kind] if kind in LARGEST and number == 9 else 1 + number % 3
        for engine in engines:
            engine.put(events, frequency, emotives if number % 3 else None)
    if kind == "forgotten":
        for name in engines[0].names()[::3]:
            for engine in engines:
                assert engine.forget(name)


def saved(kind: str, path: Path, rng: random.Random, indexed: bool = False, generation: str = "2025-09"):
    """A twin with the contents that the C engine saved to that path."""
    twin = native.load("python").Knowledge(indexed=indexed, generation=generation)
    engine = native.load("c").Knowledge(indexed=indexed, generation=generation)
    fill([twin, engine], kind, rng)
    engine.save(path)
    return twin


def compare(opened, twin, rng: random.Random) -> None:
    assert len(opened) == len(twin)
    assert opened.names() == twin.names()
    assert opened.totals() == twin.totals()
    assert opened.symbols() == twin.symbols()
    assert (opened.indexed, opened.generation) == (twin.indexed, twin.generation)
    for name in twin.names():
        assert repr(opened.pattern(name)) == repr(twin.pattern(name))
    for _ in range(40):
        state = [symbol for event in some_events(rng) for symbol in event]
        for threshold in (0.0, 0.2, 0.6):
            ours, theirs = (side.predict(state, threshold, 10) for side in (opened, twin))
            assert ours.to_json(pattern_names=True) == theirs.to_json(pattern_names=True)
            assert ours.future_potentials_json() == theirs.future_potentials_json()
            assert ours.to_cbor() == theirs.to_cbor()
            ours, theirs = (side.match(state, threshold) for side in (opened, twin))
            assert (ours.names, ours.ratios) == (theirs.names, theirs.ratios)


@pytest.mark.parametrize(("indexed", "generation"), [(False, "2025-09"), (True, "2025-09"), (True, "2.1")])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_answers(engine, kind, indexed, generation, tmp_path, rng):
    twin = saved(kind, tmp_path / "file", rng, indexed, generation)
    compare(engine.Knowledge.open(tmp_path / "file"), twin, rng)


def test_more_rows_than_one_block(tmp_path, rng):
    engine = native.load("c").Knowledge()
    items = [([[f"a{i % 256}", f"b{i >> 8}"], [f"c{i % 5}"]], None) for i in range(66_000)]
    engine.learn_many(items)
    engine.save(tmp_path / "file")
    opened = native.load("c").Knowledge.open(tmp_path / "file", threads=2)
    assert opened.names() == engine.names()
    for i in (0, 70, 65_535, 65_536, 65_999):
        state = [f"a{i % 256}", f"b{i >> 8}", "c1"]
        assert opened.predict(state, 0.3, 50).to_json() == engine.predict(state, 0.3, 50).to_json()
        assert opened.pattern(engine.name(items[i][0])) == engine.pattern(engine.name(items[i][0]))
    assert sum(row.frequency for row in twin_snapshot.Snapshot(tmp_path / "file").rows()) == 66_000


def test_an_opened_one_saves_to_the_same_bytes(tmp_path, rng):
    saved("emotives", tmp_path / "a", rng)
    native.load("c").Knowledge.open(tmp_path / "a").save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_engines_refuse_to_write(engine, tmp_path, rng):
    saved("plain", tmp_path / "file", rng)
    opened = engine.Knowledge.open(tmp_path / "file")
    events = [["a"], ["b"]]
    before = opened.totals()
    for write in (
        lambda: opened.learn(events),
        lambda: opened.learn_many([(events, None)]),
        lambda: opened.put(events, 3),
        lambda: opened.forget(opened.names()[0]),
        opened.clear,
    ):
        with pytest.raises(ValueError, match=f"^{READ_ONLY}$"):
            write()
    with pytest.raises(TypeError, match="events must be a list"):
        opened.learn(1)
    assert opened.forget("no name") is False
    assert opened.totals() == before


def test_the_twin_says_that_it_does_not_save(tmp_path):
    with pytest.raises(ImportError, match="needs the C engine"):
        native.load("python").Knowledge().save(tmp_path / "file")
    assert not list(tmp_path.iterdir())


# ---- KnowledgeBase ----


@pytest.mark.parametrize("profile", list(PROFILES))
def test_knowledge_base(implementation, profile, tmp_path):
    path = tmp_path / "file"
    with kato_fast.KnowledgeBase(profile=profile, implementation="c") as base:
        base.learn([["a"], ["b"], ["c"]], emotives=[{"joy": 1}])
        base.learn([["a", "b"], ["d"]])
        before = base.predict(["a", "b"]).to_list(), base.symbols(), list(base.patterns())
        base.save(str(path))
        base.learn([["x", "y"]])
    with kato_fast.KnowledgeBase.open(path, threads=1, implementation=implementation) as opened:
        assert opened.profile.name == profile
        assert opened.threads == 1
        assert (opened.predict(["a", "b"]).to_list(), opened.symbols(), list(opened.patterns())) == before
        assert asyncio.run(opened.predict_async(["a", "b"])).to_list() == before[0]
        assert opened.note("anything") is None
        for write in (
            lambda: opened.learn([["a", "b"]]),
            lambda: opened.learn_many([[["a", "b"]]]),
            lambda: opened.learn_many([], notes={"a": "b"}),
            lambda: opened.forget("0" * 40),
            opened.clear,
        ):
            with pytest.raises(ValueError, match=f"^{READ_ONLY}$"):
                write()
        assert len(opened) == 2
    with pytest.raises(ValueError, match="closed"):
        opened.predict(["a", "b"])


def test_save_takes_in_what_others_wrote(tmp_path):
    with kato_fast.KnowledgeBase(tmp_path / "db", implementation="c") as one:
        with kato_fast.KnowledgeBase(tmp_path / "db") as other:
            other.learn([["a"], ["b"]])
        one.save(tmp_path / "file")
    assert len(kato_fast.KnowledgeBase.open(tmp_path / "file")) == 1


def test_threads_are_checked(tmp_path):
    for threads in (0, 65):
        with pytest.raises(ValueError, match="threads must be from 1 to 64"):
            kato_fast.KnowledgeBase.open(tmp_path / "file", threads=threads)
        with pytest.raises(ValueError, match=f"^threads must be from 1 to 64, not {threads}$"):
            native.load("c").Knowledge.open(tmp_path / "file", threads=threads)


ASKS = """
import sys
from kato_fast import KnowledgeBase
base = KnowledgeBase.open(sys.argv[1], implementation="c")
print(base.predict(["s1", "s2", "s3"]).to_json().hex(), flush=True)
print([line for line in open("/proc/self/smaps") if sys.argv[1] in line][0].split()[1] if sys.argv[2] else "r--s")
sys.stdin.readline()
"""


def test_processes_share_the_file(tmp_path, rng):
    saved("plain", tmp_path / "file", rng)
    base = kato_fast.KnowledgeBase.open(tmp_path / "file", implementation="c")
    command = [sys.executable, "-c", ASKS, str(tmp_path / "file"), "1" if os.path.exists("/proc/self/smaps") else ""]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=native.__file__[:-19])
        for _ in range(2)
    ]
    answers = [(process.stdout.readline().strip(), process.stdout.readline().strip()) for process in processes]
    for process in processes:
        process.communicate("\n")
        assert process.returncode == 0
    assert answers == [(base.predict(["s1", "s2", "s3"]).to_json().hex(), "r--s")] * 2


def test_a_replaced_file_stays_open(tmp_path, rng):
    twin = saved("plain", tmp_path / "file", rng)
    opened = native.load("c").Knowledge.open(tmp_path / "file")
    other = saved("emotives", tmp_path / "file", rng)
    compare(opened, twin, rng)
    compare(native.load("c").Knowledge.open(tmp_path / "file"), other, rng)


# ---- saving while learning goes on ----


def test_one_moment(tmp_path, rng):
    """Pairs are learned in one batch: a file holds both of a pair or none, and its counters are those of its rows."""
    engine = native.load("c").Knowledge()
    stop = threading.Event()
    learned = [0]

    def learner() -> None:
        while not stop.is_set():
            i = learned[0] = learned[0] + 1
            engine.learn_many([([[f"a{i % 3000}", "left"]], None), ([[f"a{i % 3000}", "right"], [f"b{i % 7}"]], None)])
            if i % 50 == 0:
                engine.forget(engine.name([[f"c{i}", "gone"], ["soon"]]))

    thread = threading.Thread(target=learner)
    thread.start()
    try:
        sizes = [check_moment(engine, tmp_path / "file") for _ in range(12)]
    finally:
        stop.set()
        thread.join()
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0], "nothing was learned meanwhile"


def check_moment(engine, path: Path) -> int:
    engine.save(path)
    file = twin_snapshot.Snapshot(path)
    rows = list(file.rows())
    symbols = sum(row.frequency * sum(map(len, row.events)) for row in rows)
    distinct = sum(row.frequency * len({symbol for event in row.events for symbol in event}) for row in rows)
    learns = sum(row.frequency for row in rows)
    assert list(file.totals().values()) == [learns, symbols, distinct]
    assert sum(row.frequency for row in rows if row.events[0][1] == "left") * 2 == learns
    opened = native.load("c").Knowledge.open(path)
    assert opened.totals() == file.totals()
    assert len(opened) == len(rows)
    return learns


FILLS_THE_DISK = """
import resource, sys
from kato_fast import KnowledgeBase
base = KnowledgeBase(implementation="c")
base.learn_many([[[f"a{i}", "b"], ["c"]] for i in range(5000)])
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
try:
    base.save(sys.argv[1])
except OSError as error:
    print(error.errno, error.filename)
"""


def test_a_full_disk_leaves_the_old_file(tmp_path, rng):
    import errno

    saved("one", tmp_path / "file", rng)
    before = (tmp_path / "file").read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", FILLS_THE_DISK, str(tmp_path / "file")],
        capture_output=True,
        text=True,
        cwd=native.__file__[:-19],
    )
    assert done.stdout.split() == [str(errno.EFBIG), str(tmp_path / "file")], done.stderr
    assert (tmp_path / "file").read_bytes() == before
    assert os.listdir(tmp_path) == ["file"]


def test_ctrl_c_leaves_the_old_file_or_the_new(tmp_path, rng):
    saved("one", tmp_path / "file", rng)
    engine = native.load("c").Knowledge()
    engine.learn_many([([[f"a{i % 256}", f"b{i >> 8}"]], None) for i in range(200_000)])
    timer = threading.Timer(0.02, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        timer.start()  # under load it may be through before this returns
        for _ in range(1000):
            engine.save(tmp_path / "file")
    timer.join()
    assert os.listdir(tmp_path) == ["file"]
    assert len(native.load("c").Knowledge.open(tmp_path / "file")) in (1, 200_000)


# ---- files that are not what they should be ----


def refusal(engine, path: Path) -> str:
    with pytest.raises(ValueError) as caught:
        engine.Knowledge.open(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    return text[len(f"{path}: ") :]


def test_changed_bytes(tmp_path, rng):
    """C flips every byte in tests/c/test_snapshot.c; here both sides say the same of some."""
    path = tmp_path / "file"
    saved("emotives", path, rng)
    good = path.read_bytes()
    seen = set()
    for _ in range(60):
        at = rng.choice([rng.randrange(len(good)), rng.randrange(min(len(good), 12_000))])
        bad = bytearray(good)
        bad[at] ^= 1 << rng.randrange(8)
        path.write_bytes(bad)
        texts = {refusal(native.load(name), path) for name in ("c", "python")}
        assert len(texts) == 1, texts
        seen |= texts
    assert any("section 'segment' of block 0" in text for text in seen)
    assert len(seen) > 2


def test_cut_off(engine, tmp_path, rng):
    path = tmp_path / "file"
    saved("plain", path, rng)
    good = path.read_bytes()
    for size in (0, 1, 127, 128, 200, 1000, len(good) - 1):
        path.write_bytes(good[:size])
        assert "bytes" in refusal(engine, path)
    path.write_bytes(good + b"\0")
    assert refusal(engine, path) == f"has {len(good) + 1} bytes, says it has {len(good)}"


def forged(good: bytes, at: int, value: int) -> bytes:
    """With another number in the header, and the checksum of that."""
    bad = bytearray(good)
    struct.pack_into("<I", bad, at, value)
    end = 128 + 32 * 10
    struct.pack_into("<Q", bad, 8, checksum(bad[16:end]))
    return bytes(bad)


def test_foreign(engine, tmp_path, rng):
    path = tmp_path / "file"
    saved("plain", path, rng)
    good = path.read_bytes()
    path.write_bytes(b"SQLite format 3\0" + bytes(1000))
    assert refusal(engine, path) == "is no snapshot: it begins with other bytes"
    path.write_bytes(forged(good, 16, 0x04030201))
    assert refusal(engine, path) == "was saved on a machine of the other byte order"
    path.write_bytes(forged(good, 20, 3))
    assert refusal(engine, path) == "has version 3 of the format, newer than 2"
    path.write_bytes(forged(good, 20, 1))
    assert refusal(engine, path) == (
        "has version 1 of the format, older than 2: save it again from the store that it was made of"
    )


def test_unicode_of_the_file(tmp_path, rng):
    """C goes on with the file's version; the twin has only its interpreter's."""
    engine = native.load("c").Knowledge()
    name, _ = engine.learn([["\U0001fae8", "b"]])  # printable since 15.0
    path = tmp_path / "file"
    engine.save(path)
    assert native.load("c").Knowledge.open(path).names() == [name]
    good = path.read_bytes()
    path.write_bytes(forged(good, 40, 170))
    assert refusal(native.load("c"), path) == "its names need Unicode 17.0, newer than 16.0"
    path.write_bytes(good)
    file = twin_snapshot.Snapshot(path)
    tags = file._sections[8][0]
    assert struct.unpack_from("<I", good, tags) == (file.tag(name),)
    bad = bytearray(good)
    bad[tags] ^= 1
    struct.pack_into("<Q", bad, 128 + 32 * 8 + 24, checksum(bad[tags : tags + 64]))
    path.write_bytes(forged(bytes(bad), 40, 150))
    assert "other Unicode tables" in refusal(native.load("python"), path)


def test_places(engine, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        engine.Knowledge.open(tmp_path / "none")
    assert caught.value.filename == str(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        engine.Knowledge.open(tmp_path)
    with pytest.raises(TypeError):
        engine.Knowledge.open(1.5)


def test_places_to_save(tmp_path):
    engine = native.load("c").Knowledge()
    with pytest.raises(FileNotFoundError) as caught:
        engine.save(tmp_path / "none" / "file")
    assert caught.value.filename == str(tmp_path / "none" / "file")
    with pytest.raises(IsADirectoryError):
        engine.save(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe: is no regular file"):
        engine.save(tmp_path / "pipe")
    engine.save(os.fsencode(tmp_path / "bytes"))
    assert len(native.load("c").Knowledge.open(os.fsencode(tmp_path / "bytes"))) == 0
    assert sorted(os.listdir(tmp_path)) == ["bytes", "pipe"]


def test_checksum_knows_every_bit(rng):
    """Also two flipped bits: no flip has the sum of another one."""
    data = bytes(rng.randrange(256) for _ in range(200))
    sums = {checksum(data)}
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        sums.add(checksum(changed))
    assert len(sums) == 1 + 8 * len(data)
    assert checksum(b"") == checksum(bytes(0))
