"""The repairs of KATO 2.1, on small classes with its names and its way of locking across an await."""

from __future__ import annotations

import asyncio
from multiprocessing import Lock
from typing import Any

import pytest

from kato_fast import flags
from kato_fast.hosts import awaited, generations, kato_m, kato_v21


class Processor:
    """A lock of the whole process, held while it awaits, as the host holds it."""

    def __init__(self) -> None:
        self.lock, self.time = Lock(), 0
        self._stm: list = []
        self._emotives: list = []
        self.learned: list = []

    def get_stm(self) -> list:
        return list(self._stm)

    def set_stm(self, value: list) -> None:
        self._stm = list(value)

    def get_emotives_accumulator(self) -> list:
        return list(self._emotives)

    def set_emotives_accumulator(self, value: list) -> None:
        self._emotives = list(value)

    def learn(self) -> list:
        self.learned.append(self.get_stm())
        self.set_stm([])
        return self.learned[-1]

    async def observe(self, data: Any = None) -> None:
        assert self.lock.acquire(timeout=5), "stopped for ever"
        try:
            self._stm.append(data)
            await asyncio.sleep(0.001)
            self._emotives.append(data)
        finally:
            self.lock.release()


class Repaired(Processor):
    observe = kato_v21.one_at_a_time(Processor.observe)
    learn = kato_v21.learn_own(Processor.learn)
    set_stm = kato_v21.setting("stm")(Processor.set_stm)
    get_stm = kato_v21.getting("stm")(Processor.get_stm)
    set_emotives_accumulator = kato_v21.setting("emotives_accumulator")(Processor.set_emotives_accumulator)
    get_emotives_accumulator = kato_v21.getting("emotives_accumulator")(Processor.get_emotives_accumulator)


@pytest.fixture(autouse=True)
def on():
    flags.set_mode("native_matching", "off", by="test")
    flags.set_mode("host_repairs", "on", by="test")
    yield
    flags.set_mode("host_repairs", None, by="test")
    flags.set_mode("native_matching", None, by="test")


async def session(processor: Processor, name: str, observations: int) -> tuple[list, list]:
    """What an endpoint does, again and again: its state in, one observation, its state out."""
    stm: list = []
    emotives: list = []
    for number in range(observations):
        processor.set_stm(stm)
        processor.set_emotives_accumulator(emotives)
        await processor.observe(f"{name}{number}")
        stm, emotives = processor.get_stm(), processor.get_emotives_accumulator()
        await asyncio.sleep(0)
    return stm, emotives


def test_sessions_of_one_node_keep_their_own_state_and_nobody_stops() -> None:
    async def run() -> list:
        processor = Repaired()
        names = "abcd"
        return await asyncio.gather(*(asyncio.create_task(session(processor, name, 25)) for name in names))

    for name, found in zip("abcd", asyncio.run(asyncio.wait_for(run(), 30))):
        wanted = [f"{name}{number}" for number in range(25)]
        assert found == (wanted, wanted)


def test_a_learn_between_two_steps_of_anothers_observation() -> None:
    async def learner(processor: Processor) -> list:
        await asyncio.sleep(0.0005)
        processor.set_stm(["x", "y"])
        assert processor.learn() == ["x", "y"]
        return processor.get_stm()

    async def run() -> tuple:
        processor = Repaired()
        processor.set_stm(["a0"])
        one = asyncio.create_task(session(processor, "a", 3))
        return await asyncio.gather(one, asyncio.create_task(learner(processor)))

    (stm, _), left = asyncio.run(run())
    assert stm == ["a0", "a1", "a2"] and left == []


class Searcher:
    def __init__(self, stored: int) -> None:
        self.stored, self.patterns_count, self.patterns_cache = stored, 0, {}
        self.asked: list = []

    def getPatterns(self) -> None:
        self.patterns_cache = {str(number): [] for number in range(self.stored)}
        self.patterns_count = self.stored

    async def getPatternsAsync(self, session_id: Any = None, limit: int = 1000) -> None:
        self.asked.append(limit)

    def assignNewlyLearnedToWorkers(self, index: int, name: str, symbols: list) -> None:
        self.patterns_count += 1
        self.patterns_cache[name] = symbols


def test_all_patterns_are_loaded() -> None:
    searcher = Searcher(0)
    load = awaited.load_all(Searcher.getPatternsAsync)
    asyncio.run(load(searcher))
    asyncio.run(load(searcher, limit=7))
    assert searcher.asked == [0, 7]


@pytest.mark.parametrize("name", ["new", "3"])
def test_a_learn_first_loads_what_is_there(name) -> None:
    searcher = Searcher(5)
    assign = kato_v21.load_before_learning(Searcher.assignNewlyLearnedToWorkers)
    assign(searcher, 0, name, ["a"])
    assert searcher.patterns_count == len(searcher.patterns_cache) == (6 if name == "new" else 5)


def test_generations_are_told_apart_by_what_they_hold() -> None:
    common = {"kato.services.kato_fastapi", "kato.searches.pattern_search"}
    m = common | {"kato.searches.bloom_filter"}
    v21 = common | {"kato.api.endpoints", "kato.api.endpoints.kato_ops"}
    assert generations.recognise(m.__contains__) is kato_m
    assert generations.recognise(v21.__contains__) is kato_v21
    assert generations.recognise((v21 | {"kato.filters"}).__contains__) is None
    assert generations.recognise(set().__contains__) is None
