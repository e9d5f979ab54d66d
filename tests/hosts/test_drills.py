"""Drills at every place of the stand-in for KATO of September 2025 that chooses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from kato_fast import hosts, rollout
from kato_fast.flags import runtime
from kato_fast.rollout import crash
from tests.hosts.attached import ALL, User, client, detached, service, strip, user
from tests.hosts.conftest import host_environment
from tests.hosts.faults import CRASH, Drill, drilled, made

__all__ = ["client", "detached", "made", "service", "user"]


def session(user: User) -> str:
    return user.call("POST", "/sessions", {"user_id": user.name})["session_id"]


def clear_again(user: User) -> Any:
    return user.call("POST", "/clear-stm")


def observe(user: User) -> list:
    user.call("POST", "/clear-stm")
    user.call("POST", "/observe", {"strings": ["a", "b"]})
    return user.processor.predictions


def learn(user: User) -> str:
    user.call("POST", "/observe", {"strings": ["a", "b"]})
    return user.call("POST", "/learn")["pattern_name"]


def load_again(user: User) -> list:
    searcher = user.processor.pattern_processor.patterns_searcher
    searcher.getPatterns()
    return sorted(searcher.patterns_cache.values())


BATCH = {"observations": [{"strings": ["a"]}, {"strings": ["b"]}]}

#: Place → a request that reaches it, and what else than errors and slowness is found there: where both are compared, a
#: wrong answer; where the candidate does not await, a hang.
PLACES: dict[str, tuple[Callable[[User], Any], str]] = {
    "predictPattern": (observe, "wrong hang"),
    "causalBelief": (observe, "hang"),
    "getPatterns": (load_again, "hang"),
    "learnPattern": (learn, "wrong hang"),
    "predictions_kb": (observe, "wrong hang"),
    "get_predictions_primary": (lambda user: user.call("GET", "/predictions"), ""),
    "get_session_predictions": (lambda user: user.call("GET", f"/sessions/{session(user)}/predictions"), ""),
    "observe-sequence": (lambda user: user.call("POST", "/observe-sequence", BATCH), "hang"),
    "get_session": (lambda user: user.call("POST", f"/sessions/{session(user)}/observe", {"strings": []}), ""),
    "get_or_create_session": (clear_again, ""),
}

#: They have no session to be drawn by, so canary leaves them to the host and says no_key.
WITHOUT_KEY = {"get_all_symbols_optimized", "get_active_session_count_async"}


def plain(user: User) -> User:
    hosts.uninstall()
    user.learn("ab", "c")
    user.learn("ab", "d")
    return user


@pytest.mark.parametrize(
    "name, fault", [(name, fault) for name, (_, more) in PLACES.items() for fault in f"errors slower {more}".split()]
)
def test_a_fault_is_noticed_and_taken_back_and_no_request_is_lost(user, made, monkeypatch, name, fault) -> None:
    ask = PLACES[name][0]
    wanted = shown(ask(plain(user)))
    hosts.install(**{**ALL, "incremental_metrics": "off" if name == "causalBelief" else "on"})
    drilled(Drill(made, name, lambda: shown(ask(user)), monkeypatch), fault, wanted)


def shown(answer: Any) -> Any:
    """Without what differs from one prediction to the next: learning again changes frequencies."""
    return strip(answer)


def test_there_are_no_other_places(user, made) -> None:
    hosts.install(**ALL)
    assert set(made) == {*PLACES, *WITHOUT_KEY}


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
    environment = host_environment(mongo_url, redis_url, **more)
    done = subprocess.run([sys.executable, "-c", CRASH, "m", name], env=environment, capture_output=True, timeout=60)
    assert done.returncode < 0, done.stderr.decode()
    ((flag, why),) = crash.find()
    assert flag == {"predictPattern": "native_matching"}.get(name, "host_repairs") and "died in its candidate" in why
