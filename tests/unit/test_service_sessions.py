"""Sessions in SQLite: after any changes, what a new process reads is what the old one had."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest

from kato_fast.service.sessions import MAX_EVENTS, Sessions, TooManySessions
from tests.conftest import SEED

Open = Callable[..., Sessions]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Open]:
    """Opens the same file again and again; ``limit``: most sessions."""
    opened: list[Sessions] = []

    def open_one(limit: int = 10) -> Sessions:
        opened.append(Sessions(str(tmp_path / "s.sqlite"), limit))
        return opened[-1]

    yield open_one
    for sessions in opened:
        sessions.close()


def test_any_changes_are_read_again(store: Open) -> None:
    rng = random.Random(SEED)
    sessions = store()
    session = sessions.get_or_create("u", {"k": [1, "é"]})
    for _ in range(300):
        stm, event = session.stm, [str(rng.randrange(5))] * rng.randrange(1, 3)
        kept = rng.randrange(len(stm) + 1)
        choices = [[*stm, event], [*stm[kept:], event], stm[kept:], stm[:kept], [], [event], stm, [*stm, event, event]]
        chosen = rng.choice(choices)
        sessions.set_stm(session, chosen)
        assert session.stm == chosen
        if rng.random() < 0.2:
            assert store().of_user("u").stm == list(chosen)
    sessions.set_config(session, {"recall_threshold": 0.5})
    again = store().get(session.id)
    assert (again.metadata, again.config, again.user_id) == ({"k": [1, "é"]}, {"recall_threshold": 0.5}, "u")
    assert (again.created, again.expires, list(again.stm)) == (session.created, session.expires, list(session.stm))


def test_only_what_differs_is_written(store: Open) -> None:
    sessions = store()
    session = sessions.get_or_create("u", {})
    sessions.set_stm(session, [["a"], ["b"]])
    statements: list[str] = []
    sessions._db.set_trace_callback(statements.append)
    sessions.set_stm(session, [*session.stm, ["c"]])
    assert [s.split()[0] for s in statements] == ["INSERT"]
    statements.clear()
    sessions.set_stm(session, list(session.stm))
    assert statements == []
    sessions.set_stm(session, [*session.stm[1:], ["d"]])
    assert [s.split()[0] for s in statements] == ["BEGIN", "DELETE", "INSERT", "COMMIT"]


def test_the_latest_events_stay(store: Open) -> None:
    sessions = store()
    session = sessions.get_or_create("u", {})
    sessions.set_stm(session, [[str(i)] for i in range(MAX_EVENTS + 5)])
    assert len(session.stm) == MAX_EVENTS and session.stm[0] == ["5"]


def test_expiry_is_absolute_and_extending_starts_from_now(store: Open) -> None:
    sessions = store()
    expired = sessions.get_or_create("u", {}, -1)
    assert sessions.get(expired.id) is None
    session = sessions.get_or_create("u", {}, 0)
    assert session.id != expired.id and 3590 <= session.remaining() <= 3600
    sessions.extend(session, 50)
    assert 40 <= session.remaining() <= 50
    sessions.extend(session, -1)
    assert sessions.of_user("u") is None
    with pytest.raises(OverflowError):
        sessions.get_or_create("u", {}, 10**12)
    assert sessions.of_user("u") is None


def test_a_deleted_session_takes_no_more_events(store: Open) -> None:
    sessions = store()
    old = sessions.get_or_create("u", {})
    sessions.delete(old)
    new = sessions.get_or_create("u", {})
    sessions.set_stm(old, [["late"]])
    assert store().get(new.id).stm == []


def test_sweeping_removes_expired_sessions_and_forgets_unused_ones(store: Open, monkeypatch) -> None:
    sessions = store(limit=2)
    stays = sessions.get_or_create("a", {})
    sessions.set_stm(stays, [["x"]])
    sessions.get_or_create("b", {}, -1)
    assert sessions.stats()["expired_sessions"] == 1
    sessions.get_or_create("c", {})
    with pytest.raises(TooManySessions):
        sessions.get_or_create("d", {})
    later = time.monotonic() + 2 * Sessions.FORGET_AFTER
    monkeypatch.setattr(time, "monotonic", lambda: later)
    sessions.sweep()
    assert sessions.stats() == {
        "total_sessions": 2,
        "active_sessions": 2,
        "expired_sessions": 0,
        "users_with_sessions": 2,
        "average_stm_size": 0.5,
        "total_stm_events": 1,
    }
    read_again = sessions.get(stays.id)
    assert read_again is not stays and read_again.stm == [["x"]]


def test_without_a_file() -> None:
    sessions = Sessions(None, 10)
    session = sessions.get_or_create("u", {})
    sessions.set_stm(session, [["x"]])
    assert sessions.get(session.id) is session
    sessions.close()
