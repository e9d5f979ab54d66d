"""One list of calls: every public function of the engine, and every way in which it refuses.

The loops for leaks and the loops without memory both walk it. A new function gets one line here.
"""

from __future__ import annotations

import copy
import importlib.util
import math
import pickle
from types import ModuleType
from typing import Any, Callable

import wires

import kato_fast._core as core

ABC, ABD, ONE = [["a"], ["b"], ["c"]], [["a"], ["b é", 'q"'], ["d"]], [["x"]]
EMOTIVES = [{"joy": 1, "fear": 0.5}, {}, {"joy": 0.25}]
STATE = ["a", "b", "unknown 😀"]
LONG = [str(i % 40) for i in range(200)]
LARGE = [str(i) for i in range(1100)]
SURROGATE = "\ud800"


class Subject:
    """What the calls are made on: small, known, and the same each time."""

    def __init__(self) -> None:
        self.knowledge = core.Knowledge()
        self.indexed = core.Knowledge(indexed=True)
        for knowledge in (self.knowledge, self.indexed):
            knowledge.learn_many([(ABC, EMOTIVES), (ABD, None), (ABC, None), ([LONG], None)])
        self.name = self.knowledge.names()[0]
        self.predictions = self.knowledge.predict(STATE, 0.1, 10)
        self.matches = self.knowledge.match(STATE, 0.1)
        self.bloom = core.BloomFilter(100)
        self.bloom.update(["a", "b"])
        self.bytes = self.bloom.to_bytes()


def learn_and_forget(s: Subject) -> Any:
    learned = s.knowledge.learn([["new"], ["symbols", "here"]], EMOTIVES)
    return learned, s.knowledge.forget(learned[0])


def many_and_forget(s: Subject) -> Any:
    learned = s.knowledge.learn_many([([["m"], ["n"]], EMOTIVES), (ONE, None), ([["m"], [*LONG]], None)])
    return learned, [s.knowledge.forget(entry[0]) for entry in learned if entry]


def put_and_forget(s: Subject) -> Any:
    return s.knowledge.forget(s.knowledge.put([["put"], ["it"]], 5, EMOTIVES))


def without_the_gil(s: Subject) -> Any:
    """More symbols than are learned or searched under the GIL."""
    name, _ = s.knowledge.learn([LARGE])
    found = s.knowledge.match(LARGE, 0.0).names
    asked = s.knowledge.predict(LARGE, 0.1, 3).matched
    return s.knowledge.forget(name), found, asked


def life_and_death(s: Subject) -> Any:
    """A knowledge that goes before its results."""
    knowledge = core.Knowledge()
    knowledge.learn(ABC, EMOTIVES)
    predictions, matches = knowledge.predict(STATE, 0.0, 5), knowledge.match(STATE, 0.0)
    knowledge.clear()
    knowledge.learn(ABD)
    del knowledge
    return predictions.to_list(), matches.names


def a_module_of_its_own(s: Subject) -> Any:
    """The extension once more, as another interpreter has it."""
    spec = importlib.util.spec_from_file_location("kato_fast._core", core.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    knowledge = module.Knowledge()
    knowledge.learn(ABC)
    return knowledge.predict(STATE, 0.1, 5).to_list(), module.BloomFilter(5).to_bytes()


WORKING: dict[str, Callable[[Subject], Any]] = {
    "Knowledge": lambda s: (len(core.Knowledge()), len(core.Knowledge(indexed=True))),
    "life and death": life_and_death,
    "learn, known": lambda s: s.knowledge.learn(ABC)[0],
    "learn, emotives": lambda s: s.knowledge.learn(events=ABC, emotives=EMOTIVES)[0],
    "learn, one symbol": lambda s: s.knowledge.learn(ONE, EMOTIVES),
    "learn and forget": learn_and_forget,
    "learn_many and forget": many_and_forget,
    "learn_many, nothing": lambda s: s.knowledge.learn_many([]),
    "put": lambda s: s.knowledge.put(ABC, 2, EMOTIVES),
    "put and forget": put_and_forget,
    "forget, unknown": lambda s: s.knowledge.forget("0" * 40),
    "without the GIL": without_the_gil,
    "name": lambda s: (s.knowledge.name(ABD), s.knowledge.name(ONE)),
    "predict": lambda s: len(s.knowledge.predict(STATE, 0.1, 10)),
    "predict, events": lambda s: len(s.knowledge.predict((("a", "b"), ["c"]), 0.0, 10)),
    "predict, long": lambda s: len(s.knowledge.predict(LONG, 0.0, 10)),
    "predict, nothing": lambda s: len(s.knowledge.predict(["a"], 0.1, 10)),
    "predict, indexed": lambda s: len(s.indexed.predict(STATE, 0.0, 10)),
    "match": lambda s: len(s.knowledge.match(STATE, 0.1)),
    "match, long": lambda s: len(s.knowledge.match(LONG, 0)),
    "match, nothing": lambda s: len(s.knowledge.match([], 0.1)),
    "pattern": lambda s: s.knowledge.pattern(s.name)["pattern_data"],
    "pattern, unknown": lambda s: (s.knowledge.pattern("0" * 40), s.knowledge.pattern(SURROGATE)),
    "names": lambda s: s.knowledge.names(),
    "symbols": lambda s: sorted(s.knowledge.symbols()),
    "totals": lambda s: list(s.knowledge.totals()),
    "memory": lambda s: s.knowledge.memory() > 0,
    "count_as": lambda s: core.Knowledge().count_as({"a": 3, "\u00e9": 1}, 9, 5, 20),
    "Predictions, list": lambda s: s.predictions.to_list(),
    "Predictions, item": lambda s: (s.predictions[0], s.predictions[-1], s.predictions[::-1]),
    "Predictions, iteration": lambda s: (list(s.predictions), list(reversed(s.predictions))),
    "Predictions, search": lambda s: (
        s.predictions.index(s.predictions[1]),
        s.predictions.count(5),
        5 in s.predictions,
    ),
    "Predictions, futures": lambda s: s.predictions.future_potentials,
    "Predictions, JSON": lambda s: (s.predictions.to_json(), s.predictions.to_json(pattern_names=True)),
    "Predictions, JSON of futures": lambda s: s.predictions.future_potentials_json(),
    "Predictions, answer": lambda s: s.predictions.answer_json(s.predictions, b"}"),
    "Predictions, CBOR of futures": lambda s: s.predictions.future_potentials_cbor(),
    "Predictions, CBOR": lambda s: s.predictions.to_cbor(),
    "Predictions, numbers": lambda s: (s.predictions.matched, len(s.predictions), repr(s.predictions)),
    "Matches": lambda s: (s.matches.names, s.matches.ratios, len(s.matches), repr(s.matches)),
    "BloomFilter": lambda s: (len(core.BloomFilter(10)), core.BloomFilter(1000, 0.01).capacity),
    "BloomFilter, add": lambda s: (s.bloom.add("a"), s.bloom.add(b"b"), len(s.bloom)),
    "BloomFilter, in": lambda s: ("a" in s.bloom, b"zz" in s.bloom, s.bloom.contains_many(["a", b"c"])),
    "BloomFilter, update": lambda s: s.bloom.update(iter(["a", b"b"])),
    "BloomFilter, bytes": lambda s: core.BloomFilter.from_bytes(memoryview(s.bloom.to_bytes())).to_bytes(),
    "BloomFilter, numbers": lambda s: (s.bloom.capacity, s.bloom.error_rate, len(repr(s.bloom)) > 0),
    "ratio": lambda s: (core.ratio(STATE, LONG), core.ratio(LONG, LONG, "lcs"), core.ratio([], [])),
    "ratio, without the GIL": lambda s: core.ratio(LONG * 3, b=LONG * 3, method="ratcliff_obershelp"),
    "matching_blocks": lambda s: (core.matching_blocks(STATE, ["b", "a"]), core.matching_blocks(LONG, LONG[5:])),
    "pattern_name": lambda s: (core.pattern_name(ABD), core.pattern_name(())),
    "cpu_features": lambda s: core.cpu_features(),
    "unlocked_seconds": lambda s: core.unlocked_seconds() >= 0,
}

BAD_EVENTS = [7, "ab", [["a"], "b"], [["a"], []], [["a"], [3]], [["a", SURROGATE]], [["a"] * 66_000]]
BAD_STATES = [7, ["a", ["b"]], ["a", 5], [["a"], "b"], [["a"], []], ["a", SURROGATE], ["a"] * 66_000]
BAD_NUMBERS = ["0.5", None, math.nan, 10**400]
BAD_EMOTIVES = [
    5,
    [5],
    [{5: 1.0}],
    [{"joy": "x"}],
    [{"joy": math.inf}],
    [{SURROGATE: 1}],
    [{"joy": 1e308}, {"joy": 1e308}],
]


def refusals(call: Callable, values: list, *more: Any) -> Callable[[Subject], Any]:
    """Every value is refused; gives the texts."""

    def refuse(s: Subject) -> list[str]:
        return [
            refused(getattr(s.knowledge, call) if isinstance(call, str) else call, value, *more) for value in values
        ]

    return refuse


def refused(call: Callable, *arguments: Any, **keywords: Any) -> str:
    try:
        call(*arguments, **keywords)
    except MemoryError:
        raise
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        if not str(error):  # Python 3.9 drops the MemoryError of the text
            raise MemoryError from error
        return f"{type(error).__name__}: {error}"
    raise AssertionError(f"not refused: {arguments!r:.200}")


def bad_emotives(s: Subject) -> Any:
    return [refused(s.knowledge.learn, ABC, value) for value in BAD_EMOTIVES] + [
        refused(s.knowledge.put, ABC, 2, value) for value in BAD_EMOTIVES
    ]


def bad_numbers(s: Subject) -> Any:
    return (
        [refused(s.knowledge.predict, STATE, value, 5) for value in BAD_NUMBERS]
        + [refused(s.knowledge.match, STATE, value) for value in BAD_NUMBERS]
        + [refused(s.knowledge.predict, STATE, 0.1, value) for value in ("5", True, -1, -(10**30))]
        + [refused(s.knowledge.put, ABC, value) for value in ("5", True, 0, 2**63)]
    )


def beyond_the_counters(s: Subject) -> Any:
    many = 2**53 // 2
    return (
        refused(s.knowledge.put, [["p", "q"]], many),
        refused(s.knowledge.put, ABC, many),
        len(s.knowledge),
    )


def bad_items(s: Subject) -> Any:
    batches = [5, [(ABC, None), "x"], [(ABC,)], [(ABC, None), (7, None)], [(ABC, EMOTIVES), (ABC, BAD_EMOTIVES[4])]]
    return [refused(s.knowledge.learn_many, batch) for batch in batches]


def bad_pairs(s: Subject) -> Any:
    values = [7, ["a", 5], ["a", SURROGATE], ["a"] * 66_000]
    texts = [refused(core.matching_blocks, value, ["a"]) for value in values]
    texts += [refused(core.ratio, ["a"], value) for value in values]
    return texts + [refused(core.ratio, [], [], method) for method in (5, "x")]


def bad_arguments(s: Subject) -> Any:
    k = s.knowledge
    return [
        refused(k.learn),
        refused(k.learn, ABC, None, 5),
        refused(k.learn, ABC, emotive=None),
        refused(k.predict, STATE, 0.1, 5, state=STATE),
        refused(core.Knowledge, True),
        refused(core.Knowledge, other=True),
        refused(type(s.predictions)),
        refused(type(s.matches)),
        refused(s.predictions.to_json, True),
        refused(s.predictions.__getitem__, 99),
        refused(s.predictions.__getitem__, "x"),
        refused(s.predictions.index, 5),
        refused(setattr, s.predictions, "matched", 5),
    ]


def bad_filters(s: Subject) -> Any:
    made = [refused(core.BloomFilter, *arguments) for arguments in ((0,), ("5",), (5, 0.0), (5, "x"), ())]
    keys = [refused(s.bloom.add, 5), refused(s.bloom.update, ["a", 5]), refused(s.bloom.update, 5)]
    read = [refused(core.BloomFilter.from_bytes, data) for data in (b"", s.bytes[:-1], b"x" + s.bytes[1:], 5)]
    return made + keys + read + [refused(s.bloom.contains_many, [None]), refused(s.bloom.add, SURROGATE)]


REFUSED: dict[str, Callable[[Subject], Any]] = {
    "learn, bad events": refusals("learn", BAD_EVENTS),
    "put, bad events": refusals("put", [*BAD_EVENTS, ONE], 1),
    "name, bad events": refusals("name", BAD_EVENTS),
    "pattern_name, bad events": refusals(core.pattern_name, BAD_EVENTS),
    "predict, bad state": refusals("predict", BAD_STATES, 0.1, 5),
    "match, bad state": refusals("match", BAD_STATES, 0.1),
    "bad numbers": bad_numbers,
    "bad emotives": bad_emotives,
    "bad items": bad_items,
    "beyond the counters": beyond_the_counters,
    "bad names": lambda s: (refused(s.knowledge.pattern, 5), refused(s.knowledge.forget, b"x")),
    "bad pairs": bad_pairs,
    "bad arguments": bad_arguments,
    "bad filters": bad_filters,
}

WORKING |= wires.WORKING
REFUSED |= {name: lambda s, call=call: refused(*call) for name, call in wires.REFUSED.items()}

#: Fewer rounds, and not without memory: import and pickle turn MemoryError into errors of their own, and Python 3.12
#: and 3.13 crash where a generator, as in copy, cannot be made.
HEAVY: dict[str, Callable[[Subject], Any]] = {
    "a module of its own": a_module_of_its_own,
    "BloomFilter, copy": lambda s: copy.deepcopy(s.bloom).to_bytes(),
    "BloomFilter, pickle": lambda s: pickle.loads(pickle.dumps(s.bloom)).to_bytes(),
}

CALLS = {**WORKING, **REFUSED, **HEAVY}

KEPT: list = []
#: What the loop must find.
LEAKS: dict[str, Callable[[Subject], Any]] = {
    "a leaked object": lambda s: KEPT.append(s.knowledge.totals()),
    "a leaked type": lambda s: KEPT.append(core.Matches) if len(KEPT) < 10**6 else None,
    "leaked bytes": lambda s: KEPT.append(s.predictions.to_cbor()),
}


def exported_types(module: ModuleType = core) -> list[type]:
    return [value for value in vars(module).values() if isinstance(value, type)]
