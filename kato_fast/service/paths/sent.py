"""What is sent to MongoDB under ``native_store``: seen on its way to pymongo, and planned for libmongoc.

Both sides begin with the same bulks. What is compared is what becomes of them: that each write of a bulk goes to its
collection, once, with the same key, operators and values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

from kato_fast.rollout import Declined, Writes, write_sets


class Noting:
    """A database of which every command is noted that got an answer; all else is its own."""

    def __init__(self, database: Any, seen: list) -> None:
        self._database, self._seen = database, seen

    @property
    def __class__(self) -> type:
        return type(self._database)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def run(self, commands: Sequence[dict], writes: bool = True) -> list:
        replies = self._database.run(commands, writes)
        for command, reply in zip(commands, replies):
            lost = isinstance(reply, Exception) or (reply.get("writeErrors") and command.get("ordered"))
            self._seen.append({"lost": str(reply)} if lost else plain(command))
        return replies


def watched(args: tuple, seen: list) -> tuple:
    """All that the original asks for is pymongo's database."""
    chosen, *rest = args
    return (SimpleNamespace(original=Noting(chosen.original, seen)), *rest)


def planned(chosen: Any, commands: Sequence[dict], writes: bool) -> list:
    """What libmongoc would be given. Raises Declined where it is not there."""
    assert chosen.native is not None
    return [plain(command) for command in commands]


def effect(commands: Sequence[dict]) -> dict:
    """What the commands leave. Raises Declined where one of them may have been carried out in part."""
    if any("lost" in command for command in commands):
        raise Declined("connection", "a command got no answer, or an error")
    return write_sets.effect(write for command in commands for write in _writes(command))


def _writes(command: dict) -> Iterator[dict]:
    collection = command.get("update")
    for statement in command.get("updates", ()):
        if set(statement) <= {"q", "u", "upsert"} and isinstance(statement["u"], dict):
            yield write_sets.update(collection, statement["q"], statement["u"], statement.get("upsert", False))
        else:
            yield {"collection": collection, "method": "update", "arguments": [repr(statement)]}
    if "updates" not in command:
        method, collection = next(iter(command.items()))
        yield {"collection": str(collection), "method": method, "arguments": [repr(command)]}


def plain(value: Any) -> Any:
    """The command with object ids, which each library has as objects of its own, as text."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    binary = getattr(value, "binary", value)
    return {"$oid": binary.hex()} if isinstance(binary, bytes) and len(binary) == 12 else value


def record(chosen: Any, commands: Sequence[dict], writes: bool) -> dict:
    return {"commands": plain(commands)}


def replanned(call: dict) -> dict:
    """For a replay."""
    return effect(call["commands"])


WRITES = Writes(watched, planned, effect, record, replanned, write_sets.recorded)
