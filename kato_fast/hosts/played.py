"""What a difference of a host's predictions leaves behind, and how it is played again."""

from __future__ import annotations

import math
from typing import Any

from kato_fast.hosts.shared import RESIDENTS
from kato_fast.rollout import Rules
from kato_fast.rollout.kept import patterns_of, predictions_of

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
    return {
        "indexed": resident is not None and resident.indexed,
        "generation": RESIDENTS.generation,
        "patterns": None if resident is None else patterns_of(resident.engine),
        "state": [list(event) for event in events] if events else list(state),
        "recall_threshold": searcher.recall_threshold,
        "max_predictions": processor.max_predictions,
    }


def by_twin(call: dict) -> list:
    """The answer of the twin in Python."""
    return predictions_of(call, "python").to_list()


def by_c(call: dict) -> list:
    """The answer of the C engine."""
    return predictions_of(call, "c").to_list()
