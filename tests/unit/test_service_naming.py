"""Processor ids as KATO makes them, and files that never collide."""

from __future__ import annotations

import hashlib
import os

import pytest

from kato_fast.service.naming import database_name, knowledge_path, processor_id, sessions_path


@pytest.mark.parametrize(
    ("user", "service", "expected"),
    [
        ("w01", "kato", "w01_kato"),
        ("a-b", "kato", "a_b_kato"),
        ('/\\."$*<>:|?- x', "my-kato", "_" * 13 + "x_my_kato"),
        ("", "kato", "_kato"),
        ("u" * 55, "kato", "u" * 55 + "_kato"),
        ("u" * 56, "kato", "u" * 46 + "_" + hashlib.md5(b"u" * 56).hexdigest()[:8] + "_kato"),
    ],
)
def test_processor_ids(user: str, service: str, expected: str) -> None:
    assert processor_id(user, service) == expected
    assert len(expected) <= 60


def test_files_stay_in_the_folder_and_apart() -> None:
    users = ["a", "A", "../x", "..", "é", "é" * 60, "\n", "sessions", "a\0", "=", "ä/ö", "x" * 200, "X" * 200, ""]
    ids = [processor_id(user, "kato") for user in users]
    paths = [knowledge_path("/data", name) for name in ids] + [sessions_path("/data")]
    assert len({path.lower() for path in paths}) == len(paths)
    for path in paths:
        assert os.path.dirname(path) == "/data"
        assert len(os.path.basename(path).encode()) < 200
        assert path.isascii() and path.isprintable()
    assert knowledge_path("/data", "w01_kato") == "/data/w01_kato.sqlite"


def test_databases_are_katos_and_else_ones_that_mongodb_takes() -> None:
    for user in ("a", "A", "\n", "u" * 300, "é" * 29, ""):
        assert database_name(processor_id(user, "kato")) == processor_id(user, "kato")
    ids = [processor_id(user, "kato") for user in ("é" * 30, "é" * 46, "é" * 300, "日" * 46, "日" * 45 + "本", "\0")]
    ids += [processor_id(user, "my.kato") for user in ("a", "A", "b")]
    names = [database_name(name) for name in ids]
    assert len(set(names)) == len(ids) and not set(names) & set(ids)
    assert all(name.isascii() and "." not in name and len(name) < 64 for name in names)
