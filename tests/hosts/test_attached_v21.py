"""The stand-in for KATO 2.1 with the replacements in it: the same answers and documents, every way out, and back."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections import Counter
from typing import Any

import pytest
from fastapi import HTTPException

from kato_fast import flags, hosts, observe, rollout
from kato_fast.hosts import kato_v21, learning, shared
from kato_fast.rollout import replay
from tests.hosts.attached import ALL, choices, client, detached, strip
from tests.hosts.attached_v21 import Node, check, expected, learned, node, service
from tests.hosts.cycles import changed, shape
from tests.hosts.differential import differences

__all__ = ["choices", "client", "detached", "expected", "learned", "node", "service"]


@pytest.mark.parametrize("mode", ["on", "shadow", "canary:50", "off"])
def test_every_flag_together(node, expected, mode) -> None:
    hosts.install(**dict.fromkeys(flags.FLAGS, mode))
    check(node, expected)
    assert not [item for item in hosts.explain() if item["reason"] in ("error", "fingerprint", "missing")]


@pytest.mark.parametrize("flag", ["native_matching", "native_store", "native_responses", "host_repairs"])
def test_one_flag_alone(node, expected, flag) -> None:
    hosts.install(**{**dict.fromkeys(flags.FLAGS, "off"), flag: "on"})
    check(node, expected)


def test_matching_alone_with_the_hosts_metrics(node, expected) -> None:
    hosts.install(**{**ALL, "incremental_metrics": "off"})
    check(node, expected)


def compared(result: str) -> int:
    series = observe.snapshot()["metrics"]["kato_fast_shadow_total"]["series"]
    return sum(one["value"] for one in series if one["labels"] == {"flag": "native_matching", "result": result})


def test_shadow_compares_an_awaited_prediction(node) -> None:
    hosts.install(**dict.fromkeys(flags.FLAGS, "shadow"))
    same, different = compared("same"), compared("different")
    node.learn("ab", "c")
    node.learn("ab", "d")
    node.predict("ab", "n")
    assert compared("same") > same and compared("different") == different


def test_an_awaited_difference_is_seen(node, monkeypatch) -> None:
    hosts.install(**dict.fromkeys(flags.FLAGS, "shadow"))
    node.learn("ab", "c")
    before = compared("different")
    real = kato_v21.awaited.predicting.predicted
    wrong = lambda engine, state, threshold, most: real(engine, state, 1.0, most)  # noqa: E731
    monkeypatch.setattr("kato_fast.hosts.predicting.predicted", wrong)
    assert len(node.predict("ab")["predictions"]) == 1
    assert compared("different") > before


def test_every_attribute_is_back_by_identity(node, service) -> None:
    node.predict("ab")
    before = shape(service)
    hosts.install(**ALL)
    assert changed(before, shape(service))
    assert hosts.status()["host"] == "KATO 2.1" and not hosts.status()["left_alone"]
    node.learn("ab", "c")
    predictions = node.predict("ab")["predictions"]
    assert hosts.uninstall() == {"lost": []}
    assert not changed(before, shape(service))
    superkb = node.processor.pattern_processor.superkb
    bound = vars(superkb.patterns_kb)["learnPattern"]
    assert bound.__func__ is type(superkb).__dict__["learnPattern"]
    assert type(node.processor.predictions) is list and node.processor.predictions == predictions


def test_on_and_off_under_traffic(client, service) -> None:
    """Each session has a node of its own: the host alone stops where two observe at once."""
    several = [Node(client, service) for _ in range(3)]
    for one in several:
        one.learn("ab", "c")

    async def work(session: str) -> int:
        for _ in range(12):
            for event in ("ab", "n"):
                await client._client.post(f"/sessions/{session}/observe", json={"strings": list(event)})
            found = (await client._client.get(f"/sessions/{session}/predictions")).json()
            assert {tuple(item["matches"]) for item in found["predictions"]} == {("a", "b")}, found
            await client._client.post(f"/sessions/{session}/clear-stm")
        return 1

    hosts.install(**ALL)
    works = [work(node.new_session()) for node in several]
    running = asyncio.run_coroutine_threadsafe(gathered(works), client.loop)
    while not running.done():
        hosts.uninstall()
        hosts.install(**ALL)
    assert running.result() == [1, 1, 1]


async def gathered(works: list) -> list:
    return await asyncio.gather(*works)


# every way out


def reasons() -> Counter:
    found: Counter = Counter()
    for item in rollout.explain():
        if item["flag"] == "native_matching":
            found[item["name"], item["reason"]] += item["count"]
    return found


def answered(node: Node, names: int) -> None:
    assert len(node.predict("ab")["predictions"]) == names


def test_characters_are_the_hosts_to_compare(learned) -> None:
    learned.processor.pattern_processor.patterns_searcher.use_token_matching = False
    answered(learned, 2)
    assert reasons()["predictPattern", "rapidfuzz"] >= 1


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("pattern_processor", "target_class_candidates", ["x"]),
        ("pattern_processor", "cached_calculator", object()),
        ("patterns_searcher", "use_fast_matching", False),
    ],
)
def test_what_the_engine_does_not_do(learned, part, name, value) -> None:
    before = reasons()["predictPattern", "unsupported"]
    processor = learned.processor.pattern_processor
    setattr(processor if part == "pattern_processor" else processor.patterns_searcher, name, value)
    answered(learned, 2)
    assert reasons()["predictPattern", "unsupported"] > before


def test_two_symbols_that_the_hosts_library_takes_for_one(learned) -> None:
    before = reasons()["predictPattern", "unsupported"]
    learned.here("POST", "clear-stm")
    for symbol in ("", "x"):
        learned.here("POST", "observe", {"strings": [symbol]})
    assert reasons()["predictPattern", "unsupported"] == before
    learned.here("POST", "observe", {"strings": ["\0"]})
    assert reasons()["predictPattern", "unsupported"] > before


def test_counters_that_disagree_leave_the_metrics_to_the_host(learned) -> None:
    learned.processor.pattern_processor.delete_pattern(learned.learn("ab", "e")[5:])
    answered(learned, 2)
    assert reasons()["predictPattern", "counters_disagree"] >= 1


def test_an_engine_that_fails_is_replaced_by_the_host(learned, monkeypatch) -> None:
    def broken(*arguments: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("kato_fast.hosts.predicting.predicted", broken)
    answered(learned, 2)
    assert reasons()["predictPattern", "out_of_memory"] >= 1


def test_an_error_of_learning_is_the_hosts_own(learned) -> None:
    before = learned.documents()
    learned.here("POST", "clear-stm")
    for event in ("ab", "c"):
        learned.here("POST", "observe", {"strings": list(event), "emotives": {"joy": 1.0}})
    answer = learned.client.request("POST", f"/sessions/{learned.session}/learn")
    assert answer.status_code == 500 and "Exception in learnPattern" in answer.text
    after = learned.documents()
    assert all(after[name] == before[name] for name in ("patterns_kb", "symbols_kb", "metadata"))


@pytest.mark.parametrize("metrics", ["on", "off"])
def test_where_every_candidate_fails_the_host_answers_as_ever(node, expected, choices, metrics) -> None:
    hosts.install(**{**ALL, "incremental_metrics": metrics})
    node.service.app_state.processor_manager.processors.clear()
    check(node, expected)
    node.here("POST", "observe-sequence", {"observations": [{"strings": ["a"]}]})
    node.client.run(node.service.app_state.session_manager.get_active_session_count_async())
    failed = {(one["flag"], one["name"]) for one in rollout.explain() if one["reason"] == "error"}
    parts = {("native_matching", "causalBeliefAsync"), ("aggregation", "get_all_symbols_optimized")}
    reloading = {("native_matching", "getPatternsAsync")}
    reached = parts | reloading if metrics == "off" else {("native_matching", "predictPattern")}
    made = {(one.flag, one.name) for one in choices}
    assert failed == made - parts - reloading - {("native_matching", "predictPattern")} | reached


def test_a_restart_forgets_nothing(learned, service) -> None:
    """A processor that is made again learns first, and still predicts with what is in the database."""
    del service.app_state.processor_manager.processors[f"{learned.name}_kato"]
    learned.learn("ab", "e")
    answered(learned, 3)
    searcher = learned.processor.pattern_processor.patterns_searcher
    assert searcher.patterns_count == len(searcher.patterns_cache) == 3


def test_observations_of_one_node_at_once(client, service) -> None:
    """The host stops here for ever: each waits for a lock that another holds while it awaits."""
    hosts.install(**ALL)
    node = Node(client, service)
    node.learn("ab", "c")
    sessions = [node.new_session() for _ in range(6)]

    async def work(session: str) -> list:
        for event in ("a", "b", session[-1]):
            answer = await client._client.post(f"/sessions/{session}/observe", json={"strings": [event]})
        return answer.json()["stm"]

    found = client.run(gathered([work(one) for one in sessions]))
    assert found == [[["a"], ["b"], [one[-1]]] for one in sessions]


# sequences, sessions, middlewares


def sequences(node: Node) -> list:
    """Batches of every kind; what each answered, and what could be read after it."""
    seen: list = [node.learn("ab", "c", "d"), node.learn("ab", "x"), node.learn("cd", "e")]
    for options in itertools.product((False, True), repeat=3):
        names = ("learn_after_each", "learn_at_end", "clear_stm_between")
        for events in (["ab"], ["ab", "c"], ["ab", "q", "r"], ["q", "ab", ""], ["ab", "", "c"], []):
            body = {"observations": [{"strings": list(event)} for event in events], **dict(zip(names, options))}
            node.here("POST", "clear-stm")
            seen += [node.here("POST", "observe-sequence", body), node.here("GET", "predictions")]
            seen.append(node.call("GET", "/cognition-data"))
    node.processor.observation_processor.max_pattern_length = 2
    body = {"observations": [{"strings": list(event)} for event in ("ab", "c", "x", "ab", "c")]}
    seen += [node.here("POST", "observe-sequence", body), node.here("GET", "predictions")]
    return seen


@pytest.mark.parametrize("others", ["on", "off"])
def test_predictions_of_a_batch_that_nobody_can_read_are_not_made(client, service, others) -> None:
    plain = Node(client, service)
    asked = sequences(plain)
    hosts.install(**{**dict.fromkeys(flags.FLAGS, others), "batch": "on"})
    node = Node(client, service)
    wrong = differences([strip(item) for item in asked], [strip(item) for item in sequences(node)])
    assert not wrong, "\n".join(wrong[:5])
    mine, theirs = (one.documents() for one in (node, plain))
    assert len(mine.pop("stored")) < len(theirs.pop("stored")) and mine == theirs


def test_a_batch_that_fails_leaves_what_was_observed_last(node) -> None:
    hosts.install(**ALL)
    node.learn("ab", "c")
    node.here("POST", "clear-stm")
    body = {"observations": [{"strings": ["a", "b"]}, {"strings": ["c"]}, {"strings": 5}]}
    path = f"/sessions/{node.session}/observe-sequence"
    with pytest.raises(TypeError):
        node.client.request("POST", path, json=body)
    (found,) = node.call("GET", "/cognition-data")["cognition_data"]["predictions"]
    assert found["matches"] == ["a", "b", "c"]


def test_a_failed_batch_has_settled_before_its_answer_begins(client, service, node, monkeypatch) -> None:
    """Who asks again at once finds the predictions of the observation that was made last."""
    hosts.install(**ALL)
    node.learn("ab", "c")
    node.here("POST", "clear-stm")
    kind = type(node.processor)
    observe = kind.observe

    async def refusing(self: Any, data: dict) -> dict:
        if data["strings"] == ["x"]:
            raise HTTPException(400, "no")
        return await observe(self, data)

    monkeypatch.setattr(kind, "observe", refusing)
    events = (["a", "b"], ["c"], ["x"], ["z"])
    body = json.dumps({"observations": [{"strings": event} for event in events]}).encode()
    messages: list = []

    async def receive() -> dict:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict) -> None:
        messages.append((message, [one["matches"] for one in node.processor.predictions]))

    path = f"/sessions/{node.session}/observe-sequence"
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    headers = [(b"content-type", b"application/json"), (b"host", b"host")]
    rest = {"http_version": "1.1", "scheme": "http", "server": ("host", 80), "client": ("client", 1)}
    client.run(service.app({**scope, **rest, "headers": headers}, receive, send))
    start, found = messages[0]
    assert (start["type"], start["status"]) == ("http.response.start", 400)
    assert found == [["a", "b", "c"]]


def test_symbols_come_from_the_counters_of_the_engine(node, monkeypatch) -> None:
    node.learn("ab", "c")
    node.learn("ab", "d", joy=1.0)
    node.predict("ab")
    plain = node.processor.pattern_processor.symbols
    hosts.install(**{**ALL, "native_matching": "off"})
    node.predict("ab")
    pipelines = sys.modules["kato.storage.aggregation_pipelines"].AggregationPipelines
    monkeypatch.setattr(pipelines, "get_all_symbols_optimized", staticmethod(lambda collection: 1 / 0))
    hosts.install(**{**ALL, "native_matching": "canary:0"})
    shared.RESIDENTS.of(node.processor.pattern_processor.patterns_searcher)
    found = node.processor.pattern_processor.query_manager.get_all_symbols_optimized(
        node.processor.pattern_processor.superkb.symbols_kb
    )
    shown = {name: {key: figures[key] for key in plain[name]} for name, figures in found.items()}
    assert shown == plain


def headers(node: Node, path: str, **given: str) -> Any:
    return node.client.request("GET", path, headers=given)


@pytest.mark.parametrize("mode", ["off", "on"])
def test_middlewares_answer_as_the_hosts(node, service, mode) -> None:
    hosts.install(**{**ALL, "host_repairs": mode})
    at = f"/sessions/{node.session}/predictions"
    answer = headers(node, at, **{"X-Trace-ID": "mine"})
    assert (answer.headers["x-trace-id"], answer.headers["x-session-id"]) == ("mine", node.session)
    assert headers(node, at).headers["x-trace-id"].startswith("kato-")
    missing = headers(node, "/sessions/none/predictions")
    assert missing.status_code == 404 and missing.json()["error"]["code"] == "SESSION_NOT_FOUND"
    assert "x-session-id" not in missing.headers and "x-trace-id" in missing.headers
    assert headers(node, "/sessions/none/exists").status_code == 404
    assert service._concurrent_count == 0 and 1 <= service._max_concurrent_seen < 80


def test_what_the_host_says_of_many_requests_is_its_own_to_say(client, service, node, monkeypatch, caplog) -> None:
    hosts.install(**ALL)
    monkeypatch.setattr(service, "CONCURRENCY_WARNING_THRESHOLD", 4)
    monkeypatch.setattr(service, "_max_concurrent_seen", 0)

    async def many() -> list:
        path = f"/sessions/{node.session}/predictions"
        return await asyncio.gather(*(client._client.get(path) for _ in range(12)))

    assert {answer.status_code for answer in client.run(many())} == {200}
    assert "requests at once" in caplog.text
    assert service._concurrent_count == 0 and service._max_concurrent_seen >= 4


def test_a_session_lives_on_when_it_is_read(client, node, service) -> None:
    manager = service.app_state.session_manager
    key = f"{manager.key_prefix}{node.session}"
    hosts.install(**ALL)
    for _ in range(3):
        client.run(manager.redis_client.expire(key, 5))
        assert client.run(manager.get_session(node.session)) is not None
        assert client.run(manager.redis_client.ttl(key)) > 3000
    client.run(manager.redis_client.expire(key, 5))
    assert client.run(manager.get_session(node.session, check_only=True)) is not None
    assert client.run(manager.redis_client.ttl(key)) <= 5
    session = client.run(manager.get_session(node.session))
    session.expires_at = session.expires_at.replace(year=2001)
    client.run(manager.update_session(session))
    assert client.run(manager.get_session(node.session)) is None
    assert client.run(manager.redis_client.exists(key)) == 0


def test_what_it_writes_is_compared_under_shadow(node) -> None:
    hosts.install(**{**ALL, "native_store": "shadow"})
    same, failed = written("same"), written("failed")
    node.learn("ab", "c", metadata={"book": "one"})
    node.predict("ab")
    assert written("same") >= same + 2 and written("failed") == failed
    assert not [item for item in rollout.explain() if (item["flag"], item["reason"]) == UNPLANNED]


def test_a_wrong_plan_leaves_one_file(node, runtime_directory, monkeypatch) -> None:
    """Metadata that the replacement would forget; what the host wrote is there once."""
    hosts.install(**{**ALL, "native_store": "shadow"})
    plan = learning.plan_of
    monkeypatch.setattr(learning, "plan_of", lambda call: plan({**call, "metadata": None}))
    before = set(runtime_directory.glob("differences/native_store-*"))
    node.learn("ab", "c", metadata={"book": "one"})
    (path,) = set(runtime_directory.glob("differences/native_store-*")) - before
    again = replay.again(path)
    assert again["recorded"] == again["differences"] and "addToSet" in str(again["recorded"])
    monkeypatch.undo()
    assert replay.again(path)["differences"] == []
    (kept,) = node.documents()["patterns_kb"]
    assert (kept["frequency"], kept["metadata"]) == (1, {"book": ["one"]})


UNPLANNED = ("native_store", "unplanned_writes")


def written(result: str) -> int:
    series = observe.snapshot()["metrics"]["kato_fast_shadow_total"]["series"]
    return sum(one["value"] for one in series if one["labels"] == {"flag": "native_store", "result": result})
