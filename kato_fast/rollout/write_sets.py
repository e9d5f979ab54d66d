"""What is written to MongoDB: seen while a host writes, and as what is left by it.

A write is a dict: collection, filter, update, upsert; collection and inserted, a document without the id that it gets;
or collection, method and arguments for what is none of ours.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any

#: Methods of a collection that write.
WRITING = frozenset(
    "update_one update_many insert_one insert_many replace_one delete_one delete_many bulk_write"
    " find_one_and_update find_one_and_replace find_one_and_delete drop".split()
)

COLLECTIONS = ("patterns_kb", "symbols_kb", "predictions_kb", "metadata")


class Watched:
    """A knowledge base whose collections are watched. Its methods are bound to this, all else is its own."""

    def __init__(self, superkb: Any, seen: list) -> None:
        object.__setattr__(self, "_superkb", superkb)
        object.__setattr__(self, "_seen", seen)

    @property
    def __class__(self) -> type:
        return type(self._superkb)

    def __getattr__(self, name: str) -> Any:
        method = getattr(type(self._superkb), name, None)
        if isinstance(method, types.FunctionType) and name not in vars(self._superkb):
            return types.MethodType(method, self)
        found = getattr(self._superkb, name)
        return WatchedCollection(found, name, self._seen) if name in COLLECTIONS else found

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._superkb, name, value)


class WatchedCollection:
    """Notes each write that the collection accepted."""

    def __init__(self, collection: Any, name: str, seen: list) -> None:
        self._collection, self._name, self._seen = collection, name, seen

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._collection, method)
        if method not in WRITING:
            return found

        def write(*args: Any, **options: Any) -> Any:
            result = found(*args, **options)
            self._seen.append(_write(self._name, method, args, options))
            return result

        return write


def update(collection: str, filter: dict, update: dict, upsert: bool = True) -> dict:
    """One write."""
    return {"collection": collection, "filter": filter, "update": update, "upsert": upsert}


def inserted(collection: str, document: dict) -> dict:
    """One new document."""
    return {"collection": collection, "inserted": {name: kept for name, kept in document.items() if name != "_id"}}


def _write(collection: str, method: str, args: tuple, options: dict) -> dict:
    if method == "insert_one" and len(args) == 1 and not options:
        return inserted(collection, *args)
    if method == "update_one" and len(args) == 2 and set(options) <= {"upsert"}:
        return update(collection, *args, upsert=options.get("upsert", False))
    return {"collection": collection, "method": method, "arguments": [*map(repr, args), repr(options)]}


def effect(writes: Iterable[dict]) -> dict:
    """Of each document what is set, added and pushed, in no order: increments are summed, an upsert has its filter."""
    documents: dict[str, dict] = {}
    for write in writes:
        what = write["filter"] if "filter" in write else write.get("method", "inserted")
        found = documents.setdefault(f"{write['collection']}: {what!r}", {})
        if "filter" in write:
            _merge(found, write)
        elif "inserted" in write:
            found.setdefault("documents", []).append(write["inserted"])
        else:
            found.setdefault("calls", []).append(write["arguments"])
    return {key: {name: _sorted(kept) for name, kept in sorted(documents[key].items())} for key in sorted(documents)}


def _merge(found: dict, write: dict) -> None:
    found["upsert"] = found.get("upsert", False) or write["upsert"]
    begin = {**write["filter"], **write["update"].get("$setOnInsert", {})} if write["upsert"] else {}
    found["$setOnInsert"] = {**begin, **found.get("$setOnInsert", {})}
    for operator, fields in write["update"].items():
        if operator == "$inc":
            sums = found.setdefault("$inc", {})
            for name, value in fields.items():
                sums[name] = sums[name] + value if name in sums else value
        elif operator != "$setOnInsert":
            found.setdefault(operator, {}).setdefault("steps", []).append(fields)


def _sorted(kept: Any) -> Any:
    """Fields of one document in one order; values, events above all, stay as they are."""
    return dict(sorted(kept.items())) if isinstance(kept, dict) else kept


def recorded(call: dict) -> dict:
    """For a replay: what the host had written."""
    return call["written"]
