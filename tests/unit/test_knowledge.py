"""KnowledgeBase: every method, on both engines, in memory and on a file."""

from __future__ import annotations

import asyncio
import json
import math
import threading

import pytest

from kato_fast import EmotivesConflict, KnowledgeBase, pattern_name
from kato_fast.stores.memory import MemoryStore

ABC = [["a"], ["b"], ["c"]]
ABD = [["a"], ["b"], ["d"]]
ZERO = {
    "total_pattern_frequencies": 0,
    "total_symbol_frequencies": 0,
    "total_symbols_in_patterns_frequencies": 0,
}


@pytest.fixture(params=["memory", "file"])
def kb(request, implementation, tmp_path):
    store = None if request.param == "memory" else tmp_path / "patterns.sqlite3"
    with KnowledgeBase(store, implementation=implementation) as kb:
        yield kb
        if store:
            assert kb._store.verify() == []


def everything(kb):
    return list(kb.patterns()), kb.symbols(), kb.totals(), kb.predict(["a", "b"], recall_threshold=0.0).to_json()


# learning


def test_learning_gives_the_name_and_counts(kb):
    name = kb.learn(ABC)
    assert name == pattern_name(ABC) == "b98534b32c1d7489d4ce1a48724aa65aeecbdba9"
    assert kb.learn(ABC) == name
    assert kb.pattern(name) == {"name": name, "frequency": 2, "length": 3, "pattern_data": ABC, "emotives": {}}
    assert kb.symbols()["a"] == {"frequency": 2, "pattern_member_frequency": 2}
    assert kb.totals() == {
        "total_pattern_frequencies": 2,
        "total_symbol_frequencies": 6,
        "total_symbols_in_patterns_frequencies": 6,
    }
    assert len(kb) == 1


def test_a_symbol_twice_in_a_pattern_is_one_member(kb):
    kb.learn([["a", "a"], ["b", "a"]])
    assert kb.symbols() == {
        "a": {"frequency": 3, "pattern_member_frequency": 1},
        "b": {"frequency": 1, "pattern_member_frequency": 1},
    }


@pytest.mark.parametrize("events", [[], [["a"]], (("a",),)])
def test_below_two_symbols_nothing_is_learned(kb, events):
    assert kb.learn(events) is None
    assert kb.learn(events, [{"joy": 1.0}]) is None
    assert kb.learn_many([events, events]) == [None, None]
    assert (len(kb), kb.totals(), kb.symbols()) == (0, ZERO, {})


def test_tuples_are_as_good_as_lists(kb):
    assert kb.learn((("a", "b"), ["c"])) == pattern_name([["a", "b"], ["c"]])
    assert next(kb.patterns())["pattern_data"] == [["a", "b"], ["c"]]


def test_a_batch_is_as_one_after_the_other(kb, implementation):
    sequences = [ABC, [["a"]], ABD, ABC, [["x", "y"]]]
    names = kb.learn_many(iter(sequences))
    with KnowledgeBase(implementation=implementation) as other:
        assert names == [other.learn(events) for events in sequences]
        assert everything(kb) == everything(other)


def test_a_batch_with_emotives_is_as_one_after_the_other(kb, implementation):
    sequences = [ABC, ABD, ABC, ABC, [["a"]], ABD]
    emotives = [[{"joy": 1.0}, {"joy": 0.0}], (), [{}], [{"joy": 0.25}], [{"joy": 9.0}], ()]
    kb.learn_many(sequences, emotives=emotives)
    with KnowledgeBase(implementation=implementation) as other:
        for events, maps in zip(sequences, emotives):
            other.learn(events, maps)
        assert everything(kb) == everything(other)
        assert kb.pattern(pattern_name(ABC))["emotives"] == [{"joy": 0.5}, {"joy": 0.25}]


def test_a_batch_is_all_or_none(kb):
    kb.learn(ABC)
    before = everything(kb)
    with pytest.raises(TypeError, match=r"^sequences\[2\]: events\[1\]\[0\] must be a str, not int$"):
        kb.learn_many([ABC, ABD, [["a"], [1]]])
    with pytest.raises(ValueError, match=r"^emotives\[1\]\[0\]\['joy'\] must be finite, not nan"):
        kb.learn_many([ABD, ABD], emotives=[(), [{"joy": math.nan}]], notes={"n": "1"})
    with pytest.raises(EmotivesConflict):
        kb.learn_many([ABD, ABC], emotives=[(), {"joy": 1.0}], notes={"n": "1"})
    with pytest.raises(EmotivesConflict):  # within the batch
        kb.learn_many([ABD, ABD], emotives=[(), {"joy": 1.0}], notes={"n": "1"})
    assert everything(kb) == before
    assert kb.note("n") is None
    kb.learn_many([ABD])
    assert len(kb) == 2


def test_an_emotives_conflict_leaves_nothing_half_done(kb):
    kb.learn(ABC)
    before = everything(kb)
    with pytest.raises(EmotivesConflict):
        kb.learn(ABC, [{"joy": 1.0}])
    assert everything(kb) == before
    kb.learn(ABC, [{}])  # none at all: fine
    assert kb.pattern(pattern_name(ABC))["frequency"] == 2


def test_emotives_roll(implementation):
    """The host's worked example H33."""
    with KnowledgeBase(persistence=2, implementation=implementation) as kb:
        for joy in (1.0, 0.5, 0.25):
            name = kb.learn(ABC, [{"joy": joy}])
        assert kb.pattern(name)["emotives"] == [{"joy": 0.5}, {"joy": 0.25}]
        assert kb.predict(["a", "b"])[0]["emotives"] == {"joy": 0.375}


def test_an_average_of_zero_leaves_an_empty_map(kb):
    name = kb.learn(ABC, [{"joy": 1.0}, {"joy": -1.0}])
    assert kb.pattern(name)["emotives"] == [{}]
    kb.learn(ABC, {"joy": 3})
    assert kb.pattern(name)["emotives"] == [{}, {"joy": 3.0}]


def test_notes(kb):
    assert kb.note("job") is None
    kb.learn_many([ABC], notes={"job": "1", "other": "x"})
    kb.learn_many([], notes={"job": "2"})
    assert (kb.note("job"), kb.note("other")) == ("2", "x")
    kb.clear()
    assert kb.note("job") is None


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda kb: kb.learn("ab"), TypeError, "events must be a list of events, not str"),
        (lambda kb: kb.learn(7), TypeError, "events must be a list of events, not int"),
        (lambda kb: kb.learn([["a"], "b"]), TypeError, "events[1] must be a list of symbols, not str"),
        (lambda kb: kb.learn([["a"], []]), ValueError, "events[1] must not be empty"),
        (lambda kb: kb.learn([["a"], ["b", 7]]), TypeError, "events[1][1] must be a str, not int"),
        (lambda kb: kb.learn([["a"], ["\ud800"]]), ValueError, "must be valid Unicode: lone surrogate at index 0"),
        (lambda kb: kb.learn([["a"], ["x" * (2**20 + 1)]]), ValueError, "at most 1048576 bytes as UTF-8, not 1048577"),
        (lambda kb: kb.learn([["a"] * 65_536]), ValueError, "events must have at most 65535 symbols, not 65536"),
        (lambda kb: kb.learn(ABC, 7), TypeError, "emotives must be a list of maps, not int"),
        (lambda kb: kb.learn(ABC, [{"a.b": 1}]), ValueError, "emotives[0] must not have a name that contains '.'"),
        (lambda kb: kb.learn(ABC, metadata={"a": 1}), ValueError, "metadata must be empty"),
        (lambda kb: kb.learn_many(7), TypeError, "sequences must be iterable, not int"),
        (lambda kb: kb.learn_many("ab"), TypeError, "sequences[0]: events must be a list of events, not str"),
        (lambda kb: kb.learn_many([ABC], emotives=7), TypeError, "emotives must be iterable, not int"),
        (lambda kb: kb.learn_many([ABC], emotives=[]), ValueError, "emotives must be as many as sequences, 1, not 0"),
        (lambda kb: kb.learn_many([ABC], emotives=[0]), TypeError, "emotives[0] must be a list of maps, not int"),
        (lambda kb: kb.learn_many([ABC], notes=7), TypeError, "notes must be a map of str to str, not int"),
        (lambda kb: kb.learn_many([ABC], notes={"a": 1}), TypeError, "a text of notes must be a str, not int"),
        (
            lambda kb: kb.learn_many([ABC], notes={"a": "x" * (2**20 + 1)}),
            ValueError,
            "a text of notes must have at most 1048576",
        ),
        (lambda kb: kb.learn_many([ABC], notes={"a": "\ud800"}), ValueError, "a text of notes must be valid Unicode"),
        (lambda kb: kb.note(7), TypeError, "key must be a str, not int"),
        (lambda kb: kb.note("\ud800"), ValueError, "key must be valid Unicode"),
        (lambda kb: kb.forget(7), TypeError, "name must be a str, not int"),
        (lambda kb: kb.pattern(7), TypeError, "name must be a str, not int"),
        (lambda kb: kb.predict(7), TypeError, "state must be a list of symbols or of events, not int"),
        (lambda kb: kb.predict("ab"), TypeError, "state must be a list of symbols or of events, not str"),
        (lambda kb: kb.predict(["a", ["b"]]), TypeError, "state[1] must be a str, not list"),
        (lambda kb: kb.predict([["a"], "b"]), TypeError, "state[1] must be a list of symbols, not str"),
        (lambda kb: kb.predict([["a"], []]), ValueError, "state[1] must not be empty"),
        (lambda kb: kb.predict(["a"], recall_threshold="x"), TypeError, "recall_threshold must be a number, not str"),
        (
            lambda kb: kb.predict(["a"], recall_threshold=math.nan),
            ValueError,
            "recall_threshold must be finite, not nan",
        ),
        (lambda kb: kb.predict(["a"], max_predictions=1.5), TypeError, "max_predictions must be an int, not float"),
        (lambda kb: kb.predict(["a"], max_predictions=-1), ValueError, "max_predictions must not be negative, not -1"),
        (lambda kb: kb.match(7), TypeError, "state must be a list of symbols or of events, not int"),
        (lambda kb: kb.predict_many(7), TypeError, "states must be iterable, not int"),
        (lambda kb: kb.predict_many([["a"], 7]), TypeError, "states[1]: state must be a list of symbols or of events"),
        (lambda kb: asyncio.run(kb.predict_async(7)), TypeError, "state must be a list of symbols or of events"),
    ],
)
def test_bad_input_names_the_place_and_the_rule(kb, call, kind, text):
    kb.learn(ABC)
    before = everything(kb)
    with pytest.raises(kind) as error:
        call(kb)
    assert text in str(error.value)
    assert type(error.value) is kind
    assert everything(kb) == before


# asking


def test_predict(kb):
    kb.learn_many([ABC, ABD])
    predictions = kb.predict(["a", "b"])
    assert [p["name"] for p in predictions] == [pattern_name(ABC), pattern_name(ABD)]
    assert predictions.matched == 2
    assert predictions.to_list() == list(predictions)
    assert json.loads(predictions.to_json()) == predictions.to_list()
    assert len(kb.predict(["a", "b"], max_predictions=1)) == 1
    assert len(kb.predict(["a", "b"], recall_threshold=0.9)) == 0
    assert len(kb.predict(["a"])) == 0
    assert kb.predict([["a"], ["b"]]).to_json() == predictions.to_json()


def test_predict_many_is_predict_for_each(kb):
    kb.learn_many([ABC, ABD])
    states = [["a", "b"], [["a"], ["b"]], ["b", "c"], ["a", "b"], ("a", "b"), ["x", "y"], []]
    answers = kb.predict_many(iter(states), recall_threshold=0.2, max_predictions=1)
    alone = [kb.predict(state, recall_threshold=0.2, max_predictions=1).to_json() for state in states]
    assert [answer.to_json() for answer in answers] == alone
    assert answers[0] is answers[3]
    assert kb.predict_many([]) == []


@pytest.mark.parametrize("bad", ["ab", {"a": 1, "b": 2}, [{"a": 1}, {"b": 1}], [("a",), {"b"}], iter("ab"), ["a", 1]])
def test_predict_many_takes_no_bad_state_for_an_equal_good_one(kb, bad):
    kb.learn(ABC)
    with pytest.raises(TypeError, match=r"^states\[2\]: state"):
        kb.predict_many([["a", "b"], [["a"], ["b"]], bad])


def test_predict_async(kb, monkeypatch):
    kb.learn_many([ABC, ABD])
    expected = kb.predict(["a", "b"]).to_json()

    async def ask():
        answers = await asyncio.gather(*(kb.predict_async(["a", "b"]) for _ in range(5)))
        return [answer.to_json() for answer in answers]

    assert asyncio.run(ask()) == [expected] * 5
    monkeypatch.setattr("kato_fast.knowledge.INLINE_WORK", 0)
    assert asyncio.run(ask()) == [expected] * 5


def test_predict_async_does_not_wait_on_the_loop_for_others_changes(kb, monkeypatch):
    """What is pending is taken in on another thread, since that may need the lock of a write."""
    kb.learn(ABC)
    threads = []
    plain = KnowledgeBase.predict
    monkeypatch.setattr(kb._store, "pending", lambda: True)
    monkeypatch.setattr(
        KnowledgeBase, "predict", lambda *a, **k: threads.append(threading.current_thread()) or plain(*a, **k)
    )
    assert len(asyncio.run(kb.predict_async(["a", "b"]))) == 1
    assert threads and threads[0] is not threading.main_thread()


def test_match(kb):
    kb.learn_many([ABC, [["x"], ["y"]], ABD])
    matches = kb.match(["a", "b", "c"], recall_threshold=0.5)
    assert matches.names == [pattern_name(ABC), pattern_name(ABD)]
    assert matches.ratios == [1.0, 2 / 3]
    assert len(matches) == 2


def test_the_profile_decides_what_is_searched(implementation):
    with KnowledgeBase(profile="kato-2025-09-indexed", implementation=implementation) as kb:
        assert kb.profile.indexed
        kb.learn(ABC)
        assert len(kb.predict(["a", "b"])) == 1


def test_a_kato_of_its_own(implementation):
    with KnowledgeBase(profile="kato-2.1", implementation=implementation) as kb:
        kb.learn([["a"], ["b", "x"], ["c"]])
        (found,) = kb.predict([["a", "n"], ["b"]])
        assert found["missing"] == [[], ["x"]] and found["extras"] == [["n"], []]
        assert found["similarity"] == 4 / 7 * 100 / 100
        assert "hamiltonian" not in found and found["normalized_entropy"] > 0 and found["entropy"] == 0.0
        (found,) = kb.predict(["a", "n", "b"])
        assert found["missing"] == ["x"] and found["extras"] == ["n"]


# looking


def test_patterns_come_in_learning_order_as_of_the_call(kb):
    kb.learn_many([ABC, ABD])
    patterns = kb.patterns()
    kb.learn([["x"], ["y"]])
    kb.forget(pattern_name(ABD))
    assert [p["pattern_data"] for p in patterns] == [ABC]
    kb.learn(ABD)
    kb.learn(ABC)
    assert [p["pattern_data"] for p in kb.patterns()] == [ABC, [["x"], ["y"]], ABD]


def test_an_unknown_pattern_is_none(kb):
    assert kb.pattern("0" * 40) is None
    assert kb.pattern("") is None


def test_what_is_given_out_is_the_callers_own(kb):
    name = kb.learn(ABC, [{"joy": 1.0}])
    pattern = kb.pattern(name)
    pattern["pattern_data"][0].append("x")
    pattern["emotives"][0]["joy"] = 9
    kb.symbols()["a"]["frequency"] = 9
    kb.totals().clear()
    assert kb.pattern(name)["pattern_data"] == ABC
    assert kb.pattern(name)["emotives"] == [{"joy": 1.0}]
    assert kb.symbols()["a"]["frequency"] == 1
    assert kb.totals() != {}


def test_memory_grows_with_what_is_learned(kb):
    before = kb.memory()
    kb.learn_many([[[f"symbol {i}"], [f"other {i}"]] for i in range(500)])
    assert kb.memory() > before + 500 * 40


# forgetting


def test_forget(kb):
    kb.learn_many([ABC, ABD, ABD])
    assert not kb.forget("0" * 40) and not kb.forget("x") and not kb.forget("")
    assert kb.forget(pattern_name(ABD))
    assert not kb.forget(pattern_name(ABD))
    assert list(kb.symbols()) == ["a", "b", "c"]
    assert kb.totals()["total_pattern_frequencies"] == 1
    kb.learn(ABD, [{"joy": 1.0}])  # new again: emotives are welcome
    assert kb.pattern(pattern_name(ABD))["frequency"] == 1


def test_clear(kb):
    kb.learn_many([ABC, ABD])
    kb.clear()
    assert (len(kb), list(kb.patterns()), kb.symbols(), kb.totals()) == (0, [], {}, ZERO)
    kb.clear()
    assert kb.learn(ABC) == pattern_name(ABC)


# life


def test_everything_is_there_again(implementation, tmp_path):
    path = tmp_path / "patterns.sqlite3"
    with KnowledgeBase(path, implementation=implementation) as kb:
        kb.learn_many([ABD, ABC, ABC, [["\0", "é"], ["😀"]]])
        kb.learn([["e"], ["f"]], [{"joy": 0.1}, {"fear": 1 / 3}])
        before = everything(kb)
    with KnowledgeBase(str(path), implementation=implementation) as kb:
        assert everything(kb)[0] == before[0]
        assert (kb.symbols(), kb.totals()) == (before[1], before[2])
        assert everything(kb)[3] == before[3]


def test_closed_means_closed(kb):
    kb.learn(ABC)
    verify = getattr(kb._store, "verify", None)
    kb.close()
    kb.close()
    calls = [
        lambda: kb.learn(ABC),
        lambda: kb.learn([]),
        lambda: kb.learn_many([]),
        lambda: kb.predict(["a", "b"]),
        lambda: kb.predict_many([]),
        lambda: asyncio.run(kb.predict_async(["a", "b"])),
        lambda: kb.match(["a", "b"]),
        lambda: kb.pattern(""),
        lambda: kb.patterns(),
        lambda: kb.symbols(),
        lambda: kb.totals(),
        lambda: len(kb),
        lambda: kb.forget(""),
        lambda: kb.clear(),
        lambda: kb.note(""),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="^the knowledge base is closed$"):
            call()
    if verify:
        kb._store.verify = lambda: []  # for the fixture's last check


def test_the_store_is_closed_with_it():
    class Store(MemoryStore):
        closed = 0

        def close(self):
            self.closed += 1

    store = Store()
    with KnowledgeBase(store):
        pass
    assert store.closed == 1


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (
            {"profile": "x"},
            ValueError,
            "profile must be one of kato-2025-09, kato-2025-09-indexed, kato-2.1, kato-2.1-indexed, not 'x'",
        ),
        ({"profile": []}, ValueError, "profile must be one of"),
        ({"persistence": 0}, ValueError, "persistence must be from 1 to 100, not 0"),
        ({"persistence": 101}, ValueError, "persistence must be from 1 to 100, not 101"),
        ({"persistence": True}, TypeError, "persistence must be an int, not bool"),
        ({"persistence": 5.0}, TypeError, "persistence must be an int, not float"),
        ({"threads": 0}, ValueError, "threads must be from 1 to 64, not 0"),
        ({"threads": "2"}, TypeError, "threads must be an int, not str"),
        ({"implementation": "rust"}, ValueError, "implementation must be one of c, python, not 'rust'"),
        ({"store": 7}, TypeError, "store must have the methods of kato_fast.stores.Store; int lacks pending"),
        ({"store": ":memory:"}, ValueError, "None keeps everything in memory"),
    ],
)
def test_bad_settings_are_refused(arguments, kind, text):
    with pytest.raises(kind) as error:
        KnowledgeBase(**arguments)
    assert text in str(error.value)
