"""Predictions as aligned sequences, so that one sees why a pattern was found (``/ui/``).

A column has a symbol of the pattern, of the state, or of both; which ones stand together is the engine's own answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import kato_fast

#: Columns of one drawing; longer patterns are cut around what matters.
MAX_COLUMNS = 300
#: Columns kept before the first and after the last that is not past or future.
BEFORE, AFTER = 12, 40

Events = Sequence[Sequence[str]]


def aligned(prediction: dict, state: Events) -> list[dict]:
    """The columns of one prediction: {pattern, event, state, of, kind}.

    pattern, state: the symbol there, or None. event, of: the number of its event. kind: matched, missing, extra, past
    or future.
    """
    past, present = prediction["past"], prediction["present"]
    events = [*past, *present, *prediction["future"]]
    kinds = ["past"] * len(past) + ["missing"] * len(present) + ["future"] * len(prediction["future"])
    left, right = _flat(events), _flat(state)
    blocks = kato_fast.matching_blocks([word for word, _ in left], [word for word, _ in right])
    columns: list[dict] = []
    i = j = 0
    for a, b, size in [*blocks, (len(left), len(right), 0)]:
        columns += [_column(item, None, kinds[item[1]]) for item in left[i:a]]
        columns += [_column(None, item, "extra") for item in right[j:b]]
        columns += [_column(left[a + k], right[b + k], "matched") for k in range(size)]
        i, j = a + size, b + size
    return _cut(columns)


def _flat(events: Events) -> list[tuple[str, int]]:
    return [(symbol, number) for number, event in enumerate(events) for symbol in event]


def _column(left, right, kind: str) -> dict:
    pattern, event = left or (None, None)
    state, of = right or (None, None)
    return {"pattern": pattern, "event": event, "state": state, "of": of, "kind": kind}


def _cut(columns: list[dict]) -> list[dict]:
    near = [at for at, column in enumerate(columns) if column["kind"] not in ("past", "future")]
    if not near:
        return columns[:MAX_COLUMNS]
    first = max(0, near[0] - BEFORE)
    return columns[first : min(near[-1] + 1 + AFTER, first + MAX_COLUMNS)]
