"""Counters of a MongoDB database against a recount of its patterns."""

from __future__ import annotations

from typing import Any

from kato_fast.native import load
from kato_fast.stores import mongo_writes as writes
from kato_fast.stores.mongo_driver import raised


def verify(database: Any, repair: bool = False) -> list[str]:
    """Every difference, as text. repair: set the counters to the recount, and end marks that were left."""
    symbols, totals = _counted(database)
    found = list(database.find("symbols_kb", {}, projection={"_id": 0, "emotives": 0}))
    stored = {item["name"]: item for item in found if "name" in item}
    nameless = sum("name" not in item for item in found)
    problems = [f"documents of symbols_kb without a name, which are left as they are: {nameless}"] if nameless else []
    wrong = {name: symbols.get(name) for name in {**stored, **symbols} if not _agrees(stored.get(name), symbols, name)}
    for name, counts in wrong.items():
        problems.append(f"symbol {name!r}: stored {_shown(stored.get(name))}, counted {_shown(counts)}")
    found = database.find("metadata", writes.TOTALS)
    kept = {name: found[0].get(name) for name in writes.TOTAL_NAMES} if found else {}
    for name, value in totals.items():
        if (kept.get(name) or 0) != value:
            problems.append(f"{name!r}: stored {kept.get(name)}, counted {value}")
    marked = _marked(database)
    problems += [f"pattern {name}: a learn of it was not finished" for name in marked]
    if repair and problems:
        _mend(database, wrong, totals, marked)
    return problems


def _counted(database: Any) -> tuple[dict, dict]:
    """Symbols and totals of all patterns. Raises ValueError where one of them is not whole."""
    try:
        engine = load().Knowledge()
        if database.takes(engine):
            database.load(engine)
        else:
            _put_all(database, engine)
    except ValueError as error:
        raise ValueError(f"{error}; a recount needs every pattern to be whole") from None
    return engine.symbols(), engine.totals()


def _put_all(database: Any, engine: Any) -> None:
    for item in database.find("patterns_kb", {}):
        if item.get("frequency", 0) >= 1 and sum(map(len, item["pattern_data"])) > 1:
            engine.put(item["pattern_data"], int(item["frequency"]), None)


def _agrees(stored: Any, symbols: dict, name: str) -> bool:
    counted = symbols.get(name)
    if stored is None or counted is None:
        return False
    return all(stored.get(key) == value for key, value in counted.items())


def _shown(counts: Any) -> Any:
    return None if counts is None else (counts.get("frequency"), counts.get("pattern_member_frequency"))


def _marked(database: Any) -> list[str]:
    """Patterns with a mark: a field whose name no query can ask for, found by a name that begins with MARK."""
    pipeline: list[dict] = [
        {"$project": {"name": 1, "fields": {"$objectToArray": "$$ROOT"}}},
        {"$unwind": "$fields"},
        {"$match": {"fields.k": {"$regex": f"^{writes.MARK}"}}},
        {"$project": {"_id": 0, "name": 1, "mark": "$fields.k"}},
    ]
    return [item["name"] for item in database.aggregate("patterns_kb", pipeline)]


def _mend(database: Any, wrong: dict, totals: dict, marked: list[str]) -> None:
    statements = [
        {"q": {"name": name}, "u": {"$set": dict(counts)}, "upsert": True}
        for name, counts in wrong.items()
        if counts is not None
    ]
    for chunk in writes.chunks(statements):
        raised(database.run([writes.update("symbols_kb", chunk)], True)[0])
    gone = [name for name, counts in wrong.items() if counts is None]
    for start in range(0, len(gone), writes.STATEMENTS):
        query = {"name": {"$in": gone[start : start + writes.STATEMENTS]}}
        raised(database.run([{"delete": "symbols_kb", "deletes": [{"q": query, "limit": 0}]}], True)[0])
    statement = {"q": writes.TOTALS, "u": {"$set": totals}, "upsert": True}
    raised(database.run([writes.update("metadata", [statement])], True)[0])
    for name in marked:
        _unmark(database, name)


def _unmark(database: Any, name: str) -> None:
    for item in database.find("patterns_kb", {"name": name}):
        marks = {key: "" for key in item if key.startswith(writes.MARK)}
        if marks:
            statement = {"q": {"name": name}, "u": {"$unset": marks}}
            raised(database.run([writes.update("patterns_kb", [statement])], True)[0])
