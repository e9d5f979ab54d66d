"""Drills at every place of the stand-in for KATO of September 2025 that chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kato_fast import hosts, rollout
from kato_fast.flags import runtime
from tests.hosts import faults
from tests.hosts.attached import ALL, User, client, detached, service, strip, user
from tests.hosts.conftest import host_environment
from tests.hosts.faults import Drill, drilled, made

__all__ = ["client", "detached", "made", "service", "user"]


def session(user: User) -> str:
    return user.call("POST", "/sessions", {"user_id": user.name})["session_id"]


#: Place → a request that reaches it, and what else than errors and slowness is found there: where both are compared, a
#: wrong answer; where the candidate does not await, a hang.
PLACES: dict[str, tuple[Callable[[User], Any], str]] = {
    "predictPattern": (faults.observed, "wrong hang"),
    "causalBelief": (faults.observed, "hang"),
    "getPatterns": (faults.load_again, "hang"),
    "learnPattern": (faults.learn, "wrong hang"),
    "predictions_kb": (faults.observed, "wrong hang"),
    "get_predictions_primary": (lambda user: user.call("GET", "/predictions"), ""),
    "get_session_predictions": (lambda user: user.call("GET", f"/sessions/{session(user)}/predictions"), ""),
    "observe-sequence": (faults.batch, "hang"),
    "get_session": (lambda user: user.call("POST", f"/sessions/{session(user)}/observe", {"strings": []}), ""),
    "get_or_create_session": (faults.clear, ""),
}


@pytest.mark.parametrize("name, fault", faults.cases(PLACES))
def test_a_fault_is_noticed_and_taken_back_and_no_request_is_lost(user, made, monkeypatch, name, fault) -> None:
    ask = PLACES[name][0]
    wanted = strip(ask(faults.plain(user)))
    hosts.install(**{**ALL, "incremental_metrics": "off" if name == "causalBelief" else "on"})
    drilled(Drill(made, name, lambda: strip(ask(user)), monkeypatch), fault, wanted)


def test_there_are_no_other_places(user, made) -> None:
    hosts.install(**ALL)
    assert set(made) == {*PLACES, *faults.WITHOUT_KEY}


def test_what_canary_cannot_draw_is_said(user, made) -> None:
    hosts.install(**{**ALL, "host_repairs": "canary:100"})
    user.call("GET", "/health")
    (found,) = [one for one in rollout.explain() if one["name"] == "get_active_session_count_async"]
    assert found["reason"] == "no_key"


@pytest.mark.parametrize("name", ["predictPattern", "get_or_create_session"])
def test_a_crash_in_a_place_is_found_by_the_next_process(
    mongo_url, redis_url, known, tmp_path, monkeypatch, name
) -> None:
    monkeypatch.setenv(runtime.VARIABLE, str(tmp_path / "run"))
    more = {"KATO_FAST": "1", "KATO_FAST_FINGERPRINTS": known, runtime.VARIABLE: str(tmp_path / "run")}
    faults.dies_in_a_place("m", name, host_environment(mongo_url, redis_url, **more))
