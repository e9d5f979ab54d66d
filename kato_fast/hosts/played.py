"""What a difference of predictions leaves behind: knowledge and state, enough to make both answers again elsewhere."""

from __future__ import annotations

import math
from typing import Any

from kato_fast import native
from kato_fast.hosts.shared import RESIDENTS
from kato_fast.rollout import Rules

#: A file with more patterns than that would be too large to keep; it then holds the state alone.
MOST_PATTERNS = 2000

#: Sums run over the host's candidates, a set whose order follows the seed of Python's hashes, and are not rounded.
LAST_DIGITS = dict.fromkeys(("potential", "pattern_probability", "predictive_information", "weighted_strength"), 1e-12)
RULES = Rules(LAST_DIGITS, ties="potential")


def shown(computed: Any) -> list:
    """The predictions as plain data, whichever side made them."""
    predictions = computed.predictions
    listed = predictions.document() if hasattr(predictions, "document") else predictions
    return without_last_tie([dict(one) for one in listed], computed.most)


def without_last_tie(predictions: list, most: Any) -> list:
    """Where a list was cut, any of the last equal ones may have been kept: how many they are is left."""
    if not predictions or len(predictions) != most:
        return predictions
    last = predictions[-1]["potential"]
    kept = [one for one in predictions if not math.isclose(one["potential"], last, rel_tol=LAST_DIGITS["potential"])]
    return [*kept, *[{"potential": last}] * (len(predictions) - len(kept))]


def record(processor: Any, state: list, events: Any = None, *more: Any) -> dict:
    """The call, without the host around it."""
    searcher = processor.patterns_searcher
    resident = RESIDENTS.of(searcher, make=False)
    kept = None
    if resident is not None and len(resident.engine) <= MOST_PATTERNS:
        patterns = (resident.engine.pattern(name) for name in resident.engine.names())
        kept = [[one["pattern_data"], one["frequency"], one["emotives"]] for one in patterns if one is not None]
    return {
        "indexed": resident is not None and resident.indexed,
        "generation": RESIDENTS.generation,
        "patterns": kept,
        "state": [list(event) for event in events] if events else list(state),
        "recall_threshold": searcher.recall_threshold,
        "max_predictions": processor.max_predictions,
    }


def by_twin(call: dict) -> list:
    """The answer of the twin in Python."""
    return _answer(call, "python")


def by_c(call: dict) -> list:
    """The answer of the C engine."""
    return _answer(call, "c")


def _answer(call: dict, implementation: str) -> list:
    if call["patterns"] is None:
        raise ValueError(f"the knowledge base had more than {MOST_PATTERNS} patterns, which were not kept")
    engine = native.load(implementation).Knowledge(indexed=call["indexed"], generation=call["generation"])
    for events, frequency, emotives in call["patterns"]:
        engine.put(events, frequency, emotives or None)
    return engine.predict(call["state"], call["recall_threshold"], call["max_predictions"]).to_list()
