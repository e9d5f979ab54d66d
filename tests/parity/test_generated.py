"""Made-up cases through C and the twin: every answer, digit, byte, document and exception is the same.

A case is one question. KATO_FAST_CASES sets how many there are; the seed is printed in the header and, with the calls
that lead to it, where a case fails.
"""

from __future__ import annotations

import os
import random
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.parity import generate
from tests.parity.sides import Sides, both_engines, outcome, view

CASES = int(os.environ.get("KATO_FAST_CASES", "2000"))
#: Hypothesis looks for small cases, which takes it longer; the others are plain random numbers.
HYPOTHESIS_CASES = max(1, CASES // 4)
QUESTIONS = 8


class Story:
    """Two knowledges that learn and forget the same, and the sequences they were given."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.alphabet = rng.choice(generate.ALPHABETS)
        self.sides = Sides(rng.random() < 0.4, rng.choice(("2025-09", "2025-09", "2.1")))
        self.sequences: list[list[list[str]]] = []

    def sequence(self) -> list[list[str]]:
        """A new one, a known one again, or one like it."""
        rng = self.rng
        if self.sequences and rng.random() < 0.3:
            return rng.choice(self.sequences)
        if self.sequences and rng.random() < 0.3:
            flat = generate.edited(rng, self.flat(rng.choice(self.sequences)), self.alphabet)
        else:
            flat = generate.symbols(rng, self.alphabet, generate.length(rng))
        made = generate.events(rng, flat)
        if made:
            self.sequences.append(made)
        return made

    @staticmethod
    def flat(events: list[list[str]]) -> list[str]:
        return [symbol for event in events for symbol in event]

    def item(self) -> tuple[Any, Any]:
        return self.sequence(), generate.emotives(self.rng)

    def step(self) -> None:
        """One change."""
        rng, call = self.rng, self.sides.call
        kind = rng.random()
        if kind < 0.6:
            call("learn", *self.item())
        elif kind < 0.75:
            call("learn_many", [self.item() for _ in range(rng.randint(0, 4))])
        elif kind < 0.88:
            events, emotives = self.item()
            call("put", events, rng.choice([1, 2, 7, 10**6]), emotives)
        elif kind < 0.99:
            call("forget", rng.choice([*self.sides.names(), "0" * 40, "no name", "\ud800"]))
        else:
            call("clear")

    def ask(self) -> None:
        """One question, asked of predict and of match."""
        rng = self.rng
        known = [self.flat(events) for events in self.sequences]
        state = generate.state(rng, self.alphabet, known)
        n = len(rng.choice(known)) if known else 1
        m = len(self.flat(state)) if state and isinstance(state[0], list) else len(state)
        threshold = generate.threshold(rng, n, m)
        self.sides.call("predict", state, threshold, generate.max_predictions(rng))
        self.sides.call("match", state, threshold)
        if rng.random() < 0.2:
            again = (
                [state, generate.events(rng, list(self.flat(state) if isinstance(state[0], list) else state)), state]
                if state
                else [state]
            )
            self.ask_many(again, threshold)

    def ask_many(self, states: list, threshold: float) -> None:
        """The same symbols, with other events: answers of 2.1 differ."""
        knowledges = self.sides.knowledge
        c, twin = ([view(one) for one in each.predict_many(states, threshold, 20)] for each in knowledges)
        assert c == twin, states


def spoil_one(rng: random.Random, arguments: list) -> list:
    at = rng.randrange(len(arguments))
    arguments[at] = generate.spoiled(rng, arguments[at])
    return arguments


def ask_badly(story: Story) -> None:
    """One call with an argument that is, most likely, malformed."""
    rng = story.rng
    events, emotives = story.item()
    state = generate.state(rng, story.alphabet, [story.flat(known) for known in story.sequences])
    calls = [
        ("learn", [events, emotives]),
        ("learn_many", [[story.item(), (events, emotives), story.item()]]),
        ("put", [events, 3, emotives]),
        ("name", [events]),
        ("predict", [state, 0.1, 5]),
        ("match", [state, 0.1]),
        ("pattern", ["0" * 40]),
        ("forget", ["0" * 40]),
    ]
    method, arguments = rng.choice(calls)
    story.sides.call(method, *spoil_one(rng, arguments))


def run_story(rng: random.Random, questions: int) -> None:
    story = Story(rng)
    for _ in range(rng.randint(1, 10)):
        story.step()
    for _ in range(questions):
        if rng.random() < 0.3:
            story.step()
        if rng.random() < 0.1:
            ask_badly(story)
        story.ask()
    story.sides.compare_contents()


def test_random_cases(rng: random.Random) -> None:
    for _ in range((CASES - HYPOTHESIS_CASES + QUESTIONS - 1) // QUESTIONS):
        run_story(rng, QUESTIONS)


def test_malformed_input(rng: random.Random) -> None:
    """Exceptions alike, and nothing half done."""
    for _ in range(max(1, CASES // 20)):
        story = Story(rng)
        for _ in range(3):
            story.step()
        for _ in range(20):
            ask_badly(story)
        story.sides.compare_contents()
        story.ask()


def test_malformed_pairs(rng: random.Random) -> None:
    """The same for the module's functions."""
    c, twin = both_engines()
    for _ in range(max(1, CASES // 4)):
        a, b = (generate.symbols(rng, generate.ODD_TEXTS, rng.randint(0, 8)) for _ in range(2))
        name, arguments = rng.choice(
            [
                ("ratio", [a, b]),
                ("ratio", [a, b, rng.choice(["lcs", "ratcliff_obershelp"])]),
                ("matching_blocks", [a, b]),
                ("pattern_name", [generate.events(rng, a)]),
            ]
        )
        if rng.random() < 0.8:
            spoil_one(rng, arguments)
        assert outcome(getattr(c, name), *arguments) == outcome(getattr(twin, name), *arguments), (name, arguments)


# ---- Hypothesis: smaller cases, and the smallest one that fails ----

texts = st.one_of(st.sampled_from("abc"), st.sampled_from(generate.ODD_TEXTS), st.text(max_size=3))
small_events = st.lists(st.lists(texts, min_size=1, max_size=3), min_size=1, max_size=6)
repeats = st.builds(lambda symbol, n, tail: [[symbol]] * n + [tail], texts, st.integers(1, 130), st.just(["a"]))
sequences = st.one_of(small_events, small_events, small_events, repeats)
flat_states = st.lists(texts, max_size=12)
states = st.one_of(flat_states, small_events, repeats)
emotive_maps = st.dictionaries(
    st.sampled_from(["joy", "fear", "é"]), st.floats(-1e9, 1e9) | st.integers(-5, 5), max_size=3
)
emotives = st.none() | st.lists(emotive_maps, max_size=3)
thresholds = st.one_of(
    st.builds(lambda k, total: 2.0 * min(k, total) / total, st.integers(0, 20), st.integers(1, 40)),
    st.floats(0.0, 1.0),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)


def run_hypothesis_case(items, relearned, forgotten, indexed, generation, state, threshold, most) -> None:
    sides = Sides(indexed, generation)
    for events, stored in items:
        sides.call("learn", events, stored)
    for i in relearned:
        sides.call("learn", items[i % len(items)][0], None)
    names = sides.names()
    if names and forgotten is not None:
        sides.call("forget", names[forgotten % len(names)])
    sides.call("predict", state, threshold, most)
    sides.call("match", state, threshold)
    sides.compare_contents()


def test_hypothesis_cases(rng: random.Random) -> None:
    both_engines()
    check = given(
        st.lists(st.tuples(sequences, emotives), min_size=1, max_size=5),
        st.lists(st.integers(0, 4), max_size=3),
        st.none() | st.integers(0, 4),
        st.booleans(),
        st.sampled_from(["2025-09", "2.1"]),
        states,
        thresholds,
        st.integers(0, 3) | st.just(100),
    )(run_hypothesis_case)
    check = settings(
        max_examples=HYPOTHESIS_CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )(check)
    seed(rng.getrandbits(64))(check)()
