"""The stand-in with the replacements in it: the same answers and documents, every way out, and everything back."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import kato_fast
from kato_fast import flags, hosts, observe, rollout
from kato_fast.hosts import learning, predicting, shared
from kato_fast.rollout import replay
from tests.hosts.attached import ALL, User, check, client, detached, expected, scenario, service, strip, user
from tests.hosts.conftest import host_environment
from tests.hosts.cycles import changed, shape
from tests.hosts.differential import differences
from tests.hosts.foreign import (
    Other,
    answers_as_the_host,
    by_future,
    test_another_process_learns_what_is_new,
    test_another_process_moves_the_window_of_emotives,
    test_both_learn_in_turn,
)

__all__ = [
    "client",
    "detached",
    "expected",
    "service",
    "user",
    "test_another_process_learns_what_is_new",
    "test_another_process_moves_the_window_of_emotives",
    "test_both_learn_in_turn",
]

#: Raised for the long run.
CYCLES = int(os.environ.get("KATO_FAST_CYCLES", "60"))


@pytest.mark.parametrize("mode", ["on", "shadow", "canary:50", "off"])
def test_every_flag_together(user, expected, mode) -> None:
    hosts.install(**{**dict.fromkeys(flags.FLAGS, mode), "batch": "off"})
    check(user, expected)
    assert not [item for item in hosts.explain() if item["reason"] == "error"]


def compared() -> int:
    series = observe.snapshot()["metrics"]["kato_fast_compared_total"]["series"]
    return sum(one["value"] for one in series if one["labels"] == {"flag": "native_matching"})


def test_shadow_compares_every_prediction(user, expected, runtime_directory) -> None:
    hosts.install(native_matching="shadow", incremental_metrics="on")
    before, kept = compared(), set(runtime_directory.glob("differences/*"))  # of other hosts' tests
    check(user, expected)
    assert compared() - before > 10
    assert set(runtime_directory.glob("differences/*")) == kept


def test_a_wrong_prediction_in_shadow_is_kept_and_played_again(user, runtime_directory, monkeypatch) -> None:
    hosts.install(native_matching="shadow", incremental_metrics="on")
    right = predicting.predicted
    monkeypatch.setattr(predicting, "predicted", lambda engine, state, _, most: right(engine, state, 0.0, most))
    user.learn("ab", "c")
    user.learn("x", "y", "z")
    assert len(user.predict("ab", "c")["predictions"]) == 1
    kept = sorted(
        runtime_directory.glob("differences/native_matching-*.json"), key=lambda path: path.stat().st_mtime_ns
    )
    found = replay.again(kept[-1])
    assert found["recorded"] == ["answer: 1 items are not 2"]
    assert found["differences"] == [] and len(found["answers"]["candidate"]) == 1
    for path in kept:
        path.unlink()


@pytest.mark.parametrize("flag", [flag for flag in flags.FLAGS if flag != "batch"])
def test_each_flag_alone(user, expected, flag) -> None:
    hosts.install(**{**dict.fromkeys(flags.FLAGS, "off"), flag: "on"})
    check(user, expected)


def test_require_answers_the_same(user, expected) -> None:
    hosts.install(**{**dict.fromkeys(flags.FLAGS, "on"), "native_matching": "require", "batch": "off"})
    check(user, expected)


@pytest.mark.parametrize("others", ["on", "off"])
def test_batches_leave_out_only_documents_that_nobody_reads(user, expected, others) -> None:
    hosts.install(**{**dict.fromkeys(flags.FLAGS, others), "batch": "on"})
    left_out = ("processor_id", "stored")
    expected, found = ([strip(item, left_out) for item in items] for items in (expected, scenario(user)))
    wrong = differences(expected, found)
    assert not wrong, "\n".join(wrong[:5])


@pytest.mark.parametrize("learns", [True, False])
def test_a_batch_that_fails_midway_leaves_the_last_predictions(client, service, monkeypatch, learns) -> None:
    """Those of the observation before: it was passed over, and a learn may have settled it meanwhile."""

    def left(mode: str) -> dict:
        hosts.install(**dict.fromkeys(flags.FLAGS, mode))
        user = User(client, service)
        user.learn("ab", "c")
        kind = type(user.processor)
        learn = kind.learn

        def fails_afterwards(self: Any) -> None:
            learn(self)
            raise RuntimeError("lost")

        events: list = [["a", "b"], ["z"]] if learns else [["a", "b"], ["a", "b", 0], ["z"]]  # 0 cannot be sorted
        body = {"observations": [{"strings": event} for event in events], "learn_after_each": learns}
        with monkeypatch.context() as patch, pytest.raises(RuntimeError if learns else TypeError):
            patch.setattr(kind, "learn", fails_afterwards)
            user.client.request("POST", "/observe-sequence", json=body, headers={"x-user-id": user.name})
        found = user.call("GET", "/predictions")
        hosts.uninstall()
        return found

    plain, attached = left("off"), left("on")
    assert len(plain["predictions"]) == 1
    assert differences(strip(plain), strip(attached)) == []


def test_a_batch_alone_lets_the_host_predict_once(user, monkeypatch) -> None:
    hosts.install(**{**dict.fromkeys(flags.FLAGS, "off"), "batch": "on"})
    user.learn("ab", "c")
    kind, searched = type(user.processor.pattern_processor.patterns_searcher), []
    search = kind.causalBelief
    monkeypatch.setattr(kind, "causalBelief", lambda self, *args: searched.append(args) or search(self, *args))
    user.call("POST", "/observe-sequence", {"observations": [{"strings": list("ab")} for _ in range(5)]})
    assert len(searched) == 1


def test_predictions_can_be_written_before_the_response(user, expected, monkeypatch) -> None:
    monkeypatch.setenv(predicting.WRITE_BEHIND, "0")
    monkeypatch.setattr(shared.WRITER, "put", lambda job: pytest.fail("written behind the response"))
    hosts.install(**{**ALL, "batch": "off"})
    check(user, expected)


def test_the_application_ends_when_all_is_written(client, service) -> None:
    """Newer uvicorns die of the signal that ended them, so that nothing at the interpreter's end is called."""
    hosts.install(**ALL)
    written: list = []

    async def lives() -> None:
        async with service.app.router.lifespan_context(service.app):
            shared.WRITER.put(lambda: (time.sleep(0.3), written.append(True)))

    client.run(lives())
    assert written == [True] and shared.WRITER._ending is None


def test_turning_a_flag_on_and_off_while_it_learns(user) -> None:
    hosts.install(**ALL)
    user.learn("ab", "c")
    flags.set_mode("native_store", "off", by="test")
    user.learn("ab", "c")
    flags.set_mode("native_matching", "off", by="test")
    user.learn("ab", "d")
    flags.set_mode("native_matching", "on", by="test")
    found = {item["name"]: item["frequency"] for item in user.predict("ab")["predictions"]}
    assert sorted(found.values()) == [1, 2]


# back


def test_every_attribute_is_back_by_identity(user, service) -> None:
    user.predict("ab")
    before = shape(service)
    bound = vars(user.processor.pattern_processor.superkb.patterns_kb)["learnPattern"]
    hosts.install(**ALL)
    assert changed(before, shape(service))
    user.learn("ab", "c")
    late = User(user.client, service)
    late.learn("ab", "c")
    predictions = late.predict("ab")["predictions"]
    assert hosts.uninstall() == {"lost": []}
    assert changed(before, shape(service)) == []
    assert vars(user.processor.pattern_processor.superkb.patterns_kb)["learnPattern"] is bound
    kept = late.processor.pattern_processor.superkb
    original = type(kept).__dict__["learnPattern"]
    assert vars(kept.patterns_kb)["learnPattern"].__func__ is original
    assert type(late.processor.predictions) is list and late.processor.predictions == predictions


def test_on_and_off_under_traffic(client, service) -> None:
    User(client, service).predict("ab")
    before = shape(service)
    hosts.install(**ALL)
    done, wrong = threading.Event(), []

    def work() -> None:
        user = User(client, service)
        user.learn("ab", "c")
        while not done.is_set():
            try:
                found = user.predict("ab")["predictions"]
                if [item["matches"] for item in found] != [["a", "b"]]:
                    wrong.append(found)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(CYCLES):
            wrong += hosts.uninstall()["lost"]
            wrong += changed(before, shape(service))
            hosts.install(**ALL)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not wrong, wrong[:3]


def test_what_is_public(user) -> None:
    kato_fast.install(native_matching="on")
    assert kato_fast.status()["host"]["host"] == "KATO of September 2025"
    assert isinstance(kato_fast.explain(), list)
    assert kato_fast.uninstall() == {"lost": []}
    with pytest.raises(ValueError, match="native_matchin"):
        kato_fast.install(native_matchin="on")


def test_the_hosts_modules_are_left_out_of_full_collections_while_repairs_are_on(service) -> None:
    assert gc.get_freeze_count() == 0
    hosts.install(**{**ALL, "host_repairs": "off"})
    assert gc.get_freeze_count() == 0
    hosts.uninstall()
    hosts.install(**ALL)
    assert gc.get_freeze_count() > 10_000
    flags.set_mode("host_repairs", "off", by="test")
    assert gc.get_freeze_count() == 0
    hosts.uninstall()
    hosts.install(**ALL)
    hosts.uninstall()
    assert gc.get_freeze_count() == 0


def test_who_froze_before_keeps_it(service) -> None:
    gc.freeze()
    try:
        hosts.install(**ALL)
        hosts.uninstall()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


# every way out


def reasons(flag: str) -> dict:
    return {(item["name"], item["reason"]): item["count"] for item in rollout.explain() if item["flag"] == flag}


@pytest.fixture
def learned(user) -> User:
    hosts.install(**ALL)
    user.learn("ab", "c")
    user.learn("ab", "d")
    return user


def answered(user: User, names: int) -> None:
    assert len(user.predict("ab")["predictions"]) == names


def test_a_targeted_search_is_the_hosts(learned) -> None:
    learned.processor.pattern_processor.target_class_candidates = ["x"]
    answered(learned, 2)
    assert reasons("native_matching")["predictPattern", "unsupported"] >= 1


def test_a_host_with_rapidfuzz_compares_characters_itself(learned, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules["kato.searches.pattern_search"], "RAPIDFUZZ_AVAILABLE", True)
    answered(learned, 2)
    assert reasons("native_matching")["predictPattern", "rapidfuzz"] >= 1


def test_counters_that_disagree_are_the_hosts_to_use(learned) -> None:
    name = learned.learn("ab", "e")[5:]
    learned.processor.pattern_processor.delete_pattern(name)
    answered(learned, 2)
    assert reasons("native_matching")["predictPattern", "counters_disagree"] >= 1


def test_documents_that_the_engine_cannot_hold_are_the_hosts(learned) -> None:
    superkb = learned.processor.pattern_processor.superkb
    superkb.patterns_kb.insert_one({"name": "ff" * 20, "pattern_data": [["n"], ["o"]], "frequency": 1, "emotives": {}})
    superkb.metadata.update_one({"class": "totals"}, {"$inc": {"total_pattern_frequencies": 1}})
    answered(learned, 2)
    assert reasons("native_matching")["predictPattern", "document_shape"] >= 1


def test_an_engine_that_fails_is_replaced_by_the_host(learned, monkeypatch) -> None:
    def broken(*arguments: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("kato_fast.hosts.predicting.predicted", broken)
    answered(learned, 2)
    assert reasons("native_matching")["predictPattern", "out_of_memory"] >= 1


def test_predictions_of_one_unique_id_are_the_hosts(learned) -> None:
    learned.call("GET", "/predictions?unique_id=1")
    assert reasons("native_responses")["get_predictions_primary", "unsupported"] >= 1


def test_a_session_that_is_not_there_is_refused_in_the_hosts_words(learned) -> None:
    answer = learned.client.request("GET", "/sessions/session-none/predictions")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "SESSION_NOT_FOUND"


def test_an_error_of_learning_is_the_hosts_own_and_nothing_is_counted_twice(learned) -> None:
    before = learned.documents()
    learned.call("POST", "/clear-stm")
    for event in ("ab", "c"):
        learned.observe(*event, joy=1.0)
    answer = learned.client.request("POST", "/learn", headers={"x-user-id": learned.name})
    assert answer.status_code == 500 and "Exception in learnPattern" in answer.text
    after = learned.documents()
    assert [after[name] for name in ("patterns_kb", "symbols_kb", "metadata")] == [
        before[name] for name in ("patterns_kb", "symbols_kb", "metadata")
    ]


# what changes patterns beside this process's own answers


@pytest.fixture(scope="module")
def other(mongo_url, redis_url) -> Iterator[Other]:
    other = Other(host_environment(mongo_url, redis_url))
    yield other
    other.close()


def test_another_process_learns_what_is_known(learned, other) -> None:
    for _ in range(3):
        other.does(learned, "learn", [["a", "b"], ["c"]], {})
    found = by_future(learned)
    assert (found["c"]["frequency"], found["d"]["frequency"]) == (4, 1)
    answers_as_the_host(learned)


def test_another_process_clears(learned, other) -> None:
    other.does(learned, "superkb.clear_all_memory")
    other.does(learned, "clear_all_memory")
    assert learned.predict("ab")["predictions"] == []
    other.does(learned, "learn", [["a", "b"], ["n"]], {})
    assert set(by_future(learned)) == {"n"}
    answers_as_the_host(learned)


def test_another_process_clears_and_learns_as_much_as_was_there(learned, other) -> None:
    """The totals are what they were."""
    assert set(by_future(learned)) == {"c", "d"}
    other.does(learned, "superkb.clear_all_memory")
    other.does(learned, "clear_all_memory")
    for symbol in "nm":
        other.does(learned, "learn", [["a", "b"], [symbol]], {})
    assert set(by_future(learned)) == {"n", "m"}
    answers_as_the_host(learned)


def test_another_process_deletes_a_pattern(learned, other) -> None:
    """Found with the next learn of anybody: deleting leaves the totals, and the host's own metrics answer from then."""
    name = learned.learn("ab", "e")[5:]
    other.does(learned, "delete_pattern", name)
    other.does(learned, "learn", [["a", "b"], ["c"]], {})
    assert set(by_future(learned)) == {"c", "d"}
    answers_as_the_host(learned)


def test_another_process_or_a_person_edits_a_frequency(learned, other) -> None:
    name = learned.learn("ab", "e")[5:]
    other.does(learned, "update_pattern", name, 5, {})
    other.does(learned, "learn", [["a", "b"], ["c"]], {})
    assert by_future(learned)["e"]["frequency"] == 5
    answers_as_the_host(learned)


def test_deleting_and_updating_here(learned) -> None:
    name = learned.learn("ab", "e")[5:]
    patterns = learned.processor.pattern_processor
    patterns.update_pattern(name, 7, {})
    assert by_future(learned)["e"]["frequency"] == 7
    answers_as_the_host(learned)
    patterns.delete_pattern(name)
    assert set(by_future(learned)) == {"c", "d"}
    answers_as_the_host(learned)


def test_an_evicted_processor_frees_its_patterns_and_a_new_one_loads_them(learned, other, service) -> None:
    engine = weakref.ref(shared.RESIDENTS.named(f"{learned.name}_kato"))
    del service.app_state.processor_manager.processors[f"{learned.name}_kato"]
    gc.collect()
    assert engine() is None
    other.does(learned, "learn", [["a", "b"], ["z"]], {})
    assert set(by_future(learned)) == {"c", "d", "z"}
    answers_as_the_host(learned)


def test_a_learn_that_failed_half_way_is_read_from_the_database(learned, monkeypatch) -> None:
    monkeypatch.setattr(learning, "_count", lambda *args: 1 / 0)
    learned.call("POST", "/clear-stm")
    for event in ("ab", "c"):
        learned.observe(*event)
    assert learned.client.request("POST", "/learn", headers={"x-user-id": learned.name}).status_code == 500
    assert by_future(learned)["c"]["frequency"] == 2
    answers_as_the_host(learned)


def compared_writes() -> dict[str, int]:
    series = observe.snapshot()["metrics"]["kato_fast_shadow_total"]["series"]
    return {one["labels"]["result"]: one["value"] for one in series if one["labels"]["flag"] == "native_store"}


@pytest.mark.parametrize("mode", ["shadow", "canary:0"])
def test_what_is_written_is_compared_before_it_would_be(user, expected, mode) -> None:
    hosts.install(**{**dict.fromkeys(flags.FLAGS, "off"), "native_store": mode})
    before = compared_writes()
    check(user, expected)
    found = {result: count - before.get(result, 0) for result, count in compared_writes().items()}
    learns, answers = 9, 22
    assert found.get("same") == learns + answers and not found.get("different") and not found.get("failed")


def test_a_wrong_plan_of_a_learn_leaves_one_file(user, runtime_directory, monkeypatch) -> None:
    plan = learning.plan_of

    def wrong(call: dict) -> Any:
        made = plan(call)
        made.totals["$inc"]["total_symbol_frequencies"] += 1
        return made

    hosts.install(native_store="shadow")
    monkeypatch.setattr(learning, "plan_of", wrong)
    before = set(runtime_directory.glob("differences/native_store-*"))
    user.learn("ab", "c", joy=0.5)
    (path,) = set(runtime_directory.glob("differences/native_store-*")) - before
    again = replay.again(path)
    (line,) = again["differences"]
    assert again["recorded"] == [line] and "total_symbol_frequencies: 3 is not 4" in line
    monkeypatch.setattr(learning, "plan_of", plan)
    assert replay.again(path)["differences"] == []
    totals = user.documents()["metadata"][0]
    assert totals["total_symbol_frequencies"] == 3 and totals["total_pattern_frequencies"] == 1


def test_a_wrong_document_of_predictions_leaves_one_file(user, runtime_directory, monkeypatch) -> None:
    hosts.install(**{**ALL, "native_store": "shadow", "batch": "off"})
    user.learn("ab", "c")
    user.call("POST", "/clear-stm")
    user.observe("a")
    monkeypatch.setattr(predicting.write_sets, "inserted", without_one)
    before = set(runtime_directory.glob("differences/native_store-*"))
    user.observe("b")
    monkeypatch.undo()
    (path,) = set(runtime_directory.glob("differences/native_store-*")) - before
    again = replay.again(path)
    assert again["recorded"] == again["differences"] != []
    assert "predictions: 0 items are not 1" in again["recorded"][0]
    assert [len(one["predictions"]) for one in user.documents()["stored"]] == [1], "the original has written it, once"


def without_one(collection: str, document: dict) -> dict:
    """What the host's own insert is seen as, not the plan."""
    kept = {name: value for name, value in document.items() if name != "_id"}
    return {"collection": collection, "inserted": {**kept, "predictions": []} if "_id" in document else kept}
