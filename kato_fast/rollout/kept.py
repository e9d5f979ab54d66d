"""The knowledge that a difference of predictions leaves behind, from which both answers can be made again elsewhere."""

from __future__ import annotations

from typing import Any, Optional

from kato_fast import native

#: A file with more patterns than that would be too large to keep; it then holds the state alone.
MOST_PATTERNS = 2000


def patterns_of(engine: Any) -> Optional[list]:
    """``[events, frequency, emotives]`` of each pattern, or None where they are too many."""
    if len(engine) > MOST_PATTERNS:
        return None
    found = (engine.pattern(name) for name in engine.names())
    return [[one["pattern_data"], one["frequency"], one["emotives"]] for one in found if one is not None]


def predictions_of(call: dict, implementation: str) -> Any:
    """What "c" or "python" answers to the call. Raises ValueError where its patterns were not kept."""
    if call["patterns"] is None:
        raise ValueError(f"the knowledge base had more than {MOST_PATTERNS} patterns, which were not kept")
    engine = native.load(implementation).Knowledge(indexed=call["indexed"], generation=call["generation"])
    for events, frequency, emotives in call["patterns"]:
        engine.put(events, frequency, None if emotives == {} else emotives)
    return engine.predict(call["state"], call["recall_threshold"], call["max_predictions"])
