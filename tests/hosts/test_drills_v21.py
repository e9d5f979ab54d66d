"""Drills at every place of the stand-in for KATO 2.1 that chooses, most of which await."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from kato_fast import hosts
from kato_fast.flags import runtime
from kato_fast.hosts import seams
from tests.hosts import faults
from tests.hosts.attached import ALL, client, detached, strip
from tests.hosts.attached_v21 import Node, environment_of, node, service
from tests.hosts.faults import Drill, drilled, made

__all__ = ["client", "detached", "made", "node", "service"]


def load_again_awaited(node: Node) -> list:
    searcher = node.processor.pattern_processor.patterns_searcher
    node.client.run(searcher.getPatternsAsync())
    return sorted(searcher.patterns_cache.values())


#: As for the first generation. The engine answers predictPattern and causalBeliefAsync without awaiting.
PLACES: dict[str, tuple[Callable[[Node], Any], str]] = {
    "predictPattern": (faults.observed, "wrong hang"),
    "causalBeliefAsync": (faults.observed, "hang"),
    "getPatterns": (faults.load_again, "hang"),
    "getPatternsAsync": (load_again_awaited, "hang"),
    "learnPattern": (faults.learn, "wrong hang"),
    "predictions_kb": (faults.observed, "wrong hang"),
    "get_session_predictions": (lambda node: node.here("GET", "predictions"), ""),
    "observe-sequence": (faults.batch, "hang"),
    "get_session": (faults.clear, ""),
}


@pytest.mark.parametrize("name, fault", faults.cases(PLACES))
def test_a_fault_is_noticed_and_taken_back_and_no_request_is_lost(node, made, monkeypatch, name, fault) -> None:
    ask = PLACES[name][0]
    wanted = strip(ask(faults.plain(node)), ("session_id",))
    hosts.install(**{**ALL, "incremental_metrics": "off" if name == "causalBeliefAsync" else "on"})
    drilled(Drill(made, name, lambda: strip(ask(node), ("session_id",)), monkeypatch), fault, wanted)


def test_there_are_no_other_places(node, made) -> None:
    hosts.install(**ALL)
    assert set(made) == {*PLACES, *faults.WITHOUT_KEY}


@pytest.mark.parametrize("name", ["predictPattern", "get_session"])
def test_a_crash_in_a_place_is_found_by_the_next_process(
    service, mongo_url, redis_url, tmp_path, monkeypatch, name
) -> None:
    known = os.environ[seams.TRUST]
    monkeypatch.setenv(runtime.VARIABLE, str(tmp_path / "run"))
    more = {"KATO_FAST": "1", "KATO_FAST_FINGERPRINTS": known, runtime.VARIABLE: str(tmp_path / "run")}
    faults.dies_in_a_place("v21", name, environment_of(mongo_url, redis_url, **more))
