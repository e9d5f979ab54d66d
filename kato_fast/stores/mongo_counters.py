"""KATO's counters as a MongoDB database has them now: all of them, or those of some symbols by an aggregation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kato_fast.stores import mongo_writes as writes
from kato_fast.stores.mongo_driver import raised

COUNT = "pattern_member_frequency"
#: Symbols of one question; a document of a pipeline has at most 16 MiB, a symbol at most one.
PIECE, PIECE_BYTES = 5000, 8 << 20


def all_members(database: Any) -> tuple[dict[str, int], dict[str, int], int]:
    """Every symbol's count, the totals, and how many symbols there are; every document of the collection is sent."""
    found = database.find("symbols_kb", {}, projection={"_id": 0, "name": 1, COUNT: 1})
    members = {item["name"]: int(item.get(COUNT, 0)) for item in found}
    return members, totals(database), len(members)


def some_members(database: Any, symbols: Iterable[str]) -> tuple[dict[str, int], dict[str, int], int]:
    """The same, but of the counts only those of these symbols."""
    members: dict[str, int] = {}
    for names in _pieces(dict.fromkeys(symbols)):
        pipeline = [{"$match": {"name": {"$in": names}}}, {"$project": {"_id": 0, "name": 1, COUNT: 1}}]
        for item in database.aggregate("symbols_kb", pipeline):
            members[item["name"]] = int(item.get(COUNT, 0))
    known = raised(database.run([{"count": "symbols_kb"}], False)[0])["n"]
    return members, totals(database), int(known)


def _pieces(symbols: Iterable[str]) -> Iterable[list[str]]:
    piece: list[str] = []
    size = 0
    for symbol in symbols:
        if piece and (len(piece) == PIECE or size > PIECE_BYTES):
            yield piece
            piece, size = [], 0
        piece.append(symbol)
        size += 4 * len(symbol)
    if piece:
        yield piece


def totals(database: Any) -> dict[str, int]:
    """KATO's three totals."""
    found = database.find("metadata", writes.TOTALS)
    kept = found[0] if found else {}
    return {name: int(kept.get(name, 0)) for name in writes.TOTAL_NAMES}
