"""``kato-fast verify-store`` and ``explain-queries``, on files and on the stand-in for MongoDB."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pymongo
import pytest

pytest.importorskip("typer", reason="the command line needs the extra: kato_fast[cli]")

from kato_fast import KnowledgeBase  # noqa: E402
from tests.servers.mongo import MongoServer  # noqa: E402

ROOT = Path(__file__).parents[2]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kato_fast", *map(str, arguments)]
    return subprocess.run(command, env={**os.environ}, cwd=ROOT, capture_output=True, text=True, timeout=60)


def learn(store: object) -> None:
    with KnowledgeBase(store) as kb:
        kb.learn([["a", "b"], ["a"]])
        kb.learn([["c", "d"]], [{"mood": 1}])


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "kb.sqlite3"
    learn(file)
    assert run("verify-store", file).returncode == 0
    with sqlite3.connect(file) as db:
        db.execute("UPDATE symbols SET frequency = frequency + 3 WHERE name = 'a'")
        db.execute("UPDATE totals SET value = 9 WHERE name = 'total_pattern_frequencies'")
        db.execute("DELETE FROM symbols WHERE name = 'd'")
    db.close()
    done = run("verify-store", file)
    assert done.returncode == 1 and "symbol 'a': stored (5, 1), counted (2, 1)" in done.stdout
    found = json.loads(run("verify-store", file, "--repair", "--json").stdout)
    assert (found["found"], found["left"]) == (3, 0)
    assert run("verify-store", file).returncode == 0
    with KnowledgeBase(file) as kb:
        assert kb.symbols()["d"] == {"frequency": 1, "pattern_member_frequency": 1}


def test_mongodb(server: MongoServer) -> None:
    address = f"{server.url}/verify"
    learn(address)
    assert run("verify-store", address).returncode == 0
    with pymongo.MongoClient(server.url) as client:
        client.verify.symbols_kb.update_one({"name": "a"}, {"$inc": {"frequency": 3}})
    assert run("verify-store", address).returncode == 1
    assert run("verify-store", address, "--repair").returncode == 0
    assert run("verify-store", address).returncode == 0


def test_an_empty_database_has_no_drift(server: MongoServer) -> None:
    assert run("verify-store", f"{server.url}/nothing").returncode == 0


def test_documents_without_a_name_are_said(server: MongoServer) -> None:
    address = f"{server.url}/nameless"
    learn(address)
    with pymongo.MongoClient(server.url) as client:
        client.nameless.symbols_kb.insert_one({"frequency": 1})
        client.nameless.symbols_kb.update_one({"name": "a"}, {"$inc": {"frequency": 3}})
        done = run("verify-store", address, "--repair")
        assert done.returncode == 1
        assert "documents of symbols_kb without a name, which are left as they are: 1" in done.stdout
        assert "1 of 2 differences mended" in done.stdout
        assert client.nameless.symbols_kb.find_one({"name": "a"})["frequency"] == 2


def test_what_is_not_there(tmp_path: Path) -> None:
    done = run("verify-store", tmp_path / "none.sqlite3")
    assert done.returncode == 2 and "no file" in done.stderr
    away = run("verify-store", "mongodb://user:sesame@127.0.0.1:1/x?serverSelectionTimeoutMS=100")
    assert away.returncode == 3 and "sesame" not in away.stderr + away.stdout


def test_indexes_are_made_once(server: MongoServer) -> None:
    address = f"{server.url}/indexes"
    learn(address)
    before = run("explain-queries", address, "--json")
    assert before.returncode == 1 and len(json.loads(before.stdout)["missing"]) == 3
    made = json.loads(run("explain-queries", address, "--make", "--json").stdout)
    assert made["missing"] == [] and set(made["made"].values()) == {"made"}
    assert made["indexes"]["patterns_kb.kato_fast_symbols_frequency"] == {"pattern_data": 1, "frequency": -1}
    assert made["indexes"]["patterns_kb.kato_fast_name_hashed"] == {"name": "hashed"}
    again = run("explain-queries", address, "--make")
    assert again.returncode == 0 and "there" in again.stdout
    assert "symbols_kb.kato_fast_name_frequency: name 1, frequency -1" in again.stdout


def test_an_index_of_another_name_is_there(server: MongoServer) -> None:
    address = f"{server.url}/named"
    learn(address)
    with pymongo.MongoClient(server.url) as client:
        client.named.patterns_kb.create_index([("name", "hashed")], name="mine")
        client.named.symbols_kb.create_index([("frequency", -1), ("name", 1)], name="another_order")
    found = json.loads(run("explain-queries", address, "--json").stdout)
    assert found["missing"] == ["patterns_kb.kato_fast_symbols_frequency", "symbols_kb.kato_fast_name_frequency"]


def test_a_servers_plan_is_shown_by_its_stages() -> None:
    from kato_fast.stores.mongo_indexes import stages

    plan = {"stage": "FETCH", "inputStage": {"stage": "IXSCAN", "indexName": "name_1"}}
    assert stages(plan) == stages({"queryPlan": plan}) == ["FETCH", "IXSCAN name_1"]
    assert stages({}) == []
