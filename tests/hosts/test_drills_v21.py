"""Drills at every place of the stand-in for KATO 2.1 that chooses, most of which await."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from kato_fast import hosts
from kato_fast.flags import runtime
from kato_fast.hosts import seams
from kato_fast.rollout import crash
from tests.hosts.attached import ALL, client, detached, strip
from tests.hosts.attached_v21 import Node, environment_of, node, service
from tests.hosts.faults import CRASH, Drill, drilled, made

__all__ = ["client", "detached", "made", "node", "service"]


def observe(node: Node) -> list:
    node.here("POST", "clear-stm")
    node.here("POST", "observe", {"strings": ["a", "b"]})
    return node.processor.predictions


def learn(node: Node) -> str:
    node.here("POST", "observe", {"strings": ["a", "b"]})
    return node.here("POST", "learn")["pattern_name"]


def load_again(node: Node) -> list:
    searcher = node.processor.pattern_processor.patterns_searcher
    searcher.getPatterns()
    return sorted(searcher.patterns_cache.values())


def load_again_awaited(node: Node) -> list:
    searcher = node.processor.pattern_processor.patterns_searcher
    node.client.run(searcher.getPatternsAsync())
    return sorted(searcher.patterns_cache.values())


def batch(node: Node) -> Any:
    node.here("POST", "clear-stm")
    return node.here("POST", "observe-sequence", BATCH)


BATCH = {"observations": [{"strings": ["a"]}, {"strings": ["b"]}]}

#: As for the first generation. The engine answers predictPattern and causalBeliefAsync without awaiting.
PLACES: dict[str, tuple[Callable[[Node], Any], str]] = {
    "predictPattern": (observe, "wrong hang"),
    "causalBeliefAsync": (observe, "hang"),
    "getPatterns": (load_again, "hang"),
    "getPatternsAsync": (load_again_awaited, "hang"),
    "learnPattern": (learn, "wrong hang"),
    "predictions_kb": (observe, "wrong hang"),
    "get_session_predictions": (lambda node: node.here("GET", "predictions"), ""),
    "observe-sequence": (batch, "hang"),
    "get_session": (lambda node: node.here("POST", "clear-stm"), ""),
}

WITHOUT_KEY = {"get_all_symbols_optimized", "get_active_session_count_async"}


def plain(node: Node) -> Node:
    hosts.uninstall()
    node.learn("ab", "c")
    node.learn("ab", "d")
    return node


@pytest.mark.parametrize(
    "name, fault", [(name, fault) for name, (_, more) in PLACES.items() for fault in f"errors slower {more}".split()]
)
def test_a_fault_is_noticed_and_taken_back_and_no_request_is_lost(node, made, monkeypatch, name, fault) -> None:
    ask = PLACES[name][0]
    wanted = strip(ask(plain(node)), ("session_id",))
    hosts.install(**{**ALL, "incremental_metrics": "off" if name == "causalBeliefAsync" else "on"})
    drilled(Drill(made, name, lambda: strip(ask(node), ("session_id",)), monkeypatch), fault, wanted)


def test_there_are_no_other_places(node, made) -> None:
    hosts.install(**ALL)
    assert set(made) == {*PLACES, *WITHOUT_KEY}


@pytest.mark.parametrize("name", ["predictPattern", "get_session"])
def test_a_crash_in_a_place_is_found_by_the_next_process(
    service, mongo_url, redis_url, tmp_path, monkeypatch, name
) -> None:
    known = os.environ[seams.TRUST]
    monkeypatch.setenv(runtime.VARIABLE, str(tmp_path / "run"))
    more = {"KATO_FAST": "1", "KATO_FAST_FINGERPRINTS": known, runtime.VARIABLE: str(tmp_path / "run")}
    environment = environment_of(mongo_url, redis_url, **more)
    done = subprocess.run([sys.executable, "-c", CRASH, "v21", name], env=environment, capture_output=True, timeout=60)
    assert done.returncode < 0, done.stderr.decode()
    ((flag, why),) = crash.find()
    assert flag == {"predictPattern": "native_matching"}.get(name, "host_repairs") and "died in its candidate" in why
