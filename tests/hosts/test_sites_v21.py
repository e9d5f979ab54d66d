"""KATO 2.1's stand-in: code that is not the one that was read, and another process at the same databases."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kato_fast import hosts
from kato_fast.hosts import kato_v21, seams
from tests.hosts.attached import ALL, client, detached
from tests.hosts.attached_v21 import Node, environment_of, learned, node, service
from tests.hosts.differential import differences
from tests.hosts.foreign import (
    Other,
    by_future,
    test_another_process_learns_what_is_new,
    test_another_process_moves_the_window_of_emotives,
    test_both_learn_in_turn,
)

__all__ = [
    "client",
    "detached",
    "learned",
    "node",
    "service",
    "test_another_process_learns_what_is_new",
    "test_another_process_moves_the_window_of_emotives",
    "test_both_learn_in_turn",
]

CHECKED = [seam for seam in kato_v21.SEAMS if not (seam.adds or seam.wraps)]
PRINTED = sorted({name for seam in CHECKED for name in (seam.name, *seam.relies)})


def seen(node: Node) -> list:
    """What a node is told, and what it leaves."""
    node.learn("ab", "c")
    node.learn("ab", "d", "e", metadata={"book": "one"})
    body = {"observations": [{"strings": list(event)} for event in ("ab", "x", "c")]}
    answers = [node.predict("ab"), node.here("POST", "observe-sequence", body), node.predict("b", "d")]
    stored = node.documents()
    return [*answers, {name: stored[name] for name in ("patterns_kb", "symbols_kb", "metadata")}]


@pytest.fixture(scope="module")
def plain(client, service) -> list:
    """What the host itself answers."""
    hosts.uninstall()
    return seen(Node(client, service))


@pytest.mark.parametrize("name", PRINTED)
def test_one_place_whose_code_nobody_has_read_is_left_alone(node, plain, tmp_path, monkeypatch, name) -> None:
    """What relies on it too; all others are replaced, and what is half attached answers like the whole."""
    prints = json.loads(Path(os.environ[seams.TRUST]).read_text())
    assert prints.pop(name), name
    path = tmp_path / "known.json"
    path.write_text(json.dumps(prints))
    monkeypatch.setenv(seams.TRUST, str(path))
    hosts.install(**ALL)
    relying = {seam.name for seam in CHECKED if name in (seam.name, *seam.relies)}
    left = {one["target"]: one for one in hosts.status()["left_alone"]}
    assert set(left) == relying and all(name in one["detail"] for one in left.values())
    assert {one["reason"] for one in hosts.explain() if one["name"] in left} == {"fingerprint"}
    replaced = {one["target"] for one in hosts.status()["seams"]}
    assert not replaced & relying and len(replaced) >= 25
    wrong = differences(without_names(plain), without_names(seen(node)))
    assert not wrong, wrong[:5]


def without_names(found: list) -> list:
    return [{key: value for key, value in one.items() if key != "session_id"} for one in found]


# another process


@pytest.fixture(scope="module")
def other(mongo_url, redis_url) -> Iterator[Other]:
    other = Other(environment_of(mongo_url, redis_url))
    yield other
    other.close()


@pytest.mark.parametrize(
    "what", [("superkb.clear_all_memory",), ("superkb.patterns_kb.delete_many", {}), ("clear_all_memory",)]
)
def test_another_process_clears_and_learns(learned, other, what: Any) -> None:
    """Also where the totals stay as they were: with the next learn it is seen."""
    other.does(learned, *what)
    other.does(learned, "learn", [["a", "b"], ["q"]], {})
    assert set(by_future(learned)) == {"q"}
    learned.learn("ab", "r")
    assert set(by_future(learned)) == {"q", "r"}


def test_the_same_sizes_after_a_clear_of_another_process_are_not_the_same_patterns(learned, other) -> None:
    other.does(learned, "superkb.clear_all_memory")
    for symbol in "xy":
        other.does(learned, "learn", [["a", "b"], [symbol]], {})
    assert set(by_future(learned)) == {"x", "y"}


def test_a_batch_predicts_with_what_another_process_learned(learned, other) -> None:
    other.does(learned, "learn", [["a", "b"], ["z"]], {})
    learned.here("POST", "clear-stm")
    body = {"observations": [{"strings": ["a"]}, {"strings": ["b"]}]}
    learned.here("POST", "observe-sequence", body)
    assert len(learned.here("GET", "predictions")["predictions"]) == 3
