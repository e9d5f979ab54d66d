"""The 432 recorded examples of the host: every field, digit and key order, on both implementations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kato_fast import KnowledgeBase

EXAMPLES = json.loads((Path(__file__).parents[1] / "data" / "examples-2025-09.json").read_text("utf-8"))
FULL_SCAN, INDEXED = "kato-2025-09", "kato-2025-09-indexed"

each_example = pytest.mark.parametrize("example", EXAMPLES, ids=[example["id"] for example in EXAMPLES])


def learned(example: dict, implementation: str, profile: str = FULL_SCAN) -> KnowledgeBase:
    """A knowledge base after the example's steps, each of which gave the recorded name."""
    kb = KnowledgeBase(profile=profile, persistence=example["settings"]["persistence"], implementation=implementation)
    names = [kb.learn(step["events"], step["emotives"]) for step in example["learned"]]
    assert names == [step["name"] for step in example["learned"]]
    return kb


def predicted(kb: KnowledgeBase, example: dict):
    settings = example["settings"]
    return kb.predict(
        example["state"],
        recall_threshold=settings["recall_threshold"],
        max_predictions=settings["max_predictions"],
    )


def exact(value: object) -> list[str]:
    """Lines that are equal only where types, digits, signs of zero and key order are."""
    return json.dumps(value, indent=1, ensure_ascii=False).splitlines()


def compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def test_all_examples_are_there() -> None:
    assert len(EXAMPLES) == 432
    assert len({example["id"] for example in EXAMPLES}) == 432
    assert sum(example["category"] == "index-losses" for example in EXAMPLES) == 25
    assert sum("host_indexed" in example for example in EXAMPLES) == 49


@each_example
def test_predictions(example: dict, implementation: str) -> None:
    answer = predicted(learned(example, implementation), example)
    assert exact(answer.to_list()) == exact(example["predictions"])
    assert exact(answer.future_potentials) == exact(example["future_potentials"])
    assert exact(list(answer)) == exact(example["predictions"])
    assert answer.to_json() == compact(example["predictions"])
    assert answer.future_potentials_json() == compact(example["future_potentials"])


@each_example
def test_predictions_through_the_lossy_index(example: dict, implementation: str) -> None:
    expected = example.get("host_indexed", example)
    answer = predicted(learned(example, implementation, INDEXED), example)
    assert exact(answer.to_list()) == exact(expected["predictions"])
    assert exact(answer.future_potentials) == exact(expected["future_potentials"])


@each_example
def test_knowledge(example: dict, implementation: str) -> None:
    kb = learned(example, implementation)
    expected = example["knowledge_base"]
    assert exact(list(kb.patterns())) == exact(expected["patterns"])
    assert exact(kb.totals()) == exact(expected["totals"])
    assert exact(kb.symbols()) == exact(without_emotives(expected["symbols"]))
    assert len(kb) == len(expected["patterns"])


@each_example
def test_matches(example: dict, implementation: str) -> None:
    """match() tells of the same patterns as predict(), in learning order."""
    kb = learned(example, implementation)
    matches = kb.match(example["state"], recall_threshold=example["settings"]["recall_threshold"])
    order = [pattern["name"] for pattern in kb.patterns()]
    assert matches.names == [name for name in order if name in set(matches.names)]
    assert len(matches) == predicted(kb, example).matched
    ratios = dict(zip(matches.names, matches.ratios))
    for prediction in example["predictions"]:
        assert ratios[prediction["name"]] == prediction["similarity"]


def without_emotives(symbols: dict) -> dict:
    """The host adds up emotives per symbol and never reads them; the engine keeps none."""
    keys = ("frequency", "pattern_member_frequency")
    return {symbol: {key: document[key] for key in keys} for symbol, document in symbols.items()}
