"""Lines of JSON: each a list of events, or ``{"events": [...], "emotives": [{name: number}, ...]}``.

An event is a list of symbols. Symbols are learned as they stand, in their order.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

from kato_fast.cli.ingest import Events, Item, Options, Refused, text_of

KEYS = {"events", "emotives"}


def sequences(data: bytes, options: Options) -> Iterator[Item]:
    """One item per line that is not blank."""
    text = text_of(data)
    read = 0
    for row, line in enumerate(io.StringIO(text), 1):
        read += len(line)
        if line.strip():
            yield _item(line, f"line {row}", read / len(text))


def _item(line: str, place: str, at: float) -> Item:
    try:
        value = json.loads(line, object_pairs_hook=_unique)
    except RecursionError:
        return Refused("not JSON", place, at, detail="nested too deeply")
    except ValueError as error:
        return Refused("not JSON", place, at, detail=str(error))
    emotives: object = ()
    if isinstance(value, dict):
        strange = sorted(set(value) - KEYS)
        if strange or "events" not in value:
            detail = f"unknown key {strange[0]!r}" if strange else "no key 'events'"
            return Refused("not a line of events", place, at, detail=detail)
        emotives = value.get("emotives") or ()
        value = value["events"]
    return Events(value, emotives, place, at)


def _unique(pairs: list[tuple[str, object]]) -> dict:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key in an object")
    return result
