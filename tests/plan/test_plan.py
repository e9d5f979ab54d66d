"""The plan's names, with every kind of client that its users may have."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest
import redis as redis_py
import redis.asyncio as redis_async

from kato_fast import KnowledgeBase, ratio
from kato_fast.plan import (
    DistributedSTM,
    MetricsCache,
    PatternBloomFilter,
    PatternCache,
    get_matching_patterns_aggregated,
    group_by_similarity,
    optimized_batch_observe,
    parallel_pattern_matching,
)
from kato_fast.redis_client import open_client
from tests.servers.redis import MISSING, PROGRAM, RedisServer


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    assert PROGRAM, MISSING
    with RedisServer() as running:
        yield running


KINDS = ["ours", "sync", "sync-decoding", "async", "async-decoding"]


@pytest.fixture(params=KINDS)
def run(request, server):
    """run(test): a coroutine function that gets the client."""
    with redis_py.Redis.from_url(server.url) as admin:
        admin.flushall()

    async def with_client(test) -> None:
        options = {"decode_responses": request.param.endswith("decoding")}
        if request.param == "ours":
            client = open_client(server.url)
            await test(client)
            client.close()
        elif request.param.startswith("sync"):
            with redis_py.Redis.from_url(server.url, **options) as client:
                await test(client)
        else:
            async with redis_async.Redis.from_url(server.url, **options) as client:
                await test(client)

    return lambda test: asyncio.run(with_client(test))


def test_stm(run) -> None:
    async def test(client) -> None:
        stm = DistributedSTM(client)
        for i in range(15):
            await stm.append_event("s", [str(i), "é"])
        assert await stm.get_stm_window("s") == [[str(i), "é"] for i in range(5, 15)]
        assert await stm.get_stm_window("s", count=2) == [["13", "é"], ["14", "é"]]
        assert await stm.maintain_rolling_window("s", 3) == 12
        assert await stm.get_stm_window("s", 100) == [[str(i), "é"] for i in range(12, 15)]
        await asyncio.gather(*[stm.append_event("many", [str(i)]) for i in range(20)])
        assert len(await stm.get_stm_window("many", 100)) == 20

    run(test)


def test_metrics(run) -> None:
    async def test(client) -> None:
        metrics = MetricsCache(client)
        assert await metrics.get_cached_hamiltonian("h") is None
        await metrics.cache_hamiltonian("h", 0.1 + 0.2)
        assert await metrics.get_cached_hamiltonian("h") == 0.1 + 0.2
        assert await metrics.get_symbol_frequencies() == {}
        await metrics.update_symbol_frequencies_incremental(["a", "b", "a", "é"])
        await metrics.update_symbol_frequencies_incremental(["a"])
        await metrics.update_symbol_frequencies_incremental([])
        assert await metrics.get_symbol_frequencies() == {"a": 3, "b": 1, "é": 1}

    run(test)


def test_patterns(run) -> None:
    async def test(client) -> None:
        with KnowledgeBase() as kb:
            kb.learn([["a"], ["b"]])
            kb.learn([["a"], ["c"]])
            kb.learn([["a"], ["c"]])
            cache = PatternCache(client, kb)
            top = await cache.get_top_patterns("session", limit=1)
            assert [pattern["frequency"] for pattern in top] == [2]
            assert await cache.get_symbol_probabilities() == {"a": 0.5, "b": 1 / 6, "c": 2 / 6}
            kb.learn([["a"], ["b"]])
            assert (await PatternCache(client, kb).get_symbol_probabilities())["b"] == 1 / 6
            await cache.invalidate()
            assert (await cache.get_symbol_probabilities())["b"] == 2 / 8
            assert len(await cache.get_top_patterns("session")) == 2
            assert cache.stats()["computed"] == 4

    run(test)


def test_knowledge_bases_on_one_redis_are_told_apart(run, tmp_path) -> None:
    async def test(client) -> None:
        with KnowledgeBase() as one, KnowledgeBase(tmp_path / "kb.sqlite") as two:
            one.learn([["a"], ["b"]])
            two.learn([["x"], ["y"]])
            assert set(await PatternCache(client, one).get_symbol_probabilities()) == {"a", "b"}
            assert set(await PatternCache(client, two).get_symbol_probabilities()) == {"x", "y"}
            two.save(tmp_path / "snapshot")
            with KnowledgeBase(tmp_path / "kb.sqlite") as again, KnowledgeBase.open(tmp_path / "snapshot") as saved:
                cache = PatternCache(client, again)
                assert set(await cache.get_symbol_probabilities()) == {"x", "y"}
                assert cache.stats()["redis"] == 1
                assert set(await PatternCache(client, saved).get_symbol_probabilities()) == {"x", "y"}

    run(test)


def test_nonsense_in_redis_is_said(run) -> None:
    async def test(client) -> None:
        raw = client.command if hasattr(client, "command") and not hasattr(client, "execute_command") else None
        for args in (["SET", "metrics:hamiltonian:h", "much"], ["XADD", "stm:s", "*", "event", '["a"]']):
            done = raw(*args) if raw else client.execute_command(*args)
            if asyncio.iscoroutine(done):
                await done
        with pytest.raises(ValueError, match="^metrics:hamiltonian:h of Redis must be a number, not b'much'$"):
            await MetricsCache(client).get_cached_hamiltonian("h")
        with pytest.raises(ValueError, match="an entry of the stream has no event"):
            await DistributedSTM(client).get_stm_window("s")

    run(test)


def test_own_loaders_may_be_async(run) -> None:
    class Own(PatternCache):
        async def _load_top_patterns(self, limit: int) -> list:
            await asyncio.sleep(0)
            return [{"name": "p", "limit": limit}]

    async def test(client) -> None:
        assert await Own(client).get_top_patterns("s", 5) == [{"name": "p", "limit": 5}]
        with pytest.raises(ValueError, match="PatternCache needs knowledge="):
            await Own(client).get_symbol_probabilities()

    run(test)


def test_many_loaders_that_need_threads_themselves_go_on(run) -> None:
    class Own(PatternCache):
        async def _load_top_patterns(self, limit: int) -> list:
            return await asyncio.to_thread(lambda: [{"limit": limit}])

    async def test(client) -> None:
        cache = Own(client)
        asked = asyncio.gather(*[cache.get_top_patterns("s", i + 1) for i in range(100)])
        assert await asyncio.wait_for(asked, 30) == [[{"limit": i + 1}] for i in range(100)]

    run(test)


@pytest.mark.parametrize("kind", [PatternCache, MetricsCache, DistributedSTM])
def test_what_is_no_client_is_refused(kind) -> None:
    with pytest.raises(TypeError, match="redis must be a client of Redis, not str"):
        kind("redis://127.0.0.1")


class Silent:
    """Looks like a client; a test that reaches it has not checked first."""

    def execute_command(self, *args, **options):
        raise AssertionError(args)


STM, METRICS, BLOOM = DistributedSTM(Silent()), MetricsCache(Silent()), PatternBloomFilter()
GOOD = [{"strings": ["a"]}]


@pytest.mark.parametrize(
    ("call", "args", "kind", "text"),
    [
        (PatternCache, (Silent(), 3), TypeError, "knowledge must be a KnowledgeBase, not int"),
        (PatternCache(Silent()).get_top_patterns, ("s", 0), ValueError, "limit must be from 1 to 10000, not 0"),
        (PatternCache(Silent()).get_top_patterns, ("s", "1"), TypeError, "limit must be an int, not str"),
        (PatternCache(Silent()).get_top_patterns, (None,), TypeError, "session_id must be a str, not NoneType"),
        (METRICS.get_cached_hamiltonian, (None,), TypeError, "state_hash must be a str, not NoneType"),
        (METRICS.cache_hamiltonian, ("h", float("nan")), ValueError, "value must be finite, not nan"),
        (METRICS.cache_hamiltonian, ("h", 10**400), ValueError, "value must be finite, not inf"),
        (get_matching_patterns_aggregated, (["a"], 10**400), ValueError, "min_similarity must be finite, not inf"),
        (METRICS.cache_hamiltonian, ("h", "1"), TypeError, "value must be a number, not str"),
        (METRICS.update_symbol_frequencies_incremental, ("ab",), TypeError, "new_symbols must be a list, not str"),
        (METRICS.update_symbol_frequencies_incremental, ([1],), TypeError, "new_symbols[0] must be a str, not int"),
        (STM.append_event, ("s", "ab"), TypeError, "event must be a list, not str"),
        (STM.append_event, ("s", []), ValueError, "event must not be empty"),
        (STM.append_event, ("s", ["\ud800"]), ValueError, "event[0] must be valid Unicode: lone surrogate at index 0"),
        (STM.append_event, ("", ["a"]), ValueError, "session_id must have 1 to 1024 characters, not 0"),
        (STM.get_stm_window, ("s", None), TypeError, "count must be an int, not NoneType"),
        (STM.maintain_rolling_window, ("s", 0), ValueError, "max_length must be from 1 to 1000, not 0"),
        (BLOOM.add_pattern, ("ab",), TypeError, "pattern_symbols must be a list, not str"),
        (BLOOM.might_match, ("ab",), TypeError, "observed_symbols must be a list, not str"),
        (BLOOM.prescreen_patterns, ([3], ["a"]), TypeError, "patterns[0] must be a dict, not int"),
        (BLOOM.prescreen_patterns, ([], ["a"], "x"), TypeError, "threshold must be a number, not str"),
        (
            parallel_pattern_matching,
            ([{"symbols": "ab"}], ["a"]),
            TypeError,
            "patterns[0]['symbols'] must be a list, not str",
        ),
        (
            parallel_pattern_matching,
            ([{"symbols": ["a", "b"], "frequency": 0}], ["a"]),
            ValueError,
            "patterns[0]: frequency must be from 1 to 9223372036854775807, not 0",
        ),
        (parallel_pattern_matching, ([], "ab"), TypeError, "state must be a list, not str"),
        (get_matching_patterns_aggregated, ("ab",), TypeError, "observed_symbols must be a list, not str"),
        (get_matching_patterns_aggregated, ([],), ValueError, "observed_symbols must not be empty"),
        (group_by_similarity, ([{"strings": "ab"}],), TypeError, "observations[0]['strings'] must be a list, not str"),
        (
            group_by_similarity,
            ([{"vectors": [["x"]]}],),
            TypeError,
            "observations[0]['vectors'][0][0] must be a number, not str",
        ),
        (optimized_batch_observe, (GOOD, 3), TypeError, "knowledge must be a KnowledgeBase, not int"),
        (optimized_batch_observe, (["a"], KnowledgeBase()), TypeError, "observations[0] must be a dict, not str"),
        (
            optimized_batch_observe,
            ([{"vectors": [[1.0]]}], KnowledgeBase()),
            ValueError,
            "observations[0] must not have vectors: a knowledge base knows symbols only",
        ),
    ],
)
def test_wrong_arguments_are_named(call, args, kind, text) -> None:
    with pytest.raises(kind) as caught:
        result = call(*args)
        asyncio.run(result)
    assert str(caught.value) == text


def test_a_short_term_memory_is_a_list_of_events() -> None:
    with KnowledgeBase() as kb, pytest.raises(TypeError, match="stm\\[0\\] must be a list, not str"):
        asyncio.run(optimized_batch_observe(GOOD, kb, stm=["a"]))
    with KnowledgeBase() as kb, pytest.raises(ValueError, match="^stm\\[1\\] must not be empty"):
        asyncio.run(optimized_batch_observe(GOOD, kb, stm=[["a"], []]))
    with pytest.raises(TypeError, match="patterns_kb must be a collection of MongoDB, not int"):
        get_matching_patterns_aggregated(["a"], patterns_kb=3)


def some_patterns(rng: random.Random) -> list[dict]:
    return [
        {"id": i, "symbols": [rng.choice("abcdef") for _ in range(rng.randint(2, 8))], "frequency": rng.randint(1, 5)}
        for i in range(200)
    ]


def test_prescreening_loses_no_match(rng) -> None:
    bloom, patterns = PatternBloomFilter(), some_patterns(rng)
    for pattern in patterns:
        bloom.add_pattern(pattern["symbols"])
    assert bloom.pattern_count == 200
    for _ in range(30):
        state = [rng.choice("abcdefghij") for _ in range(rng.randint(1, 6))]
        for threshold in (0.0, 0.1, 0.5, 0.8):
            kept = asyncio.run(bloom.prescreen_patterns(patterns, state, threshold))
            reach = [p for p in patterns if ratio(p["symbols"], state) >= threshold]
            assert [p["id"] for p in reach if p not in kept] == []
        if any(set(state) & set(p["symbols"]) for p in patterns):
            assert bloom.might_match(state)
    assert not PatternBloomFilter().might_match(["a"])
    dropped = asyncio.run(bloom.prescreen_patterns(patterns, ["x", "y"]))
    assert dropped == []


def test_parallel_matching_is_the_engine(rng) -> None:
    patterns = [{**p, "pattern_data": [[s] for s in p["symbols"]]} for p in some_patterns(rng)]
    state = ["a", "b", "c"]
    found = asyncio.run(parallel_pattern_matching(patterns, state))
    assert {tuple(p["symbols"]) for p in found} == {
        tuple(p["symbols"]) for p in patterns if ratio(p["symbols"], state) > 0
    }
    for item in found:
        assert item["similarity"] == ratio(item["symbols"], state)
    potentials = [item["potential"] for item in found]
    assert potentials == sorted(potentials, reverse=True)
    assert asyncio.run(parallel_pattern_matching([], state)) == []


def test_every_pattern_that_matches_has_a_result() -> None:
    patterns = [{"symbols": ["a", str(i)]} for i in range(10_100)]
    assert len(asyncio.run(parallel_pattern_matching(patterns, ["a", "b"]))) == 10_100
    twice = [{"id": i, "symbols": ["a", "b"]} for i in range(2)] + [{"id": 2, "symbols": ["c", "d"]}]
    assert [item["id"] for item in asyncio.run(parallel_pattern_matching(twice, ["a", "b"]))] == [0, 1]
    assert asyncio.run(parallel_pattern_matching(twice, ["a"])) == []  # as in KATO


def test_aggregation_is_a_pipeline_for_any_driver() -> None:
    class Collection:
        def aggregate(self, stages: list) -> list:
            return stages

    stages = get_matching_patterns_aggregated(["a", "b"], patterns_kb=Collection())
    assert stages == get_matching_patterns_aggregated(["a", "b"], min_similarity=0.1)
    assert all(len(stage) == 1 and next(iter(stage)).startswith("$") for stage in stages)
    assert not any("$limit" in stage for stage in stages)


def test_groups() -> None:
    one, two, three = {"strings": ["b", "a"]}, {"strings": ["a", "b"], "emotives": {"j": 1.0}}, {"strings": ["a|b"]}
    four = {"strings": ["a", "b"], "vectors": [[1.0]]}
    assert group_by_similarity([one, three, two, four]) == [[one, two], [three], [four]]


def test_batches_come_in_their_own_order() -> None:
    with KnowledgeBase() as kb:
        kb.learn([["a"], ["b"], ["c"]])
        kb.learn([["x"], ["y"]])
        observations = [{"strings": s} for s in (["b"], ["y"], ["b"], [], ["zz"])]
        results = asyncio.run(optimized_batch_observe(observations, kb, stm=[["a"]]))
        assert [result["strings"] for result in results] == [["b"], ["y"], ["b"], [], ["zz"]]
        for result in results:
            expected = kb.predict([["a"], result["strings"]]).to_list() if result["strings"] else []
            assert result["predictions"] == expected
        assert results[0]["predictions"]
    with pytest.raises(ValueError, match="needs knowledge="):
        asyncio.run(optimized_batch_observe([]))
