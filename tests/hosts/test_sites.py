"""Every place of an attached host that chooses: its candidate fails, or its code is not the one that was read."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from kato_fast import flags, hosts, rollout
from kato_fast.hosts import effects, kato_m, seams
from kato_fast.rollout import FallbackForbidden
from tests.hosts.attached import ALL, Broken, User, check, choices, client, detached, expected, service, user

__all__ = ["choices", "client", "detached", "expected", "service", "user"]


SITES = {
    ("native_matching", "predictPattern"),
    ("native_matching", "causalBelief"),
    ("native_matching", "getPatterns"),
    ("aggregation", "get_all_symbols_optimized"),
    ("native_store", "learnPattern"),
    ("native_store", "predictions_kb"),
    ("native_responses", "get_predictions_primary"),
    ("native_responses", "get_session_predictions"),
    ("batch", "observe-sequence"),
    ("host_repairs", "get_session"),
    ("host_repairs", "get_or_create_session"),
    ("host_repairs", "get_active_session_count_async"),
}


#: Parts of the host's own predictPattern: originals where that was chosen on purpose.
PARTS = {("native_matching", "causalBelief"), ("aggregation", "get_all_symbols_optimized")}


@pytest.mark.parametrize(
    ("metrics", "reached"), [("on", SITES - PARTS), ("off", SITES - {("native_matching", "predictPattern")})]
)
def test_where_every_candidate_fails_the_host_answers_as_ever(user, expected, choices, metrics, reached) -> None:
    """Each place falls back, with the same arguments and once; each time is counted."""
    hosts.install(**{**ALL, "incremental_metrics": metrics})
    assert {(one.flag, one.name) for one in choices} == SITES
    check(user, expected)
    user.call("GET", "/health")
    failed = [one for one in rollout.explain() if one["reason"] == "error"]
    assert {(one["flag"], one["name"]) for one in failed} == reached
    assert all("Broken: drill" in one["detail"] for one in failed)


def test_under_require_every_place_raises(choices) -> None:
    hosts.install(**dict.fromkeys(flags.FLAGS, "require"))
    assert {(one.flag, one.name) for one in choices} == SITES
    for choice in choices:
        for error in (Broken("drill"), rollout.Declined("unsupported")):
            choice.candidate = lambda *args, error=error: (_ for _ in ()).throw(error)
            with pytest.raises((Broken, FallbackForbidden)):
                answer = choice(None)
                if choice.is_async:
                    asyncio.run(answer)


PRINTED = sorted({name for seam in kato_m.SEAMS if not (seam.adds or seam.wraps) for name in (seam.name, *seam.relies)})


@pytest.mark.parametrize("name", PRINTED)
def test_one_place_whose_code_nobody_has_read_is_left_alone(user, known, tmp_path, monkeypatch, name) -> None:
    """What relies on it too; all others are replaced, and what is half attached answers like the whole."""
    prints = json.loads(Path(known).read_text())
    assert prints.pop(name), name
    path = tmp_path / "known.json"
    path.write_text(json.dumps(prints))
    monkeypatch.setenv(seams.TRUST, str(path))
    hosts.install(**ALL)
    relying = {s.name for s in kato_m.SEAMS if not (s.adds or s.wraps) and name in (s.name, *s.relies)}
    left = {one["target"]: one for one in hosts.status()["left_alone"]}
    assert set(left) == relying and all(name in one["detail"] for one in left.values())
    assert {one["reason"] for one in hosts.explain() if one["name"] in left} == {"fingerprint"}
    replaced = {one["target"] for one in hosts.status()["seams"]}
    assert not replaced & relying and len(replaced) >= 15
    user.learn("ab", "c")
    user.learn("ab", "d", "e")
    found = user.predict("ab")
    stored = user.documents()
    hosts.uninstall()
    plain = User(user.client, user.service)
    plain.learn("ab", "c")
    plain.learn("ab", "d", "e")
    assert plain.predict("ab")["predictions"] == found["predictions"]
    assert plain.documents()["patterns_kb"] == stored["patterns_kb"]


def test_the_command_line_is_told_what_was_left_alone_and_what_switches_nothing(user, tmp_path, monkeypatch) -> None:
    """Not only who read the line at the start."""
    hosts.install(**ALL)
    found = rollout.process.report()
    assert found["without_effect"] == effects.NO_PLACE and found["explain"] == rollout.explain()
    hosts.uninstall()
    assert rollout.process.report()["without_effect"] == {}
    path = tmp_path / "known.json"
    path.write_text("{}")
    monkeypatch.setenv(seams.TRUST, str(path))
    hosts.install(**ALL)
    found = rollout.process.report()
    left = {one["name"] for one in found["explain"] if one["reason"] == "fingerprint"}
    assert left == {one["target"] for one in hosts.status()["left_alone"]}
    silent = {flag for flag, why in found["without_effect"].items() if why == effects.LEFT_ALONE}
    replaced = {"batch", "host_repairs", "incremental_metrics", "native_matching", "native_responses", "native_store"}
    assert silent == replaced
    assert {one["reason"] for one in found["explain"]} <= set(rollout.REASONS)
