"""A MongoDB pipeline that sends only the patterns which can match a state (section 4 of the plan).

The server counts, per pattern, its positions less the symbols that the state has not (each once per event). Matched
symbols are never more than these, and never more than the state has; so the similarity that this number would give, by
the host's own expression ``2.0 * matches / (length + length of the state)``, is a bound that no match exceeds. What
passes are candidates: the engine, or ``kato_fast.ratio``, decides. No match is lost, ties at the threshold included.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any, Optional

from kato_fast import native

#: What a candidate comes with.
FIELDS = {"_id": 0, "name": 1, "frequency": 1, "length": 1, "pattern_data": 1, "emotives": 1}

MAX_SYMBOLS = 65_535


class Pipeline:
    """Stages for ``patterns_kb``; the same for any driver. Symbols stand in it as literals only."""

    def __init__(self, stages: list[dict]) -> None:
        self._stages = stages

    def to_list(self) -> list[dict]:
        """The stages, for pymongo's aggregate()."""
        return self._stages

    def to_bson(self) -> bytes:
        """The document ``{"pipeline": [...]}`` as BSON: from C where ``_mongo`` was built, else from Python."""
        wire = native.wire("mongo")
        document = {"pipeline": self._stages}
        return wire.encode(document) if wire is not None else encoded(document)


def matching_patterns(state: Sequence, min_similarity: float = 0.1, limit: Optional[int] = None) -> Pipeline:
    """The pipeline for a state, flat or as events.

    Args:
        min_similarity: least similarity, equality counts; at 0 or below every pattern is a candidate.
        limit: None, or how many candidates at most, those with the highest bound first. A limit may lose matches.

    Raises: TypeError, ValueError naming the argument and the rule.
    """
    symbols = flat(state)
    if not symbols:
        raise ValueError("state must not be empty")
    threshold = number(min_similarity, "min_similarity")
    stages: list[dict] = [{"$match": _first_look(symbols, threshold)}]
    if threshold > 0:
        stages.append({"$addFields": {"kato_fast_bound": _bound(symbols)}})
        stages.append({"$match": {"kato_fast_bound": {"$gte": threshold}}})
    if limit is not None:
        order: dict = {"kato_fast_bound": -1, "_id": 1} if threshold > 0 else {"_id": 1}
        stages += [{"$sort": order}, {"$limit": _limit(limit)}]
    return Pipeline([*stages, {"$project": dict(FIELDS)}])


def in_learning_order(pipeline: Pipeline) -> list[dict]:
    """Its stages, with candidates as an engine must learn them: equally good predictions come in that order."""
    *stages, project = pipeline.to_list()
    return [*stages, {"$sort": {"_id": 1}}, project]


def _first_look(symbols: list[str], threshold: float) -> dict:
    """What an index may answer; learned at least once, and for a threshold above 0 at least one symbol in common."""
    learned: dict = {"frequency": {"$gte": 1}}
    if threshold > 0:
        distinct = list(dict.fromkeys(symbols))
        learned["pattern_data"] = {"$elemMatch": {"$elemMatch": {"$in": distinct}}}
    return learned


def _bound(symbols: list[str]) -> dict:
    """The host's expression, as doubles: both sides of it round alike. Lengths are counted, not believed."""
    length = _over_events({"$size": "$$this"})
    shared = {"$subtract": [length, _foreign(list(dict.fromkeys(symbols)))]}
    matches = {"$min": [shared, len(symbols)]}
    return {"$divide": [{"$multiply": [2.0, matches]}, {"$add": [length, len(symbols)]}]}


def _foreign(distinct: list[str]) -> dict:
    """Symbols of the events that are not in the state, each once per event: never more than there are positions.

    A literal: a symbol may look like a field's path.
    """
    return _over_events({"$size": {"$setDifference": ["$$this", {"$literal": distinct}]}})


def _over_events(count: dict) -> dict:
    """The sum of an event's count ("$$this") over the pattern."""
    return {"$reduce": {"input": "$pattern_data", "initialValue": 0, "in": {"$add": ["$$value", count]}}}


def flat(state: Any) -> list[str]:
    """The symbols of a state, checked."""
    if not isinstance(state, (list, tuple)):
        raise TypeError(f"state must be a list of symbols or of events, not {type(state).__name__}")
    symbols = list(_symbols(state))
    if len(symbols) > MAX_SYMBOLS:
        raise ValueError(f"state must have at most {MAX_SYMBOLS} symbols, not {len(symbols)}")
    return symbols


def _symbols(state: Sequence) -> Iterator[str]:
    for i, item in enumerate(state):
        for j, symbol in enumerate(item if isinstance(item, (list, tuple)) else (item,)):
            place = f"state[{i}][{j}]" if isinstance(item, (list, tuple)) else f"state[{i}]"
            yield text(symbol, place)


def text(value: Any, place: str) -> str:
    """A str, checked: it can be UTF-8."""
    if not isinstance(value, str):
        raise TypeError(f"{place} must be a str, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{place} must be valid Unicode: lone surrogate at index {error.start}") from None
    return value


def number(value: Any, place: str) -> float:
    """A real number, checked: it is finite as a double."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{place} must be a number, not {type(value).__name__}")
    try:
        found = float(value)
    except OverflowError:  # an int beyond the largest double
        found = math.inf
    if not math.isfinite(found):
        raise ValueError(f"{place} must be finite, not {found!r}")
    return found


def _limit(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"limit must be an int, not {type(value).__name__}")
    if not 1 <= value < 2**31:
        raise ValueError(f"limit must be from 1 to {2**31 - 1}, not {value}")
    return value


# ---- The twin of the encoder in C, for the values of a pipeline ----


def encoded(document: dict) -> bytes:
    """A document as BSON: dict, list, str, int, float."""
    return _document(document.items())


def _document(items: Any) -> bytes:
    inside = b"".join(_element(key.encode(), value) for key, value in items)
    return struct.pack("<i", len(inside) + 5) + inside + b"\0"


def _element(key: bytes, value: Any) -> bytes:
    if isinstance(value, dict):
        return b"\x03" + key + b"\0" + _document(value.items())
    if isinstance(value, list):
        return b"\x04" + key + b"\0" + _document((str(i), item) for i, item in enumerate(value))
    if isinstance(value, str):
        text = value.encode()
        return b"\x02" + key + b"\0" + struct.pack("<i", len(text) + 1) + text + b"\0"
    if isinstance(value, float):
        return b"\x01" + key + b"\0" + struct.pack("<d", value)
    assert isinstance(value, int) and -(2**31) <= value < 2**31
    return b"\x10" + key + b"\0" + struct.pack("<i", value)
