"""Every rule about input, with its exact text, on both implementations and at every entry point that has it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from types import ModuleType

import pytest

from kato_fast import native

MiB = 1 << 20
GOOD = [["a"], ["b"]]

EVENTS = [
    (7, TypeError, "events must be a list of events, not int"),
    ("ab", TypeError, "events must be a list of events, not str"),
    (None, TypeError, "events must be a list of events, not NoneType"),
    ({"a": 1}, TypeError, "events must be a list of events, not dict"),
    ([["a"], "b"], TypeError, "events[1] must be a list of symbols, not str"),
    ([["a"], {"b"}], TypeError, "events[1] must be a list of symbols, not set"),
    ([["a"], []], ValueError, "events[1] must not be empty"),
    ([["a"], ()], ValueError, "events[1] must not be empty"),
    ([["a"], ["b", "c", 3]], TypeError, "events[1][2] must be a str, not int"),
    ([["a"], ["b", "c", b"d"]], TypeError, "events[1][2] must be a str, not bytes"),
    ([["a"], ["b", "c", "\ud800"]], ValueError, "events[1][2] must be valid Unicode: lone surrogate at index 0"),
    ([["a", "bé\udfff"]], ValueError, "events[0][1] must be valid Unicode: lone surrogate at index 2"),
    ([["a"], ["b", "x" * (MiB + 1)]], ValueError, "events[1][1] must have at most 1048576 bytes as UTF-8, not 1048577"),
    ([["é" * MiB]], ValueError, "events[0][0] must have at most 1048576 bytes as UTF-8, not 2097152"),
    ([["a"]] * 65_536, ValueError, "events must have at most 65535 symbols, not 65536"),
    ([["a"] * 65_536], ValueError, "events must have at most 65535 symbols, not 65536"),
    # front to back, the size last
    ([["a"], [1], "b"], TypeError, "events[1][0] must be a str, not int"),
    ([["a"] * 65_536, []], ValueError, "events[1] must not be empty"),
]

STATE = [
    (7, TypeError, "state must be a list of symbols or of events, not int"),
    ("ab", TypeError, "state must be a list of symbols or of events, not str"),
    (["a", ["b"]], TypeError, "state[1] must be a str, not list"),
    (["a", 5], TypeError, "state[1] must be a str, not int"),
    ([5, "a"], TypeError, "state[0] must be a str, not int"),
    ([["a"], "b"], TypeError, "state[1] must be a list of symbols, not str"),
    ([["a"], 5], TypeError, "state[1] must be a list of symbols, not int"),
    ([["a"], []], ValueError, "state[1] must not be empty"),
    ([[]], ValueError, "state[0] must not be empty"),
    ([["a"], ["b", None]], TypeError, "state[1][1] must be a str, not NoneType"),
    (["a", "\udc00"], ValueError, "state[1] must be valid Unicode: lone surrogate at index 0"),
    ([["a", "\udc00"]], ValueError, "state[0][1] must be valid Unicode: lone surrogate at index 0"),
    (["x" * (MiB + 1)], ValueError, "state[0] must have at most 1048576 bytes as UTF-8, not 1048577"),
    (["a"] * 65_536, ValueError, "state must have at most 65535 symbols, not 65536"),
    ([["a"]] * 65_536, ValueError, "state must have at most 65535 symbols, not 65536"),
]

THRESHOLD = [
    ("0.5", TypeError, "recall_threshold must be a number, not str"),
    (None, TypeError, "recall_threshold must be a number, not NoneType"),
    (1j, TypeError, "recall_threshold must be a number, not complex"),
    (float("nan"), ValueError, "recall_threshold must be finite, not nan"),
    (float("inf"), ValueError, "recall_threshold must be finite, not inf"),
    (float("-inf"), ValueError, "recall_threshold must be finite, not -inf"),
    (10**400, ValueError, "recall_threshold must be finite, not inf"),
    (-(10**400), ValueError, "recall_threshold must be finite, not -inf"),
]

MAX_PREDICTIONS = [
    ("5", TypeError, "max_predictions must be an int, not str"),
    (5.0, TypeError, "max_predictions must be an int, not float"),
    (True, TypeError, "max_predictions must be an int, not bool"),
    (None, TypeError, "max_predictions must be an int, not NoneType"),
    (-1, ValueError, "max_predictions must not be negative, not -1"),
]

FREQUENCY = [
    ("5", TypeError, "frequency must be an int, not str"),
    (True, TypeError, "frequency must be an int, not bool"),
    (0, ValueError, "frequency must be from 1 to 9223372036854775807, not 0"),
    (-3, ValueError, "frequency must be from 1 to 9223372036854775807, not -3"),
    (2**63, ValueError, "frequency must be from 1 to 9223372036854775807, not 9223372036854775808"),
]

EMOTIVES = [
    (5, TypeError, "emotives must be a list of maps, not int"),
    ([5], TypeError, "emotives[0] must be a map of names to numbers, not int"),
    ([{}, {5: 1.0}], TypeError, "emotives[1] must have str names, not int"),
    ([{"joy": "x"}], TypeError, "emotives[0]['joy'] must be a number, not str"),
    ([{"joy": float("nan")}], ValueError, "emotives[0]['joy'] must be finite, not nan"),
    ([{"joy": 1e308}, {"joy": 1e308}], ValueError, "emotives['joy'] must have a finite average, not inf"),
    ([{"\ud800": 1.0}], ValueError, "emotives[0] must have names of valid Unicode: lone surrogate at index 0"),
]

SEQUENCE = [
    (7, TypeError, "{} must be a list of symbols, not int"),
    ("ab", TypeError, "{} must be a list of symbols, not str"),
    (["a", 5], TypeError, "{}[1] must be a str, not int"),
    ([["a"]], TypeError, "{}[0] must be a str, not list"),
    (["a", "\ud800"], ValueError, "{}[1] must be valid Unicode: lone surrogate at index 0"),
    (["x" * (MiB + 1)], ValueError, "{}[0] must have at most 1048576 bytes as UTF-8, not 1048577"),
    (["a"] * 65_536, ValueError, "{} must have at most 65535 symbols, not 65536"),
]


def rows(table: list) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("value", "kind", "text"), table, ids=[text for _, _, text in table])


def check(kind: type, text: str, call, *arguments, **keywords) -> None:
    with pytest.raises(kind) as caught:
        call(*arguments, **keywords)
    assert caught.type is kind
    assert str(caught.value) == text


@pytest.fixture
def knowledge(engine: ModuleType):
    """One pattern known; afterwards it must be the only one, learned once."""
    knowledge = engine.Knowledge()
    knowledge.learn(GOOD)
    before = knowledge.pattern(knowledge.names()[0]), knowledge.symbols(), knowledge.totals()
    yield knowledge
    assert knowledge.names() == [before[0]["name"]]
    assert (knowledge.pattern(before[0]["name"]), knowledge.symbols(), knowledge.totals()) == before


@rows(EVENTS)
def test_events(engine: ModuleType, knowledge, value, kind, text) -> None:
    check(kind, text, engine.pattern_name, value)
    check(kind, text, knowledge.name, value)
    check(kind, text, knowledge.learn, value)
    check(kind, text, knowledge.put, value, 1)
    check(kind, text, knowledge.learn_many, [(GOOD, None), (value, None)])


@rows(STATE)
def test_state(knowledge, value, kind, text) -> None:
    check(kind, text, knowledge.predict, value, 0.1, 100)
    check(kind, text, knowledge.match, value, 0.1)


@rows(THRESHOLD)
def test_recall_threshold(knowledge, value, kind, text) -> None:
    check(kind, text, knowledge.predict, ["a"], value, 100)
    check(kind, text, knowledge.match, ["a"], value)


@pytest.mark.parametrize("value", [True, 0, 1, Fraction(1, 2), -1.5, 7, 10**300], ids=repr)
def test_any_finite_number_is_a_threshold(knowledge, value) -> None:
    assert len(knowledge.match(["a", "b"], value)) == (value <= 1)


def test_a_decimal_is_no_real_number(knowledge) -> None:
    check(TypeError, "recall_threshold must be a number, not Decimal", knowledge.match, ["a", "b"], Decimal("0.5"))


@rows(MAX_PREDICTIONS)
def test_max_predictions(knowledge, value, kind, text) -> None:
    check(kind, text, knowledge.predict, ["a", "b"], 0.1, value)


def test_predict_many_says_which_state(knowledge) -> None:
    good = ["a", "b"]
    check(TypeError, "states must be a list of states, not int", knowledge.predict_many, 7, "x", "y")
    check(TypeError, "states must be a list of states, not str", knowledge.predict_many, "ab", 0.1, 1)
    for value, kind, text in STATE:
        check(kind, f"states[2]: {text}", knowledge.predict_many, [good, [], value], 0.1, 100)
    check(TypeError, "recall_threshold must be a number, not str", knowledge.predict_many, [good], "x", "y")
    check(TypeError, "max_predictions must be an int, not str", knowledge.predict_many, (good,), 0.1, "y")
    check(TypeError, "recall_threshold must be a number, not str", knowledge.predict_many, [], "x", 1)
    many = ["s"] * 40_000
    assert [len(answer) for answer in knowledge.predict_many([many, many[1:]], 0.9, 1)] == [0, 0]
    check(
        ValueError,
        "states[1]: state must have at most 65535 symbols, not 80000",
        knowledge.predict_many,
        [many, many * 2],
        0.9,
        1,
    )


def test_max_predictions_of_any_size(knowledge) -> None:
    assert len(knowledge.predict(["a", "b"], 0.1, 10**30)) == 1


@rows(FREQUENCY)
def test_frequency(knowledge, value, kind, text) -> None:
    check(kind, text, knowledge.put, GOOD, value)


@rows(EMOTIVES)
def test_emotives(knowledge, value, kind, text) -> None:
    check(kind, text, knowledge.learn, GOOD, value)
    check(kind, text, knowledge.put, GOOD, 2, value)
    check(kind, text, knowledge.learn_many, [(GOOD, None), (GOOD, value)])


@pytest.mark.parametrize("place", ["a", "b"])
@rows(SEQUENCE)
def test_sequences(engine: ModuleType, place, value, kind, text) -> None:
    arguments = (value, ["a"]) if place == "a" else (["a"], value)
    check(kind, text.format(place), engine.ratio, *arguments)
    check(kind, text.format(place), engine.ratio, *arguments, "lcs")
    check(kind, text.format(place), engine.matching_blocks, *arguments)


def test_method(engine: ModuleType) -> None:
    check(ValueError, "method must be one of ratcliff_obershelp, lcs, not 'x'", engine.ratio, [], [], "x")
    check(TypeError, "method must be a str, not int", engine.ratio, [], [], 5)


def test_items(knowledge) -> None:
    check(TypeError, "items must be a list of (events, emotives) pairs, not int", knowledge.learn_many, 5)
    check(TypeError, "items[1] must be an (events, emotives) pair, not str", knowledge.learn_many, [(GOOD, None), "x"])
    check(ValueError, "items[0] must have 2 items, not 1", knowledge.learn_many, [(GOOD,)])


def test_name(knowledge) -> None:
    check(TypeError, "name must be a str, not int", knowledge.pattern, 5)
    check(TypeError, "name must be a str, not bytes", knowledge.forget, b"x")


def test_one_symbol_cannot_be_put(knowledge) -> None:
    check(ValueError, "events must have at least 2 symbols, not 1", knowledge.put, [["a"]], 1)
    check(ValueError, "events must have at least 2 symbols, not 0", knowledge.put, [], 1)


def test_arguments_are_checked_front_to_back(knowledge) -> None:
    check(TypeError, STATE[0][2], knowledge.predict, 7, "x", "y")
    check(TypeError, THRESHOLD[0][2], knowledge.predict, [], "x", "y")
    check(TypeError, EVENTS[0][2], knowledge.put, 7, 0, 5)
    check(TypeError, FREQUENCY[0][2], knowledge.put, GOOD, "x", 5)


def test_the_largest_sizes_are_allowed(engine: ModuleType) -> None:
    knowledge = engine.Knowledge()
    assert knowledge.learn([["x" * MiB], ["é" * (MiB // 2)]])[1]
    assert knowledge.learn([["a"] * 65_535])[1]
    assert len(knowledge.match(["a"] * 2, 0.9)) == 0


def test_totals_stay_exact_as_doubles(engine: ModuleType) -> None:
    text = "frequency must keep every total at most 9007199254740991"
    knowledge = engine.Knowledge()
    check(ValueError, text, knowledge.put, GOOD, 2**52)
    assert len(knowledge) == 0
    knowledge.put(GOOD, 2**52 - 2)
    knowledge.put(GOOD, 2**52 - 3)
    knowledge.put(GOOD, 2**52 - 2)
    check(ValueError, text, knowledge.learn_many, [(GOOD, None), (GOOD, None)])
    assert knowledge.learn(GOOD)[1] is False
    check(ValueError, text, knowledge.learn, GOOD)
    check(ValueError, text, knowledge.learn, [["c", "d"]])
    check(ValueError, text, knowledge.put, GOOD, 2**52)
    assert knowledge.totals()["total_symbol_frequencies"] == 2**53 - 2
    assert len(knowledge) == 1
    assert knowledge.forget(knowledge.name(GOOD))
    assert set(knowledge.totals().values()) == {0}


def test_forced_implementation_that_is_unknown() -> None:
    check(ValueError, "implementation must be one of c, python, not 'rust'", native.load, "rust")


class TestCountAs:
    """A part answers as the whole does."""

    def test_the_whole_answers(self, engine: ModuleType) -> None:
        whole, part = engine.Knowledge(), engine.Knowledge()
        for events in ([["a", "b"], ["c"]], [["a", "d"]], [["x"], ["y", "z"]], [["a", "b"], ["c"]]):
            whole.learn(events)
        part.put([["a", "b"], ["c"]], 2)
        part.put([["a", "d"]], 1)
        members = {name: item["pattern_member_frequency"] for name, item in whole.symbols().items()}
        totals = list(whole.totals().values())
        part.count_as(members, len(members), totals[0], totals[2])
        assert part.predict(["a", "b"], 0.1, 9).to_json() == whole.predict(["a", "b"], 0.1, 9).to_json()
        with pytest.raises(ValueError, match="read-only"):
            part.learn([["a", "b"]])
        with pytest.raises(ValueError, match="read-only"):
            part.count_as({}, 0, 0, 0)

    @pytest.mark.parametrize(
        "wrong",
        [
            ([], 1, 1, 1),
            ({1: 1}, 1, 1, 1),
            ({"a": 1.0}, 1, 1, 1),
            ({"a": -1}, 1, 1, 1),
            ({"a": 2**53}, 1, 1, 1),
            ({}, -1, 1, 1),
            ({}, 2**32, 1, 1),
            ({}, 1, -1, 1),
            ({}, 1, 1, 2**53),
            ({}, 1.5, 1, 1),
        ],
        ids=str,
    )
    def test_bad_counters(self, engine: ModuleType, wrong: tuple) -> None:
        knowledge = engine.Knowledge()
        with pytest.raises((TypeError, ValueError)):
            knowledge.count_as(*wrong)
        knowledge.learn([["a", "b"]])
