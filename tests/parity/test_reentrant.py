"""Numbers whose __float__ runs code while a call reads its arguments: the call goes on with what it has read."""

from __future__ import annotations

from types import ModuleType
from typing import Callable

import pytest


class Number(int):
    """A number that does something when it is asked for its value."""

    do: Callable[[], object]

    def __float__(self) -> float:
        self.do()
        return 0.25


def number(do: Callable[[], object]) -> Number:
    made = Number(7)
    made.do = do
    return made


def texts(count: int) -> list[str]:
    """Texts that nothing else holds."""
    return [f"a text of some length: {i}" for i in range(count)]


def emptying(*lists: list) -> Callable[[], object]:
    """Empties the lists, then writes over the memory that this freed."""

    def empty() -> object:
        for given in lists:
            given.clear()
        return [f"something else entirely: {i}" for i in range(200)]

    return empty


@pytest.mark.parametrize("count", [3, 3000], ids=["with the GIL", "without the GIL"])
def test_events_that_vanish_while_emotives_are_read(engine: ModuleType, count: int) -> None:
    knowledge = engine.Knowledge()
    expected = engine.pattern_name([texts(count)])
    for call in (
        lambda events, emotives: knowledge.learn(events, emotives)[0],
        lambda events, emotives: knowledge.put(events, 5, emotives),
        lambda events, emotives: knowledge.learn_many([(events, emotives)])[0][0],
    ):
        symbols = texts(count)
        events = [symbols]
        assert call(events, [{"joy": number(emptying(events, symbols))}]) == expected
        assert knowledge.pattern(expected)["pattern_data"] == [texts(count)]
        assert knowledge.pattern(expected)["emotives"] == [{"joy": 0.25}]


def test_items_that_vanish_while_emotives_are_read(engine: ModuleType) -> None:
    knowledge = engine.Knowledge()
    symbols = texts(3)
    items: list = [([symbols], None), ([["a", "b"]], None), ([["c", "d"]], None)]
    items[1] = ([["a", "b"]], [{"joy": number(emptying(items, symbols))}])
    assert [name for name, _ in knowledge.learn_many(items)] == [
        engine.pattern_name(events) for events in ([texts(3)], [["a", "b"]], [["c", "d"]])
    ]


@pytest.mark.parametrize("count", [3, 5000], ids=["with the GIL", "without the GIL"])
def test_state_that_vanishes_while_the_threshold_is_read(engine: ModuleType, count: int) -> None:
    knowledge = engine.Knowledge()
    name, _ = knowledge.learn([texts(count)])
    state = texts(count)
    predictions = knowledge.predict(state, number(emptying(state)), 5)
    assert [prediction["matches"] for prediction in predictions] == [texts(count)]
    state = texts(count)
    assert knowledge.match(state, number(emptying(state))).names == [name]


def test_a_call_inside_a_call(engine: ModuleType) -> None:
    """The knowledge is not locked while arguments are read."""
    knowledge = engine.Knowledge()
    knowledge.learn([["a", "b"]])
    inner = number(lambda: (knowledge.learn([["c", "d"]]), knowledge.forget(knowledge.name([["a", "b"]]))))
    assert knowledge.match(["a", "b"], inner).names == []
    outer = number(lambda: knowledge.clear())
    assert knowledge.learn([["e", "f"]], [{"joy": outer}])[1]
    assert len(knowledge) == 1


class Loud(float):
    """A float that converts to another number."""

    def __float__(self) -> float:
        return 0.5


def test_subclasses_of_float_count_as_what_float_makes_of_them(engine: ModuleType) -> None:
    knowledge = engine.Knowledge()
    name, _ = knowledge.learn([["a"], ["b"]], [{"joy": Loud(3.0)}])
    assert knowledge.pattern(name)["emotives"] == [{"joy": 0.5}]
    assert len(knowledge.match(["a", "x"], Loud(0.75))) == 1


def test_an_error_of_the_number_comes_through(engine: ModuleType) -> None:
    knowledge = engine.Knowledge()
    with pytest.raises(ZeroDivisionError):
        knowledge.match(["a", "b"], number(lambda: 1 / 0))
    with pytest.raises(ZeroDivisionError):
        knowledge.learn([["a", "b"]], [{"joy": number(lambda: 1 / 0)}])
    assert len(knowledge) == 0
