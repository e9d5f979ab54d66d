"""Row 10: 100 predictions to JSON and CBOR.

Against json, orjson, msgspec and cbor2, which get the predictions as finished lists of dicts.
"""

from __future__ import annotations

import json

import cbor2
import msgspec
import orjson

from benchmarks.compare import Scale
from benchmarks.compare.data import Corpus, knowledge
from benchmarks.compare.record import Comparison, against
from benchmarks.measure import interleave

#: Enough symbols in a state for 220 KB of JSON.
PATTERNS, SYMBOLS = 1_000, 50


def run(scale: Scale, seed: int) -> Comparison:
    """Measure; see the module."""
    corpus = Corpus(PATTERNS, 5_000, 1.0, seed)
    kb = knowledge(corpus)
    answers = [kb.predict(corpus.state(SYMBOLS)) for _ in range(scale.rounds)]
    lists = [answer.to_list() for answer in answers]
    sides = {
        "json": lambda number: json.dumps(lists[number], ensure_ascii=False, separators=(",", ":")).encode(),
        "orjson": lambda number: orjson.dumps(lists[number]),
        "msgspec": lambda number: msgspec.json.encode(lists[number]),
    }
    for number, answer in enumerate(answers):
        assert len(answer) == 100, "more patterns must match"
        assert answer.to_json() == sides["json"](number)
        assert all(json.loads(side(number)) == lists[number] for side in sides.values())
        assert answer.to_cbor() == cbor2.dumps(lists[number])
    data = {**corpus.described, "state_symbols": SYMBOLS, "bytes": len(answers[0].to_json())}
    checked = "to_json() and json.dumps byte for byte, the other peers' JSON parsed; to_cbor() and cbor2 byte for byte"
    comparison = Comparison("render", data, checked)
    ours = {"ours": lambda number: answers[number].to_json()}
    times = interleave({**ours, **sides}, scale.rounds)
    for peer, floor, goal in (("json", 15, 35), ("orjson", 2, 4), ("msgspec", 1.6, 3.5)):
        what = "100 predictions to JSON"
        comparison.entries.append(against(10, what, times, peer, floor=floor, goal=goal, per="100 predictions"))
    sides = {"ours": lambda number: answers[number].to_cbor(), "cbor2": lambda number: cbor2.dumps(lists[number])}
    times = interleave(sides, scale.rounds)
    what = "100 predictions to CBOR"
    comparison.entries.append(against(10, what, times, "cbor2", floor=15, goal=35, per="100 predictions"))
    return comparison
