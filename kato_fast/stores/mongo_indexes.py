"""Indexes of the pattern and symbol collections (section 1 of the plan), and how the server uses them."""

from __future__ import annotations

from typing import Any

from kato_fast.stores.mongo_driver import Refused, raised

#: (collection, name, key): made in the background, beside KATO's own.
INDEXES = (
    ("patterns_kb", "kato_fast_symbols_frequency", {"pattern_data": 1, "frequency": -1}),
    ("patterns_kb", "kato_fast_name_hashed", {"name": "hashed"}),
    ("symbols_kb", "kato_fast_name_frequency", {"name": 1, "frequency": -1}),
)
#: What the service and KATO ask: (collection, what for, filter, sort).
QUERIES = (
    ("patterns_kb", "one pattern by its name", {"name": "0" * 40}, None),
    ("patterns_kb", "patterns that have an event", {"pattern_data": ["a"], "frequency": {"$gte": 1}}, None),
    ("patterns_kb", "all patterns, as they are loaded", {}, {"_id": 1}),
    ("symbols_kb", "symbols by their names", {"name": {"$in": ["a", "b"]}}, None),
    ("metadata", "the journal and the totals", {"class": "totals"}, None),
)
#: IndexOptionsConflict, IndexKeySpecsConflict: it is there under another name or with other options.
IS_THERE = (85, 86)


def make_indexes(database: Any) -> dict[str, str]:
    """Make what is missing. Per index: made, there, or what the server says; again is the same as once."""
    return {f"{collection}.{name}": _made(database, collection, name, key) for collection, name, key in INDEXES}


def _made(database: Any, collection: str, name: str, key: dict) -> str:
    index = {"key": key, "name": name, "background": True}
    reply = database.run([{"createIndexes": collection, "indexes": [index]}], True)[0]
    if isinstance(reply, Refused):
        return "there" if reply.code in IS_THERE else str(reply)
    done = raised(reply)
    return "there" if done.get("numIndexesBefore") == done.get("numIndexesAfter", -1) else "made"


def drop_indexes(database: Any) -> None:
    """Take away what make_indexes made. Raises Unreachable."""
    for collection, name, _ in INDEXES:
        reply = database.run([{"dropIndexes": collection, "index": name}], True)[0]
        if not isinstance(reply, Refused):  # it was not there
            raised(reply)


def indexes(database: Any) -> dict[str, dict]:
    """Every index of the two collections: {collection.name: key}."""
    found = {}
    for collection in ("patterns_kb", "symbols_kb"):
        reply = database.run([{"listIndexes": collection}], False)[0]
        if isinstance(reply, Refused):  # no such collection
            continue
        for index in raised(reply)["cursor"]["firstBatch"]:
            found[f"{collection}.{index['name']}"] = dict(index["key"])
    return found


def missing(present: dict[str, dict]) -> list[str]:
    """Those of INDEXES that are not there, under whatever name. present: as indexes() gives them."""
    keys = {(name.partition(".")[0], *key.items()) for name, key in present.items()}
    return [f"{collection}.{name}" for collection, name, key in INDEXES if (collection, *key.items()) not in keys]


def explained(database: Any) -> list[dict]:
    """Per query of QUERIES the server's own plan, or why it gives none."""
    return [
        {"collection": collection, "query": what, "plan": _plan(database, collection, filter, sort)}
        for collection, what, filter, sort in QUERIES
    ]


def _plan(database: Any, collection: str, filter: dict, sort: Any) -> dict:
    find: dict = {"find": collection, "filter": filter}
    if sort is not None:
        find["sort"] = sort
    reply = database.run([{"explain": find, "verbosity": "queryPlanner"}], False)[0]
    if isinstance(reply, Refused):
        return {"error": str(reply)}
    planner = raised(reply).get("queryPlanner", {})
    winning = planner.get("winningPlan", {})
    return {"stages": stages(winning), "winningPlan": winning}


def stages(plan: dict) -> list[str]:
    """The stages from the outer to the inner one, with the index where one is used: ["FETCH", "IXSCAN name_1"]."""
    plan = plan.get("queryPlan", plan)  # of newer servers
    found = []
    while isinstance(plan, dict) and plan.get("stage"):
        found.append(" ".join(filter(None, [plan["stage"], plan.get("indexName")])))
        plan = plan.get("inputStage", {})
    return found
