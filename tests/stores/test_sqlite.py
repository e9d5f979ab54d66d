"""The SQLite store: alone, under KnowledgeBase with both engines, with several connections, threads and processes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from pathlib import Path

import pytest

from kato_fast import EmotivesConflict, KnowledgeBase, native
from kato_fast.stores import Cleared, Forgotten, Learned, Put, open_store, sqlite, sqlite_file
from kato_fast.stores.sqlite import SqliteStore

ROOT = Path(__file__).resolve().parents[2]
MOST = 2**53 - 1
STRANGE = [
    "",
    "\0",
    "a\0b",
    '"',
    "\\",
    '","',
    '"],["',
    "\x1f\x7f\x80\x9f",
    "\n\r\t",
    "\u2028\u2029\ufeff\ufffe\uffff",
    "é",
    "e\u0301",
    "日本",
    "\U0001f600",
    "\U0010ffff",
    "\ud7ff\ue000",
    "x" * 100_000,
]


def named(events, emotives=None) -> Learned:
    return Learned(hashlib.sha1(repr(events).encode()).hexdigest(), events, emotives)


def refuse(change):
    raise AssertionError(f"nobody else wrote, but {change} came")


def learn(store, *sequences, apply=refuse, **more):
    return store.learn(lambda: [named(events) for events in sequences], apply, **more)


class Mirror:
    """What an engine would hold."""

    def __init__(self, store) -> None:
        self.store = store
        self.patterns: dict[str, Put] = {}

    def apply(self, change) -> None:
        if isinstance(change, Cleared):
            self.patterns.clear()
        elif isinstance(change, Forgotten):
            self.patterns.pop(change.name, None)
        else:
            self.patterns[change.name] = change

    def catch_up(self) -> list[Put]:
        for change in self.store.changes():
            self.apply(change)
        return list(self.patterns.values())

    def learn(self, items) -> None:
        for item in self.store.learn(lambda: items, self.apply):
            old = self.patterns.get(item.name, Put(item.name, item.events, 0, None))
            emotives = old.emotives if item.emotives is None else item.emotives
            self.patterns[item.name] = Put(item.name, item.events, old.frequency + 1, emotives)

    def forget(self, name: str) -> bool:
        gone = self.store.forget(name, self.apply)
        return bool(self.patterns.pop(name, None)) and gone

    def clear(self) -> None:
        self.store.clear(self.apply)
        self.patterns.clear()


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "patterns.sqlite3"


@pytest.fixture
def store(path):
    store = SqliteStore(path)
    yield store
    store.close()


def raw(path, *statements):
    """Another program at the file."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        return [db.execute(*statement if isinstance(statement, tuple) else (statement,)) for statement in statements]
    finally:
        db.close()


def run(script: str, *arguments, **more) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        **{"cwd": ROOT, "capture_output": True, "text": True, "timeout": 60, **more},
    )


# what is stored comes back


def test_any_valid_unicode_comes_back(store, path, rng):
    points = [p for p in range(0x110000) if not 0xD800 <= p < 0xE000]
    random_ones = ["".join(map(chr, rng.sample(points, 50))) for _ in range(50)]
    events = [[symbol, symbol] for symbol in STRANGE + random_ones]
    learn(store, events)
    other = SqliteStore(path)
    (put,) = other.changes()
    assert put == Put(named(events).name, events, 1, None)
    assert other.verify() == []
    other.close()


def test_the_short_way_to_json_is_json(rng):
    parts = [*STRANGE[:16], *"ab\x7f\x80{}[]:,'/", "null"]
    for _ in range(5000):
        events = [rng.choices(parts, k=rng.randint(1, 3)) for _ in range(rng.randint(1, 4))]
        assert sqlite._events_json(events) == json.dumps(events, ensure_ascii=False, separators=(",", ":"))


def test_emotives_come_back_digit_for_digit(store, path):
    lists = [[{}], [{"joy": 0.1, "z": -0.0, "a": 5e-324}, {"joy": 1.7976931348623157e308}], [{"é😀": 1 / 3}]]
    items = [named([["a"], [str(i)]], emotives) for i, emotives in enumerate([None, *lists])]
    store.learn(lambda: items, refuse)
    store.learn(lambda: [named([["a"], ["1"]])], refuse)  # None leaves what is there
    store.learn(lambda: [named([["a"], ["2"]], [{"joy": 2.0}])], refuse)
    other = SqliteStore(path)
    found = [put.emotives for put in other.changes()]
    assert repr(found) == repr([None, [{}], [{"joy": 2.0}], lists[2]])
    other.close()


def test_several_processes_hold_the_same_in_the_same_order(path, rng):
    """Random writes through several stores of one file; each follows the others whenever it likes."""
    mirrors = [Mirror(SqliteStore(path)) for _ in range(3)]
    model: dict[str, list] = {}
    for step in range(600):
        mirror = rng.choice(mirrors)
        action = rng.random()
        if action < 0.6:
            items = [random_item(rng) for _ in range(rng.choice([0, 1, 1, 2, 8]))]
            mirror.learn(items)
            for item in items:
                entry = model.setdefault(item.name, [0, None])
                entry[0] += 1
                entry[1] = entry[1] if item.emotives is None else item.emotives
        elif action < 0.8:
            name = rng.choice([*model, "0" * 40])
            assert mirror.forget(name) == (model.pop(name, None) is not None)
        elif action < 0.81:
            mirror.clear()
            model.clear()
        elif action < 0.83:
            mirror.store.rewind()
            assert mirror.store.pending()
        if rng.random() < 0.3:
            found = mirror.catch_up()
            assert [(put.name, put.frequency, put.emotives) for put in found] == [(n, *e) for n, e in model.items()]
        if step % 100 == 0:
            assert mirror.store.verify() == []
    assert mirrors[0].catch_up() == mirrors[1].catch_up() == mirrors[2].catch_up()
    assert mirrors[0].store.verify() == []
    for mirror in mirrors:
        mirror.store.close()


def random_item(rng: random.Random) -> Learned:
    events = [[rng.choice("abcd") for _ in range(rng.randint(1, 2))] for _ in range(rng.randint(2, 3))]
    return named(events, [{"joy": rng.random()}] if rng.random() < 0.2 else None)


def test_loading_holds_one_row_at_a_time(store, path):
    store.learn(lambda: [named([["x" * 2000], [str(i)]]) for i in range(3000)], refuse)
    other = SqliteStore(path)
    tracemalloc.start()
    try:
        assert sum(1 for _ in other.changes()) == 3000
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()
        other.close()


def test_a_change_list_that_was_not_read_to_its_end_comes_again(store, path):
    learn(store, [["a"], ["b"]], [["c"], ["d"]])
    other = SqliteStore(path)
    changes = other.changes()
    next(changes)
    changes.close()
    assert other.pending()
    assert len(list(other.changes())) == 2
    other.close()


def test_nothing_is_pending_where_nothing_happened(store, path):
    other = SqliteStore(path)
    assert other.pending()  # never read
    assert list(other.changes()) == []
    assert not other.pending()
    learn(store, [["a"], ["b"]])
    assert other.pending()
    assert [put.frequency for put in other.changes()] == [1]
    assert not other.pending()
    other.close()


def test_pending_does_not_wait_for_a_write(store):
    list(store.changes())
    answers = []

    def batch():
        thread = threading.Thread(target=lambda: answers.append(store.pending()))
        thread.start()
        thread.join(5)
        return [named([["a"], ["b"]])]

    store.learn(batch, refuse)
    assert answers == [False]


def test_clear_empties_the_file_and_every_reader(store, path):
    other = Mirror(SqliteStore(path))
    learn(store, [["a"], ["b"]], notes={"job": "1"})
    assert len(other.catch_up()) == 1
    store.clear(refuse)
    assert other.catch_up() == []
    assert other.store.note("job") is None
    db = sqlite3.connect(path)
    for table in ("patterns", "symbols", "forgotten", "notes"):
        assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    assert db.execute("SELECT sum(value) FROM totals").fetchone() == (0,)
    db.close()
    assert store.verify() == []
    other.store.close()


def test_forget_takes_back_every_learn(store, path):
    events = [["a", "a"], ["b"]]
    learn(store, events, events, [["a"], ["c"]])
    assert not store.forget("no such name", refuse)
    assert not store.forget(named(events).name.upper(), refuse)
    assert store.forget(named(events).name, refuse)
    assert not store.forget(named(events).name, refuse)
    db = sqlite3.connect(path)
    assert db.execute("SELECT * FROM symbols ORDER BY name").fetchall() == [("a", 1, 1), ("c", 1, 1)]
    db.close()
    assert store.verify() == []


def test_old_forgotten_names_are_dropped_and_readers_start_over(store, path, monkeypatch):
    monkeypatch.setattr(sqlite, "FORGOTTEN_KEPT", 3)
    reader = Mirror(SqliteStore(path))
    items = [named([["a"], [str(i)]]) for i in range(6)]
    store.learn(lambda: items, refuse)
    reader.catch_up()
    for item in items[:5]:
        store.forget(item.name, refuse)
    SqliteStore(path).close()
    assert [type(change) for change in reader.store.changes()] == [Cleared, Put]
    reader.store.close()


def test_notes_are_written_with_the_batch(store, path):
    other = SqliteStore(path)
    learn(store, [["a"], ["b"]], notes={"job": "1", "ö\0": "é\0"})
    learn(store, notes={"job": "2"})
    assert (other.note("job"), other.note("ö\0"), other.note("x")) == ("2", "é\0", None)

    def fail():
        raise KeyError("batch")

    with pytest.raises(KeyError):
        store.learn(fail, refuse, {"job": "3"})
    assert other.note("job") == "2"
    other.close()


# how it is stored


def test_the_file_is_marked_and_durable(store, path):
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert store._db.execute("PRAGMA application_id").fetchone() == (sqlite_file.APPLICATION_ID,)
    assert store._db.execute("PRAGMA user_version").fetchone() == (sqlite_file.FORMAT,)


def test_catching_up_uses_the_index(store):
    plan = store._db.execute(f"EXPLAIN QUERY PLAN {sqlite.ROWS_SINCE}", (1,)).fetchall()
    assert not any("SCAN" in row[3] or "TEMP" in row[3] for row in plan), plan


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        ("UPDATE symbols SET frequency = frequency + 1 WHERE name = 'a'", "'a'"),
        ("UPDATE symbols SET pattern_member_frequency = 7 WHERE name = 'a'", "'a'"),
        ("DELETE FROM symbols WHERE name = 'b'", "'b'"),
        ("INSERT INTO symbols VALUES ('z', 1, 1)", "'z'"),
        ("UPDATE totals SET value = 9 WHERE name = 'total_symbol_frequencies'", "total_symbol_frequencies"),
        ("UPDATE patterns SET frequency = 3", "total_pattern_frequencies"),
        ("UPDATE patterns SET length = 9", "length 9"),
        ("""UPDATE patterns SET events = '[["a"],["x"]]'""", "have the name"),
        ("UPDATE patterns SET events = '[['", "pattern"),
        ("DELETE FROM patterns", "total_pattern_frequencies"),
    ],
)
def test_verify_finds_what_is_wrong(store, path, damage, word):
    learn(store, [["a"], ["b"]])
    assert store.verify() == []
    raw(path, damage)
    assert any(word in problem for problem in store.verify())


# what is refused


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda folder: "", ValueError, "None keeps everything in memory"),
        (lambda folder: ":memory:", ValueError, "None keeps everything in memory"),
        (lambda folder: f"{folder}/a\0b", ValueError, "NUL"),
        (lambda folder: folder / "none" / "a.db", FileNotFoundError, "none"),
        (lambda folder: folder, IsADirectoryError, "not a folder"),
        (lambda folder: folder / ("x" * 300), OSError, "xxx"),
        (lambda folder: made_fifo(folder), ValueError, "regular file: .*fifo"),
        (lambda folder: written(folder, b"not a database, but long enough " * 99), ValueError, "SQLite file: .*f.db"),
        (lambda folder: written(folder, b"short"), ValueError, "SQLite file: .*f.db"),
        (lambda folder: foreign(folder, "CREATE TABLE t(x)"), ValueError, "another program: .*f.db"),
        (lambda folder: foreign(folder, "PRAGMA application_id = 7"), ValueError, "another program: .*f.db"),
        (lambda folder: foreign(folder, "PRAGMA user_version = 1"), ValueError, "another program: .*f.db"),
        (lambda folder: newer(folder), ValueError, "format 2, .* format 1: .*f.db"),
    ],
)
def test_what_cannot_be_a_store_is_refused_and_left_alone(tmp_path, make, kind, text):
    path = make(tmp_path)
    file = Path(path) if "\0" not in str(path) else None
    before = file.read_bytes() if file and len(file.name) < 200 and file.is_file() else None
    with pytest.raises(kind, match=text):
        SqliteStore(path)
    if before is not None:
        assert file.read_bytes() == before
        assert sorted(p.name for p in tmp_path.iterdir()) == [file.name]


def made_fifo(folder: Path) -> Path:
    os.mkfifo(folder / "fifo")
    return folder / "fifo"


def written(folder: Path, data: bytes) -> Path:
    (folder / "f.db").write_bytes(data)
    return folder / "f.db"


def foreign(folder: Path, statement: str) -> Path:
    raw(folder / "f.db", "CREATE TABLE x(y)" if "PRAGMA" in statement else "PRAGMA user_version = 0", statement)
    return folder / "f.db"


def newer(folder: Path) -> Path:
    SqliteStore(folder / "f.db").close()
    raw(folder / "f.db", "PRAGMA user_version = 2")
    return folder / "f.db"


@pytest.mark.parametrize("store", [7, b"x", object()])
def test_what_is_no_store_is_refused(store):
    with pytest.raises(TypeError, match="lacks pending"):
        open_store(store)


def test_an_address_is_refused_without_its_password():
    with pytest.raises(ValueError, match="not an address: postgres") as error:
        KnowledgeBase("postgres://me:secret@host/db")
    assert "secret" not in str(error.value)


UNPRIVILEGED = """
import os, sys
from kato_fast.stores.sqlite import SqliteStore
if os.getuid() == 0:  # to whom nothing is forbidden; the interpreter itself may be out of reach afterwards
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    SqliteStore(sys.argv[1])
except PermissionError as error:
    print(error)
"""


def test_what_may_not_be_written_is_refused():
    with tempfile.TemporaryDirectory() as name:  # tmp_path is in a folder that only its owner may enter
        folder, path = Path(name), Path(name, "patterns.sqlite3")
        SqliteStore(path).close()
        folder.chmod(0o777)
        path.chmod(0o444)
        found = run(UNPRIVILEGED, path)
        assert "readable and writable" in found.stdout and str(path) in found.stdout, found.stderr
        path.chmod(0o666)
        folder.chmod(0o555)
        found = run(UNPRIVILEGED, path)
        folder.chmod(0o755)
        assert "folder must be writable" in found.stdout and name in found.stdout, found.stderr


def test_an_empty_file_and_an_empty_database_are_taken(tmp_path):
    (tmp_path / "empty").touch()
    raw(tmp_path / "vacant", "CREATE TABLE t(x)", "DROP TABLE t")
    for name in ("empty", "vacant"):
        store = SqliteStore(tmp_path / name)
        learn(store, [["a"], ["b"]])
        assert store.verify() == []
        store.close()


def test_a_path_is_fixed_when_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = SqliteStore("file:a.db?mode=ro")  # a name, not an address
    monkeypatch.chdir("/")
    learn(store, [["a"], ["b"]])
    assert store.path == str(tmp_path / "file:a.db?mode=ro")
    store.close()


# what fails


def test_a_damaged_file_is_an_error_with_its_path(store, path):
    learn(store, *([[str(i)], ["x" * 500]] for i in range(200)))
    store.close()
    data = bytearray(path.read_bytes())
    for page in range(12, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = os.urandom(64)
    path.write_bytes(data)
    store = SqliteStore(path)
    with pytest.raises(OSError, match="damaged") as error:
        list(store.changes())
    assert (error.value.errno, error.value.filename) == (errno.EIO, str(path))
    store.close()


def test_a_damaged_header_is_an_error_with_its_path(store, path):
    store.close()
    path.write_bytes(path.read_bytes()[:100] + os.urandom(5000))
    with pytest.raises((OSError, ValueError), match="damaged|another program") as error:
        SqliteStore(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("events", ["[[", "7", "[" * 100_000])
def test_a_damaged_row_is_an_error_with_its_name(implementation, path, events):
    with KnowledgeBase(path, implementation=implementation) as kb:
        kb.learn([["a"], ["b"]])
        raw(path, ("UPDATE patterns SET events = ?, revision = 9", (events,)), "UPDATE meta SET value = 9")
        for _ in range(2):
            with pytest.raises((OSError, TypeError, ValueError)):
                kb.predict(["a", "b"])


def test_a_row_under_another_name_is_refused(implementation, path):
    with KnowledgeBase(path, implementation=implementation) as kb:
        kb.learn([["a"], ["b"]])
    raw(path, """UPDATE patterns SET events = '[["a"],["c"]]'""")
    with pytest.raises(ValueError, match="has the name"):
        KnowledgeBase(path, implementation=implementation)


def test_a_lock_held_too_long_is_a_timeout(path, monkeypatch):
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.05)
    store = SqliteStore(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for write in (lambda: learn(store, [["a"], ["b"]]), lambda: store.clear(refuse)):
        with pytest.raises(TimeoutError, match="locked") as error:
            write()
        assert error.value.filename == str(path)
    assert list(store.changes()) == []  # reading goes on
    other.execute("ROLLBACK")
    other.close()
    learn(store, [["a"], ["b"]])
    assert store.verify() == []
    store.close()


def test_a_full_disk_leaves_everything_as_it_was(implementation, path):
    with KnowledgeBase(path, implementation=implementation) as kb:
        kb.learn([["a"], ["b"], ["c"]], [{"joy": 1.0}])
        before = everything(kb)
        pages = kb._store._db.execute("PRAGMA page_count").fetchone()[0]
        kb._store._db.execute(f"PRAGMA max_page_count = {pages + 2}")
        engine = kb._engine
        for _ in range(2):
            with pytest.raises(OSError, match="no room") as error:
                kb.learn_many([[["a"], ["x" * 1000], [str(i)]] for i in range(100)])
            assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(path))
            assert everything(kb) == before
        assert kb._engine is engine  # nothing had to be read again
        kb.learn([["a"], ["b"]])
        kb._store._db.execute("PRAGMA max_page_count = 1000000")
        kb.learn_many([[["a"], ["x" * 1000], [str(i)]] for i in range(100)])
        assert len(kb) == 102
        assert kb._store.verify() == []


def everything(kb: KnowledgeBase):
    predictions = kb.predict(["a", "b"], recall_threshold=0.0)
    return list(kb.patterns()), kb.symbols(), kb.totals(), predictions.to_json()


@pytest.mark.parametrize(
    "counter",
    [
        f"UPDATE patterns SET frequency = {2**63 - 1}, revision = 2",
        f"UPDATE symbols SET frequency = {2**63 - 1} WHERE name = 'a'",
        f"UPDATE symbols SET pattern_member_frequency = {2**63 - 1} WHERE name = 'b'",
        f"UPDATE totals SET value = {MOST - 1} WHERE name = 'total_symbol_frequencies'",
    ],
)
def test_a_counter_above_the_largest_is_an_error(store, path, counter):
    learn(store, [["a"], ["b"]])
    raw(path, counter)
    db = sqlite3.connect(path)
    before = list(db.iterdump())
    with pytest.raises(ValueError, match=f"at most {MOST}: .*patterns.sqlite3"):
        learn(store, [["a"], ["b"]], apply=lambda change: None)
    assert list(db.iterdump()) == before
    db.close()


def test_the_largest_total_is_kept(implementation, path):
    """The store stops where the engine does; else it would hold what no engine can load."""
    half = MOST // 2  # of a pattern of two symbols
    with KnowledgeBase(path, implementation=implementation) as kb:
        name = kb.learn([["a"], ["b"]])
        raw(
            path,
            f"UPDATE patterns SET frequency = {half}, revision = 2",
            f"UPDATE symbols SET frequency = {half}, pattern_member_frequency = {half}",
            f"UPDATE totals SET value = {2 * half}",
            f"UPDATE totals SET value = {half} WHERE name = 'total_pattern_frequencies'",
            "UPDATE meta SET value = 2 WHERE key = 'revision'",
        )
        assert kb.pattern(name)["frequency"] == half
        before = everything(kb)
        with pytest.raises(ValueError, match=str(MOST)):
            kb.learn([["a"], ["b"]])
        assert everything(kb) == before
        assert kb._store.verify() == []
    with KnowledgeBase(path, implementation=implementation) as kb:
        assert everything(kb) == before
        assert kb.forget(name) and kb.learn([["a"], ["b"]]) == name


@pytest.mark.parametrize("error", [ValueError("batch"), KeyboardInterrupt()])
def test_a_batch_that_fails_writes_nothing(store, path, error):
    learn(store, [["a"], ["b"]])

    def batch():
        raise error

    with pytest.raises(type(error)):
        store.learn(batch, refuse)
    with pytest.raises(AttributeError):
        store.learn(lambda: [named([["c"], ["d"]]), None], refuse)
    assert store.verify() == []
    learn(store, [["a"], ["b"]])
    other = SqliteStore(path)
    assert [put.frequency for put in other.changes()] == [2]
    other.close()


def test_others_changes_are_kept_when_the_own_batch_fails(store, path):
    """They were committed by others; they must not come twice, nor be lost."""
    other = SqliteStore(path)
    learn(other, [["a"], ["b"]])
    came = []
    with pytest.raises(ZeroDivisionError):
        store.learn(lambda: 1 / 0, came.append)
    assert [put.frequency for put in came] == [1]
    assert list(store.changes()) == []
    other.close()


class Broken:
    """An engine that fails once, after the store has committed."""

    def __init__(self, engine, method, error) -> None:
        self._engine, self._method, self._error = engine, method, error

    def __len__(self) -> int:
        return len(self._engine)

    def __getattr__(self, name):
        if name != self._method:
            return getattr(self._engine, name)

        def fail(*_):
            raise self._error

        return fail


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt()])
@pytest.mark.parametrize("method", ["learn_many", "forget", "clear"])
def test_an_engine_that_fails_after_the_commit_is_replaced(implementation, path, method, error):
    with KnowledgeBase(path, implementation=implementation) as kb:
        name = kb.learn([["a"], ["b"]])
        kb._engine = Broken(kb._engine, method, error)
        write = {"learn_many": lambda: kb.learn([["c"], ["d"]]), "forget": lambda: kb.forget(name), "clear": kb.clear}
        with pytest.raises(type(error)):
            write[method]()
        assert len(kb) == {"learn_many": 2, "forget": 0, "clear": 0}[method]
        assert not isinstance(kb._engine, Broken)
        assert kb._store.verify() == []


def test_an_engine_that_cannot_follow_is_replaced(implementation, path):
    with KnowledgeBase(path, implementation=implementation) as kb, KnowledgeBase(path) as other:
        kb.learn([["a"], ["b"]])
        other.learn([["c"], ["d"]])
        kb._engine = Broken(kb._engine, "put", MemoryError())
        with pytest.raises(MemoryError):
            kb.predict(["a", "b"])
        assert len(kb) == 2
        other.learn([["e"], ["f"]])
        other.forget(other.learn([["a"], ["b"]]))
        assert [p["pattern_data"] for p in kb.patterns()] == [[["c"], ["d"]], [["e"], ["f"]]]


def test_an_interrupt_between_commit_and_engine_loses_nothing(implementation, path, monkeypatch):
    with KnowledgeBase(path, implementation=implementation) as kb:
        kb.learn([["a"], ["b"]])
        plain = SqliteStore.learn

        def interrupted(*arguments):
            plain(*arguments)
            raise KeyboardInterrupt

        monkeypatch.setattr(SqliteStore, "learn", interrupted)
        with pytest.raises(KeyboardInterrupt):
            kb.learn([["c"], ["d"]])
        assert [p["pattern_data"] for p in kb.patterns()] == [[["a"], ["b"]], [["c"], ["d"]]]


def test_a_conflict_of_emotives_writes_nothing(implementation, path):
    with KnowledgeBase(path, implementation=implementation) as kb:
        kb.learn([["a"], ["b"]])
        before = everything(kb)
        with pytest.raises(EmotivesConflict):
            kb.learn([["a"], ["b"]], [{"joy": 1.0}])
        with pytest.raises(EmotivesConflict):
            kb.learn_many([[["x"], ["y"]], [["a"], ["b"]]], emotives=[(), [{"joy": 1.0}]], notes={"n": "1"})
        assert everything(kb) == before and kb.note("n") is None
        assert kb._store.verify() == []


def test_a_closed_store_says_so(path):
    store = SqliteStore(path)
    store.close()
    store.close()
    for use in (store.pending, store.verify, lambda: list(store.changes()), lambda: store.note("x")):
        with pytest.raises(ValueError, match="closed: .*patterns.sqlite3"):
            use()
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # the log was folded in


# threads and processes


def test_many_threads(implementation, path):
    with KnowledgeBase(path, implementation=implementation) as kb:
        errors = []

        def work(number: int) -> None:
            try:
                for i in range(25):
                    kb.learn([["a"], [f"{number}"], [f"{i}"]])
                    kb.learn_many([[["a"], ["all"]], [["b"], [f"{i}"]]])
                    assert len(kb.predict(["a", f"{number}", f"{i}"])) > 0
                    kb.totals()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert kb.totals()["total_pattern_frequencies"] == 4 * 25 * 3
        assert len(kb) == 4 * 25 + 1 + 25
        assert kb._store.verify() == []
        order = [p["name"] for p in kb.patterns()]
    with KnowledgeBase(path, implementation=implementation) as kb:
        assert [p["name"] for p in kb.patterns()] == order


SECOND = """
import sys
from kato_fast import KnowledgeBase
path, implementation = sys.argv[1:]
with KnowledgeBase(path, implementation=implementation) as kb:
    print("ready", len(kb), flush=True)
    for line in sys.stdin:
        answer = eval(line, {"kb": kb})
        print(repr(answer), flush=True)
"""


class Second:
    """Another process with the same file."""

    def __init__(self, path, implementation) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SECOND, str(path), implementation],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ready = self._process.stdout.readline().strip()

    def ask(self, text: str):
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        return eval(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        assert self._process.wait(20) == 0
        self._process.stdout.close()


def test_a_second_process_sees_what_the_first_did_at_its_next_request(implementation, path):
    with KnowledgeBase(path, implementation=implementation) as kb:
        kb.learn([["a"], ["b"], ["c"]])
        second = Second(path, implementation)
        assert second.ready == "ready 1"
        name = kb.learn([["a"], ["b"], ["d"]], [{"joy": 0.5}])
        assert second.ask("kb.predict(['a', 'd']).to_list()") == kb.predict(["a", "d"]).to_list()
        second.ask("kb.learn([['a'], ['b'], ['d']])")
        assert kb.pattern(name)["frequency"] == 2
        second.ask("kb.learn_many([[['e'], [str(i)]] for i in range(50)], notes={'job': '50'})")
        assert len(kb) == 52 and kb.note("job") == "50"
        kb.forget(name)
        kb.learn([["a"], ["b"], ["d"]])  # last in the order now, everywhere
        for ask in ("list(kb.patterns())", "kb.totals()", "sorted(kb.symbols().items())"):
            assert second.ask(ask) == eval(ask, {"kb": kb})
        second.ask("kb.clear()")
        assert (len(kb), kb.symbols(), set(kb.totals().values())) == (0, {}, {0})
        second.close()


def test_two_processes_learn_at_the_same_time(implementation, path):
    seconds = [Second(path, implementation) for _ in range(2)]
    for i, second in enumerate(seconds):
        text = f"[kb.learn([['a'], [str(i % 7)], [str({i} * i)]]) for i in range(60)]\n"
        second._process.stdin.write(text)
        second._process.stdin.flush()
    for second in seconds:
        assert len(eval(second._process.stdout.readline())) == 60
    with KnowledgeBase(path, implementation=implementation) as kb:
        assert kb.totals()["total_pattern_frequencies"] == 120
        assert kb._store.verify() == []
        for second in seconds:
            assert second.ask("list(kb.patterns())") == list(kb.patterns())
            second.close()


def test_many_make_the_same_file_at_once(tmp_path):
    for attempt in range(5):
        path, barrier, errors = tmp_path / f"{attempt}.db", threading.Barrier(6), []

        def make(number, path=path, barrier=barrier, errors=errors):
            try:
                barrier.wait()
                store = SqliteStore(path)
                store.learn(lambda: [named([["a"], [str(number)]])], lambda change: None)
                store.close()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=make, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        store = SqliteStore(path)
        assert len(list(store.changes())) == 6 and store.verify() == []
        store.close()


FORKED = """
import os, sys
from kato_fast import KnowledgeBase
kb = KnowledgeBase(sys.argv[1])
kb.learn([["a"], ["b"]])
store = kb._store

def forked():
    child = os.fork()
    if child:
        return child
    for use in (store.pending, lambda: kb.predict(["a", "b"]), lambda: kb.learn([["x"], ["y"]]), kb.clear):
        try:
            use()
        except RuntimeError as error:
            print(error, flush=True)
    kb.close()
    with KnowledgeBase(sys.argv[1]) as own:
        print("child", len(own), flush=True)
    sys.exit(0)

def in_transaction():
    # A spilled transaction, with another process ending in the middle of it.
    store._db.execute("PRAGMA cache_size = 1")
    from kato_fast.stores import Learned
    from kato_fast import pattern_name
    events = [[["c"], [str(i) * 500]] for i in range(200)]
    for e in events:
        yield Learned(pattern_name(e), e, None)
        if e is events[150]:
            os.waitpid(forked(), 0)

os.waitpid(forked(), 0)
with kb._lock:
    class Batch(list):
        def __iter__(self): return in_transaction()
        def __bool__(self): return True
    store.learn(lambda: Batch(), kb._apply)  # the child leaves here, and closes what it holds
kb.learn([["a"], ["b"]])
print("parent", len(kb._store.verify()), sum(1 for _ in kb.patterns()))
kb.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_must_open_its_own(path):
    found = run(FORKED, path, env={**os.environ, "KATO_FAST_IMPL": "python"})
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert sum("must be opened again after a fork" in line for line in lines) >= 4
    assert "child 1" in lines
    store = SqliteStore(path)
    assert store.verify() == []
    store.close()


def test_both_engines_read_the_same_file(path):
    if not native.status()["core"]["available"]:
        pytest.skip("the C engine was not built")
    with KnowledgeBase(path, implementation="python") as kb, KnowledgeBase(path, implementation="c") as other:
        kb.learn([["a", "\0"], ["b", "é"]], [{"joy": 0.1}])
        other.learn([["a"], ["b"], ["😀"]])
        assert list(kb.patterns()) == list(other.patterns())
        assert kb.predict(["a", "b"]).to_json() == other.predict(["a", "b"]).to_json()
