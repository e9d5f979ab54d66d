"""What a learn writes to MongoDB, in KATO's document shapes (the host's section 4.2), as plain commands.

A learn marks the pattern's document with a field ``kato_fast_<operation>`` until its counters are written, so that one
which is sent again after a lost answer finds its mark and does not count twice. The mark goes with the second round
trip: what stays are KATO's own documents.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType
from typing import Any

from kato_fast.stores import Learned

#: The server takes at most 1,000 (older ones) statements and 48 MB in a message.
STATEMENTS = 500
STATEMENT_BYTES = 8 << 20

MARK = "kato_fast_"
NOTE = "kato_fast_note"
TOTALS = {"class": "totals"}
#: Our own document in ``metadata``: which writes there were. KATO asks for the class "totals" only.
JOURNAL = {"_id": "kato_fast"}
#: Learns that the journal names; who has missed more reads everything.
JOURNAL_KEEPS = 256

DUPLICATE_KEY = 11000

TOTAL_NAMES = ("total_pattern_frequencies", "total_symbol_frequencies", "total_symbols_in_patterns_frequencies")

NOTHING: Mapping[str, int] = MappingProxyType({})

_ids = threading.Lock()
_last_id = 0


def new_id() -> bytes:
    """12 bytes for an _id: seconds as in every ObjectId, their fraction, and chance.

    The driver's own are in the order of their making within one process only. These are over all processes whose
    clocks agree, so that an engine that is loaded in the order of _id has the order in which the patterns were learned.
    """
    global _last_id
    with _ids:
        _last_id = max(_last_id + 1, time.time_ns() * (1 << 32) // 1_000_000_000)
        return (_last_id & ((1 << 64) - 1)).to_bytes(8, "big") + secrets.token_bytes(4)


@dataclass
class Row:
    """One pattern of a learn: how often, and what it was marked with."""

    name: str
    events: Sequence[Sequence[str]]
    mark: str
    count: int = 0
    pushed: list[dict] = field(default_factory=list)
    persistence: int = 0
    doubtful: bool = False  # it may have been written already


def rows_of(learned: Sequence[Learned], operation: str, doubtful: dict[str, str]) -> dict[str, Row]:
    """The rows of a learn by name. doubtful: marks of earlier learns that got no answer."""
    rows: dict[str, Row] = {}
    for item in learned:
        row = rows.get(item.name)
        if row is None:
            mark = doubtful.get(item.name)
            row = rows[item.name] = Row(item.name, item.events, mark or MARK + operation, doubtful=mark is not None)
        row.count += 1
        if item.emotives:
            row.pushed.append(item.emotives[-1])
            row.persistence = item.persistence or len(item.emotives)
    return rows


def pattern_statement(row: Row, object_id: Any, marked: bool = True) -> dict:
    """The upsert of one pattern, as KATO's own but for the mark."""
    insert: dict = {"_id": object_id, "pattern_data": row.events, "length": sum(map(len, row.events))}
    update: dict = {"$inc": {"frequency": row.count}, "$setOnInsert": insert}
    if marked:
        update["$set"] = {row.mark: 1}
    if row.pushed:
        update["$push"] = {"emotives": {"$each": row.pushed, "$slice": -row.persistence}}
    else:
        insert["emotives"] = {}
    query: dict = {"name": row.name}
    if marked and row.doubtful:
        query[row.mark] = {"$exists": False}  # where it is there, the unique name refuses a second document
    return {"q": query, "u": update, "upsert": True}


def unmark_statement(row: Row) -> dict:
    """Take the mark away."""
    return {"q": {"name": row.name}, "u": {"$unset": {row.mark: ""}}}


def symbol_statements(rows: Iterable[Row]) -> list[dict]:
    """One upsert per distinct symbol of all rows."""
    counts: Counter[str] = Counter()
    members: Counter[str] = Counter()
    emotives: dict[str, dict[str, float]] = {}
    for row in rows:
        for symbol, count in Counter(chain.from_iterable(row.events)).items():
            counts[symbol] += count * row.count
            members[symbol] += row.count
            for values in row.pushed:
                kept = emotives.setdefault(symbol, {})
                for name, value in values.items():
                    kept[f"emotives.{name}"] = kept.get(f"emotives.{name}", 0) + value
    return [
        symbol_statement(symbol, count, members[symbol], emotives.get(symbol, {})) for symbol, count in counts.items()
    ]


def symbol_statement(symbol: str, frequency: int, members: int, emotives: dict[str, float]) -> dict:
    """The upsert of one symbol. Names of emotives have no '.' and no '$': they are fields of their own."""
    added = {"frequency": frequency, "pattern_member_frequency": members, **emotives}
    return {"q": {"name": symbol}, "u": {"$inc": added}, "upsert": True}


def totals_of(rows: Iterable[Row]) -> dict[str, int]:
    """What the rows add to the three totals."""
    learns = symbols = distinct = 0
    for row in rows:
        flat = list(chain.from_iterable(row.events))
        learns += row.count
        symbols += len(flat) * row.count
        distinct += len(set(flat)) * row.count
    return dict(zip(TOTAL_NAMES, (learns, symbols, distinct)))


def totals_statement(totals: dict[str, int]) -> dict:
    """KATO's own."""
    return {"q": TOTALS, "u": {"$inc": totals}, "upsert": True}


def note_statement(key: str, text: str) -> dict:
    """A note of a learn."""
    query = {"_id": f"{NOTE}:{key}", "class": NOTE, "key": key}
    return {"q": query, "u": {"$set": {"value": text}}, "upsert": True}


def journal_statement(
    operation: str, names: Sequence[str], learns: int, notes: bool = False, absent: Mapping[str, int] = NOTHING
) -> dict:
    """One more entry; beyond JOURNAL_KEEPS names it says only that there was much.

    absent: operations that the journal must not have, and the generation before each. Where it has one of them, or
        has gone on so far that it does not tell, its _id refuses a second document.
    """
    entry: dict = {"o": operation, "k": learns}
    entry["n"] = list(names) if len(names) <= JOURNAL_KEEPS else None
    if notes:
        entry["w"] = 1
    push = {"recent": {"$each": [entry], "$slice": -JOURNAL_KEEPS}}
    statement: dict = {"q": JOURNAL, "u": {"$inc": {"generation": 1, "learns": learns}, "$push": push}}
    if absent:
        young = {"$lt": min(absent.values()) + JOURNAL_KEEPS}
        statement.update(q={**JOURNAL, "recent.o": {"$nin": list(absent)}, "generation": young}, upsert=True)
    return statement


def update(collection: str, statements: Sequence[dict], ordered: bool = False) -> dict:
    """The command of one bulk."""
    return {"update": collection, "updates": list(statements), "ordered": ordered}


def chunks(statements: Iterable[dict]) -> Iterator[list[dict]]:
    """Bulks that a server takes."""
    chunk: list[dict] = []
    size = 0
    for statement in statements:
        weight = _weight(statement.get("u", {}))
        if chunk and (len(chunk) == STATEMENTS or size + weight > STATEMENT_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(statement)
        size += weight
    if chunk:
        yield chunk


def _weight(update: dict) -> int:
    """About its bytes; only pattern_data is large."""
    events = update.get("$setOnInsert", {}).get("pattern_data", ())
    return 400 + sum(16 + sum(12 + 4 * len(symbol) for symbol in event) for event in events)
