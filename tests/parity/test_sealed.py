"""More than 65,536 patterns, so that the C engine has a sealed block beside the open one: on one thread and on two it
answers as the twin does, also where patterns of both were forgotten, learned again, put and learned with emotives."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from kato_fast import native
from tests.conftest import SEED
from tests.parity.sides import both_engines, outcome, view

PATTERNS = 66_000
SEALED = 65_536
#: Patterns of up to 90 symbols, so that long states have matches; the others have 2 to 6, which the twin can bear.
LONG = 300
SIZES = (2, 5, 20, 64, 65, 100)
JOY, FEAR = ({"joy": 0.5, "fear": -1},), ({"fear": 3}, {"fear": 4, "joy": 1e-3})


def symbol(rng: random.Random) -> str:
    """One of 400, few of them often."""
    return f"s{int(rng.random() ** 3 * 400)}"


def events_of(rng: random.Random, flat: list[str]) -> list[list[str]]:
    events = []
    while flat:
        size = rng.choice((1, 1, 2, 3))
        events.append(flat[:size])
        flat = flat[size:]
    return events


def sequence(rng: random.Random, number: int) -> list[list[str]]:
    """Each number another one, for its first symbols."""
    n = rng.randint(10, 90) if number % (PATTERNS // LONG) == 0 else rng.randint(0, 4)
    start = [f"s{number % 400}", f"t{number // 400}"]
    return events_of(rng, [*start, *(symbol(rng) for _ in range(n))])


class Sides:
    """The same calls on the twin and on C with one thread and with two."""

    def __init__(self, indexed: bool) -> None:
        c, twin = both_engines()
        self.twin = twin.Knowledge(indexed=indexed)
        self.c = [c.Knowledge(indexed=indexed, threads=threads) for threads in (1, 2)]

    def call(self, method: str, *arguments: Any) -> tuple:
        expected = outcome(getattr(self.twin, method), *arguments)
        for knowledge in self.c:
            given = outcome(getattr(knowledge, method), *arguments)
            assert given == expected, f"seed {SEED}: {method}{arguments!r}"[:5000]
        return expected

    def compare_contents(self, rng: random.Random) -> None:
        names = self.twin.names()
        for method in ("names", "totals", "__len__"):
            self.call(method)
        for knowledge in self.c:
            assert knowledge.symbols() == self.twin.symbols()
        for name in (*rng.sample(names, 300), names[0], names[-1]):
            self.call("pattern", name)


def change(rng: random.Random, sides: Sides, patterns: list[list[list[str]]]) -> None:
    """Forget, learn again, put, learn with emotives: in the sealed block, most of it, and in the open one."""
    edges = [0, SEALED - 1, SEALED, PATTERNS - 1]
    numbers = edges + rng.sample(sorted(set(range(PATTERNS)) - set(edges)), 496)
    for number in numbers[:250]:
        assert sides.call("forget", sides.twin.name(patterns[number])) == ("gave", "True")
        assert sides.call("forget", sides.twin.name(patterns[number])) == ("gave", "False")
    for number in numbers[200:300]:  # some of them are new again
        sides.call("learn", patterns[number], rng.choice((None, JOY, FEAR)))
    sides.call("learn_many", [(patterns[number], rng.choice((None, JOY))) for number in numbers[280:350]])
    for number in numbers[350:400]:
        sides.call("put", patterns[number], rng.choice((1, 7, 2**32 - 1, 2**32, 2**33)), rng.choice((None, FEAR)))
    for number in numbers[390:420]:
        sides.call("learn", patterns[number], None)


@pytest.fixture(scope="module", params=[False, True], ids=["full", "indexed"])
def known(request: pytest.FixtureRequest) -> SimpleNamespace:
    rng = random.Random(SEED ^ 5 ^ request.param)
    sides = Sides(indexed=request.param)
    patterns = [sequence(rng, number) for number in range(PATTERNS)]
    for first in range(0, PATTERNS, 11_000):
        items = [(events, None) for events in patterns[first : first + 11_000]]
        learned = sides.twin.learn_many(items)
        assert all(is_new for _, is_new in learned)
        for knowledge in sides.c:
            assert knowledge.learn_many(items) == learned
    change(rng, sides, patterns)
    return SimpleNamespace(rng=rng, sides=sides, patterns=patterns, indexed=request.param)


def flat(events: list[list[str]]) -> list[str]:
    return [one for event in events for one in event]


def state(known: SimpleNamespace, m: int) -> tuple[list[str], list[str]]:
    """Pieces of patterns with faults, and the pattern the first is of."""
    rng = known.rng
    target = rng.choice(known.patterns[:: PATTERNS // LONG] if m > 9 else known.patterns)
    out: list[str] = flat(target)[: max(2, m // 2)]
    while len(out) < m:
        piece = flat(rng.choice(known.patterns))
        start = rng.randrange(len(piece))
        out += piece[start : start + rng.randint(1, 8)]
    for place in range(max(2, m // 2), m):
        if rng.random() < 0.2:
            out[place] = rng.choice((symbol(rng), "unknown", "s0"))
    return out[:m], flat(target)


def compare(known: SimpleNamespace, asked: list[str], threshold: float) -> None:
    """The state flat, and in events."""
    known.sides.call("predict", asked, threshold, 15)
    known.sides.call("match", events_of(known.rng, asked), threshold)


def test_contents(known: SimpleNamespace) -> None:
    known.sides.compare_contents(known.rng)


@pytest.mark.parametrize("m", SIZES)
def test_states(known: SimpleNamespace, m: int) -> None:
    """A low threshold, and the very ratio of one pattern, which passes, while the next number is too much."""
    asked, target = state(known, m)
    tie = native.load("python").ratio(target, asked)
    compare(known, asked, 0.1)
    compare(known, state(known, m)[0], 0.5)
    compare(known, asked, tie)
    at, above = (known.sides.c[1].match(asked, threshold) for threshold in (tie, tie * (1 + 2**-52)))
    assert len(above) == len(at) - at.ratios.count(tie)
    known.sides.call("match", asked, tie * (1 + 2**-52))


def test_everything_matches(known: SimpleNamespace) -> None:
    """Or all that the index finds; once for a state of few symbols, once for one of more than 64."""
    asked, _ = state(known, 70 if known.indexed else 5)
    compare(known, asked, 0.0)
    matched = len(known.sides.c[0].match(asked, 0.0))
    assert matched > 0 if known.indexed else matched == len(known.sides.twin)


@pytest.mark.parametrize("m", (4, 30))
def test_forgotten_matches(known: SimpleNamespace, m: int) -> None:
    """What was forgotten leaves no trace in the figures of others."""
    for _ in range(3):
        asked, target = state(known, m)
        tie = native.load("python").ratio(target, asked)
        match = known.sides.twin.match(asked, tie)
        for name in list(match.names)[::2]:
            assert known.sides.call("forget", name) == ("gave", "True")
        compare(known, asked, min(tie, 0.3))


def test_contents_at_the_end(known: SimpleNamespace) -> None:
    known.sides.compare_contents(known.rng)


def test_many_states(known: SimpleNamespace) -> None:
    """As many as two groups of the engine, equal ones among them: as one by one, whatever the number of threads."""
    states = [state(known, known.rng.choice(SIZES))[0] for _ in range(40)]
    states += [states[3], events_of(known.rng, states[4]), [], ["s0"], tuple(states[5])]
    for knowledge in known.sides.c:
        answers = knowledge.predict_many(states, 0.3, 7)
        assert len(answers) == len(states)
        assert answers[3] is answers[40] and answers[4] is answers[41] and answers[5] is answers[44]
        for asked, answer in zip(states, answers):
            assert view(answer) == view(knowledge.predict(asked, 0.3, 7)), f"seed {SEED}"
    twins = known.sides.twin.predict_many([states[0], states[1], states[0]], 0.3, 7)
    assert twins[2] is twins[0]
    assert [view(answer) for answer in twins] == [view(answers[i]) for i in (0, 1, 0)], f"seed {SEED}"
