"""Learning, putting and forgetting against a recount; what is returned is the caller's own."""

from __future__ import annotations

import copy
import gc
import json
import random
import threading
from collections import Counter
from collections.abc import Sequence
from types import ModuleType

import pytest

ABC, ABD, XYZ = [["a"], ["b"], ["c"]], [["a"], ["b"], ["d"]], [["x", "y"], ["z"]]


def recount(knowledge) -> tuple[dict, dict]:
    """symbols() and totals() as the patterns and their frequencies alone give them."""
    occurrences, members, symbols_total = Counter(), Counter(), 0
    patterns = [knowledge.pattern(name) for name in knowledge.names()]
    for pattern in patterns:
        flat = [symbol for event in pattern["pattern_data"] for symbol in event]
        assert pattern["length"] == len(flat)
        symbols_total += pattern["frequency"] * len(flat)
        for symbol, count in Counter(flat).items():
            occurrences[symbol] += pattern["frequency"] * count
            members[symbol] += pattern["frequency"]
    symbols = {s: {"frequency": occurrences[s], "pattern_member_frequency": members[s]} for s in members}
    totals = {
        "total_pattern_frequencies": sum(pattern["frequency"] for pattern in patterns),
        "total_symbol_frequencies": symbols_total,
        "total_symbols_in_patterns_frequencies": sum(members.values()),
    }
    return symbols, totals


def random_events(rng: random.Random) -> list[list[str]]:
    """Few symbols, so that patterns come again."""
    return [[rng.choice("abc") for _ in range(rng.randint(1, 2))] for _ in range(rng.randint(1, 3))]


@pytest.mark.parametrize("indexed", [False, True])
def test_counters_equal_a_recount(engine: ModuleType, rng: random.Random, indexed: bool) -> None:
    knowledge = engine.Knowledge(indexed=indexed)
    order: dict[str, None] = {}
    for _ in range(600):
        step(knowledge, rng, order)
        symbols, totals = recount(knowledge)
        assert knowledge.symbols() == symbols
        assert knowledge.totals() == totals
        assert knowledge.names() == list(order)
        assert len(knowledge) == len(order)


def step(knowledge, rng: random.Random, order: dict) -> None:
    events = random_events(rng)
    name = knowledge.name(events)
    action = rng.choices(("learn", "learn_many", "put", "forget", "clear"), (30, 10, 10, 20, 1))[0]
    if action == "learn":
        expected = None if name is None else (name, name not in order)
        assert knowledge.learn(events) == expected
        if name:
            order.setdefault(name)
    elif action == "learn_many":
        assert len(knowledge.learn_many([(events, None), (events, None)])) == 2
        if name:
            order.setdefault(name)
    elif action == "put" and name:
        assert knowledge.put(events, rng.randint(1, 5)) == name
        order.setdefault(name)
    elif action == "forget":
        name = rng.choice(list(order)) if order and rng.random() < 0.8 else name or "0" * 40
        assert knowledge.forget(name) == (name in order)
        order.pop(name, None)
    elif action == "clear":
        knowledge.clear()
        order.clear()


def test_forgetting_is_as_if_never_learned(engine: ModuleType, rng: random.Random) -> None:
    """The answers too, through the lossy index as well."""
    for indexed in (False, True):
        with_more, without = engine.Knowledge(indexed=indexed), engine.Knowledge(indexed=indexed)
        for _ in range(20):
            events = random_events(rng)
            without.learn(events)
            with_more.learn([["a"] * 30, ["q"]])
            with_more.learn(events)
            with_more.forget(with_more.name([["a"] * 30, ["q"]]))
        for _ in range(50):
            state = [rng.choice("abcq") for _ in range(rng.randint(2, 12))]
            assert with_more.predict(state, 0.0, 100).to_list() == without.predict(state, 0.0, 100).to_list()


def test_a_forgotten_pattern_no_longer_fills_the_lossy_index(engine: ModuleType) -> None:
    """A short pattern hides a long one from the index, by the host's defect, for as long as it is known."""
    knowledge = engine.Knowledge(indexed=True)
    name, _ = knowledge.learn([[f"w{i:02}"] for i in range(25)])
    state = ["w03", "w04", "w05"]
    assert knowledge.match(state, 0.1).names == [name]
    short, _ = knowledge.learn([["p"], ["q"]])
    assert knowledge.match(state, 0.1).names == []
    knowledge.forget(short)
    assert knowledge.match(state, 0.1).names == [name]
    knowledge.learn([["p"], ["q"]])
    knowledge.clear()
    knowledge.learn([[f"w{i:02}"] for i in range(25)])
    assert knowledge.match(state, 0.1).names == [name]


def test_put_is_absolute(engine: ModuleType) -> None:
    put, learned = engine.Knowledge(), engine.Knowledge()
    put.put(XYZ, 9, [{"joy": 1.0}])
    put.put(ABC, 2)
    put.put(XYZ, 3)
    for events in (XYZ, ABC, XYZ, ABC, XYZ):
        learned.learn(events)
    assert put.names() == learned.names()
    assert put.symbols() == learned.symbols()
    assert put.totals() == learned.totals()
    assert put.pattern(put.name(XYZ)) == learned.pattern(learned.name(XYZ))
    assert put.predict(["x", "z"], 0.0, 10).to_list() == learned.predict(["x", "z"], 0.0, 10).to_list()


def test_orders(engine: ModuleType) -> None:
    knowledge = engine.Knowledge()
    first, second = knowledge.learn(ABC)[0], knowledge.learn(ABD)[0]
    knowledge.learn(ABC)
    assert knowledge.names() == [first, second]
    assert set(knowledge.symbols()) == {"a", "b", "c", "d"}
    assert knowledge.forget(first)
    assert set(knowledge.symbols()) == {"a", "b", "d"}
    assert knowledge.learn(ABC) == (first, True)
    assert knowledge.names() == [second, first]
    assert set(knowledge.symbols()) == {"a", "b", "c", "d"}
    assert knowledge.match(["a", "b"], 0.1).names == [second, first]


def test_key_orders(engine: ModuleType) -> None:
    knowledge = engine.Knowledge()
    name, _ = knowledge.learn(ABC)
    assert list(knowledge.pattern(name)) == ["name", "frequency", "length", "pattern_data", "emotives"]
    assert list(knowledge.symbols()["a"]) == ["frequency", "pattern_member_frequency"]
    assert list(knowledge.totals()) == [
        "total_pattern_frequencies",
        "total_symbol_frequencies",
        "total_symbols_in_patterns_frequencies",
    ]


def test_emotives(engine: ModuleType) -> None:
    knowledge = engine.Knowledge()
    name, _ = knowledge.learn(ABC)
    assert knowledge.pattern(name)["emotives"] == {}
    knowledge.learn(ABC, [{"joy": 1}, {"fear": 0.25, "joy": 0.5}, {}])
    knowledge.learn(ABC)
    assert json.dumps(knowledge.pattern(name)["emotives"]) == '[{"joy": 1.0}, {"fear": 0.25, "joy": 0.5}, {}]'
    assert json.dumps(knowledge.predict(["a", "b"], 0.1, 1)[0]["emotives"]) == '{"joy": 0.75, "fear": 0.25}'
    knowledge.put(ABC, 1)
    assert knowledge.pattern(name)["emotives"] == {}


def test_symbols_that_were_met_belong_to_what_is_there_now(engine: ModuleType) -> None:
    """Of thousands of symbols C remembers the last ones: not beyond a clear, and a symbol is its whole text."""
    knowledge = engine.Knowledge()
    texts = [f"symbol {k}" for k in range(6000)]
    knowledge.learn_many([([[text] for text in texts[at : at + 50]], None) for at in range(0, len(texts), 50)])
    for at in range(0, 4000, 40):
        knowledge.learn([[text] for text in texts[at : at + 20]])
    assert (knowledge.symbols(), knowledge.totals()) == recount(knowledge)
    knowledge.clear()
    for events in (
        [["b"], [""], ["b\0"]],
        [["b\0\0"], [texts[7]], [texts[3999]]],
        [[texts[3999]], ["a" * 16], ["a" * 17]],
    ):
        name, _ = knowledge.learn(events)
        assert knowledge.pattern(name)["pattern_data"] == events
    assert (knowledge.symbols(), knowledge.totals()) == recount(knowledge)
    assert list(knowledge.symbols()) == ["b", "", "b\0", "b\0\0", texts[7], texts[3999], "a" * 16, "a" * 17]


def test_what_was_given_and_returned_is_a_copy(engine: ModuleType) -> None:
    knowledge = engine.Knowledge()
    events, emotives = [["a"], ["b"]], [{"joy": 1.0}]
    name, _ = knowledge.learn(events, emotives)
    predictions = knowledge.predict(["a", "x"], 0.1, 10)
    expected = copy.deepcopy((predictions.to_list(), predictions.future_potentials, knowledge.pattern(name)))
    events[0].append("c")
    emotives[0]["joy"] = 5.0
    for spoiled in (predictions[0], predictions.to_list()[0], next(iter(predictions))):
        spoil(spoiled)
    spoil(predictions.future_potentials[0])
    spoil(knowledge.pattern(name))
    for returned in (knowledge.symbols(), knowledge.names(), knowledge.totals()):
        returned.clear()
    assert (predictions.to_list(), predictions.future_potentials, knowledge.pattern(name)) == expected
    assert len(knowledge.symbols()) == 2


def spoil(item: dict) -> None:
    for value in item.values():
        if isinstance(value, list):
            for inner in value:
                if isinstance(inner, (list, dict)):
                    inner.clear()
            value.clear()
        elif isinstance(value, dict):
            value["spoiled"] = 1
    item.clear()


def test_predictions_do_not_change_with_later_learning(engine: ModuleType) -> None:
    knowledge = engine.Knowledge()
    knowledge.learn(ABC, [{"joy": 1.0}])
    predictions = knowledge.predict(["a", "b"], 0.1, 10)
    before = predictions.to_list(), predictions.to_json()
    knowledge.learn(ABC, [{"joy": 5.0}])
    knowledge.learn(ABD)
    knowledge.clear()
    del knowledge
    gc.collect()
    assert (predictions.to_list(), predictions.to_json()) == before


def test_predictions_are_a_sequence(engine: ModuleType) -> None:
    knowledge = engine.Knowledge()
    for events in (ABC, ABD, [["a"], ["b"]]):
        knowledge.learn(events)
    predictions = knowledge.predict(["a", "b"], 0.1, 2)
    both = predictions.to_list()
    assert isinstance(predictions, Sequence)
    assert (len(predictions), predictions.matched) == (2, 3)
    assert predictions[-1] == both[1]
    assert type(predictions[:1]) is list
    assert predictions[::-1] == both[::-1]
    assert list(reversed(predictions)) == both[::-1]
    assert predictions.index(both[1]) == 1
    assert both[0] in predictions
    assert len(repr(predictions)) < 80
    for wrong in (2, -3):
        with pytest.raises(IndexError):
            predictions[wrong]
    with pytest.raises(TypeError):
        predictions["0"]
    with pytest.raises(AttributeError):
        predictions.matched = 5
    with pytest.raises(TypeError):
        predictions[0] = {}


def test_json_with_pattern_names(engine: ModuleType) -> None:
    knowledge = engine.Knowledge()
    knowledge.learn([['q"\\', "日本", "\0\n"], ["😀"]])
    predictions = knowledge.predict([["日本"], ["😀"]], 0.1, 5)
    expected = predictions.to_list()
    for prediction in expected:
        prediction["pattern_name"] = "PTRN|" + prediction["name"]
    compact = json.dumps(expected, ensure_ascii=False, separators=(",", ":")).encode()
    assert predictions.to_json(pattern_names=True) == compact
    assert list(json.loads(predictions.to_json(pattern_names=True))[0])[-1] == "pattern_name"


def test_texts_of_any_size_after_each_other(engine: ModuleType) -> None:
    """C makes room for what the last predictions took: for too little, too much, and nothing."""
    knowledge = engine.Knowledge()
    sizes = (1, 5_000, 10, 300, 1, 1_000)
    for size in sizes:
        knowledge.learn([[f"{size} {'x' * size}"], ["b"]])
    for size in (*sizes, *sizes):
        predictions = knowledge.predict([f"{size} {'x' * size}", "none"], 0.3, 1)
        assert len(predictions) == 1
        compact = json.dumps(predictions.to_list(), ensure_ascii=False, separators=(",", ":")).encode()
        assert predictions.to_json() == compact
        assert predictions.answer_json(predictions, b"}").startswith(b'{"predictions":' + compact)
    whole = knowledge.predict(["b", "none"], 0.0, 100)
    assert whole.to_json() == json.dumps(whole.to_list(), ensure_ascii=False, separators=(",", ":")).encode()


def test_an_answer_is_its_parts(engine: ModuleType, rng: random.Random) -> None:
    knowledge = engine.Knowledge()
    for _ in range(20):
        knowledge.learn(random_events(rng))
    first, then = knowledge.predict(["a", "b"], 0.0, 100), knowledge.predict(["c", "d"], 0.0, 5)
    for named in (False, True):
        parts = first.to_json(pattern_names=named), then.future_potentials_json()
        expected = b'{"predictions":%b,"future_potentials":%b,"count":3}' % parts
        assert first.answer_json(then, b',"count":3}', pattern_names=named) == expected
    for wrong in ((), (then,), (None, b"}"), (then, "}"), (then, b"}", True)):
        with pytest.raises(TypeError):
            first.answer_json(*wrong)
    with pytest.raises(TypeError, match="unexpected keyword"):
        first.answer_json(then, b"}", names=True)


def test_cbor_is_that_of_cbor2(engine: ModuleType, rng: random.Random) -> None:
    cbor2 = pytest.importorskip("cbor2", reason="cbor2 is not installed")
    knowledge = engine.Knowledge()
    for _ in range(40):
        knowledge.learn(random_events(rng), [{"joy": rng.random()}])
    knowledge.put([["日本" * 200], ["😀"] * 30, ["a"]], 70_000)
    predictions = knowledge.predict(["a", "b", "😀"], 0.0, 100)
    assert len(predictions) > 10
    assert predictions.to_cbor() == cbor2.dumps(predictions.to_list())
    named = [{**prediction, "pattern_name": "PTRN|" + prediction["name"]} for prediction in predictions]
    assert predictions.to_cbor(pattern_names=True) == cbor2.dumps(named)
    assert predictions.future_potentials_cbor() == cbor2.dumps(predictions.future_potentials)
    assert knowledge.predict(["a"], 0.0, 100).to_cbor() == b"\x80"


def test_nothing_found(engine: ModuleType) -> None:
    knowledge = engine.Knowledge()
    knowledge.learn(ABC)
    for state in ([], ["a"], [["a"]], ["u", "v"]):
        predictions = knowledge.predict(state, 0.1, 10)
        assert (predictions.to_list(), predictions.future_potentials, predictions.matched) == ([], [], 0)
        assert (predictions.to_json(), predictions.future_potentials_json()) == (b"[]", b"[]")
        assert (knowledge.match(state, 0.1).names, knowledge.match(state, 0.1).ratios) == ([], [])


def test_thresholds_beyond_the_range(engine: ModuleType) -> None:
    knowledge = engine.Knowledge()
    knowledge.learn(ABC)
    knowledge.learn(XYZ)
    for threshold, count in ((-1.0, 1), (0.0, 2), (-0.0, 2), (False, 2), (5e-324, 1), (1.0, 0), (7, 0)):
        assert len(knowledge.predict(["a", "b"], threshold, 10)) == count, threshold
        assert len(knowledge.match(["a", "b"], threshold)) == count, threshold


def test_zero_predictions_keep_the_ensemble(engine: ModuleType) -> None:
    knowledge = engine.Knowledge()
    knowledge.learn(ABC)
    none = knowledge.predict(["a", "b"], 0.1, 0)
    assert (len(none), none.matched) == (0, 1)
    assert none.future_potentials == knowledge.predict(["a", "b"], 0.1, 1).future_potentials != []


def test_names_and_tuples(engine: ModuleType) -> None:
    knowledge = engine.Knowledge()
    assert engine.pattern_name(ABC) == "b98534b32c1d7489d4ce1a48724aa65aeecbdba9"
    assert engine.pattern_name((("a",), ["b"], ("c",))) == engine.pattern_name(ABC)
    assert knowledge.name([["a"]]) is None
    assert knowledge.learn([]) is None
    assert knowledge.learn_many([([["a"]], None), (ABC, None)]) == [None, (engine.pattern_name(ABC), True)]
    assert knowledge.match(("a", "b"), 0.1).names == knowledge.match((("a",), ("b",)), 0.1).names != []
    assert len(engine.pattern_name([])) == 40
    assert knowledge.pattern("no such name") is None
    assert knowledge.forget("no such name") is False
    assert knowledge.memory() > 0


class Text(str):
    """A str that shows another text."""

    def __str__(self) -> str:
        return "shown"

    def __repr__(self) -> str:
        return "'shown'"

    def encode(self, *args) -> bytes:
        return b"shown"


def test_subclasses_of_str_count_as_their_text(engine: ModuleType) -> None:
    knowledge = engine.Knowledge()
    name, _ = knowledge.learn([[Text("a")], ["b"], [Text("c")]])
    assert name == engine.pattern_name(ABC)
    data = knowledge.pattern(name)["pattern_data"]
    assert data == ABC and {type(symbol) for event in data for symbol in event} == {str}
    assert engine.ratio([Text("a")], ["a"]) == 1.0


def test_many_threads(engine: ModuleType) -> None:
    knowledge = engine.Knowledge(indexed=True)
    faults = []

    def work(letter: str) -> None:
        try:
            for i in range(60):
                name, _ = knowledge.learn([["s"], [letter], [str(i)]])
                assert name in knowledge.match(["s", letter, str(i)], 1.0).names
                assert knowledge.predict(["s", letter, str(i)], 0.5, 5).matched > 0
                if i % 3 == 0:
                    assert knowledge.forget(name)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "pqrs"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(knowledge) == 4 * 40
    symbols, totals = recount(knowledge)
    assert (knowledge.symbols(), knowledge.totals()) == (symbols, totals)
