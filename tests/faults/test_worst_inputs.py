"""Input made to cost much: the C engine answers, or refuses clearly, within bounded time and memory, and goes on.

Times are CPU times of this process, with bounds of several times what a slow core needs. KATO_FAST_WORST=10 makes
vocabularies and numbers of patterns ten times as large.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import contextmanager

import pytest

from tests.conftest import SEED
from tests.engines import need_c

SCALE = int(os.environ.get("KATO_FAST_WORST", "1"))
LIMIT = 65_535


@pytest.fixture
def core():
    return need_c()


@pytest.fixture
def knowledge(core):
    """Usable before and after, whatever the test did."""
    knowledge = core.Knowledge(threads=2)
    knowledge.learn([["usable"], ["before"], ["and after"]])
    yield knowledge
    answer = knowledge.predict(["usable", "before"], 0.5, 5)
    assert [one["future"] for one in answer][0] == [["and after"]]
    assert knowledge.learn([["usable"], ["again"]])[1]


@contextmanager
def seconds(most: float):
    began = time.process_time()
    yield
    spent = time.process_time() - began
    assert spent < most, f"{spent:.2f} s of CPU time, seed {SEED}"


def made_up(rng: random.Random, patterns: int, vocabulary: int) -> list:
    return [([[f"s{rng.randrange(vocabulary)}"] for _ in range(rng.randint(5, 50))], None) for _ in range(patterns)]


def single(symbols: list) -> list:
    return [[symbol] for symbol in symbols]


@pytest.mark.parametrize("threshold", [0.1, 1e-6, 0.0])
def test_longest_state(knowledge, threshold):
    rng = random.Random(SEED)
    knowledge.learn_many(made_up(rng, 20_000 * SCALE, 5_000))
    state = [f"s{rng.randrange(6_000)}" for _ in range(LIMIT)]
    with seconds(3 * SCALE):
        answer = knowledge.predict(state, threshold, 100)
    assert len(answer) == (0 if threshold == 0.1 else 100)
    with seconds(6 * SCALE):
        assert len(knowledge.predict_many([state, state[1:]], threshold, 100)) == 2


@pytest.mark.parametrize("size", [LIMIT + 1, 100_000, 2_000_000])
def test_too_long(knowledge, size):
    """States and patterns of 10**5 symbols are refused, and cost no more than to look at them once."""
    before, totals = knowledge.memory(), knowledge.totals()
    text = f" must have at most 65535 symbols, not {size}"
    flat = [f"s{i % 1000}" for i in range(size)]
    with seconds(3):
        for call, what in [
            (lambda: knowledge.predict(flat, 0.1, 5), "state"),
            (lambda: knowledge.match([flat], 0.1), "state"),
            (lambda: knowledge.predict_many([["a", "b"], flat], 0.1, 5), "states[1]: state"),
            (lambda: knowledge.learn([flat]), "events"),
            (lambda: knowledge.learn_many([([["a"], ["b"]], None), ([flat], None)]), "events"),
            (lambda: knowledge.put([flat], 1), "events"),
        ]:
            with pytest.raises(ValueError) as caught:
                call()
            assert str(caught.value) == what + text
    assert (knowledge.memory(), knowledge.totals()) == (before, totals)


def test_each_symbol_another_one(knowledge):
    """A vocabulary as large as what is learned: 10**7 with KATO_FAST_WORST=20."""
    vocabulary, n = 500_000 * SCALE, 20
    with seconds(10 * SCALE):
        for first in range(0, vocabulary, 100_000):
            symbols = [f"only once {i}" for i in range(first, first + 100_000)]
            knowledge.learn_many([(single(symbols[at : at + n]), None) for at in range(0, len(symbols), n)])
    assert len(knowledge) == 1 + vocabulary // n
    assert knowledge.memory() < 200 * vocabulary + 40e6
    rng = random.Random(SEED)
    at = rng.randrange(vocabulary // n) * n
    with seconds(2 * SCALE):
        answer = knowledge.predict([f"only once {i}" for i in range(at, at + n)], 0.9, 5)
        nothing = knowledge.predict([f"not even {i}" for i in range(n)], 0.1, 5)
    assert [one["similarity"] for one in answer] == [1.0]
    assert len(nothing) == 0


@pytest.mark.parametrize(
    "make", [lambda n: ["s"] * n, lambda n: ["a", "b"] * (n // 2), lambda n: ["a"] + ["s"] * (n - 1)]
)
def test_one_symbol_again_and_again(knowledge, core, make):
    """10**4 times: as a pattern, as a state, as both, and against 1,000 patterns of 50."""
    long = make(10_000)
    with seconds(12):
        knowledge.learn(single(long))
        knowledge.learn_many([(single(make(50)[: 10 + i % 40] + [f"t{i}"]), None) for i in range(1_000)])
        assert [one["similarity"] for one in knowledge.predict(long, 0.9, 5)] == [1.0]
        assert len(knowledge.predict(long[:60], 0.1, 2_000)) > 500
        assert core.ratio(long, long) == 1.0
        assert core.matching_blocks(long, long) == [(0, 0, 10_000)]


def test_all_patterns_equal(knowledge):
    events = [["a", "b"], ["c"]]
    before = knowledge.memory()
    with seconds(4 * SCALE):
        learned = knowledge.learn_many([(events, None)] * 200_000 * SCALE)
    assert [is_new for _, is_new in learned[:2]] == [True, False]
    assert len(knowledge) == 2
    assert knowledge.pattern(learned[0][0])["frequency"] == 200_000 * SCALE
    assert knowledge.memory() - before < 300_000  # tables of fixed size: a byte and a half for each learn


def test_patterns_that_differ_in_one_symbol(knowledge):
    """All of them match, with the same ratio, in one group of futures each."""
    count = 70_000 * SCALE
    with seconds(6 * SCALE):
        knowledge.learn_many([(single(["a", "b", "c", f"d{i}"]), None) for i in range(count)])
    with seconds(3 * SCALE):
        answer = knowledge.predict(["a", "b", "c"], 0.1, 10)
    assert answer.matched == count
    assert {one["similarity"] for one in answer} == {6 / 7}


def test_equal_futures(knowledge):
    """All of them in one group."""
    count = 70_000 * SCALE
    knowledge.learn_many([(single([f"d{i}", "a", "b", "c"]), None) for i in range(count)])
    with seconds(3 * SCALE):
        answer = knowledge.predict(["a", "b"], 0.1, 10)
        assert len(answer.future_potentials) == 1
    assert answer.matched == count


def test_longest_symbols(knowledge):
    longest = ["é" * (1 << 19), "x" * (1 << 20), "\n" * (1 << 20)]
    with seconds(3):
        name = knowledge.learn(single(longest))[0]
        assert [one["name"] for one in knowledge.predict(longest, 0.5, 5)] == [name]
    assert knowledge.forget(name)
