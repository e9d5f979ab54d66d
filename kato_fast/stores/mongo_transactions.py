"""A whole learn as one transaction, where the server has them: replica sets and mongos from MongoDB 4.2 on.

Patterns, symbols, totals and the journal's entry are committed together or not at all. From MongoDB 8.0 on they go in
one command, so that a learn takes two round trips with its commit; before, one for each collection and one for the
commit. A commit without an answer is asked again by the driver's rules. What stays open has its operation's id in the
journal, or has not: a learn that is repeated asks for the journal without that id, so it cannot count twice, even where
the first one is committed meanwhile.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

from kato_fast import observe
from kato_fast.stores import mongo_writes as writes
from kato_fast.stores.mongo_driver import Ended, Refused, Unreachable

if TYPE_CHECKING:
    from kato_fast.stores.mongo_watch import Watch

#: MongoDB 4.2, and 8.0, which has the command bulkWrite.
WITH_TRANSACTIONS, WITH_BULKS = 8, 25
#: Of a server that says it has sessions, and has no transactions all the same.
HAS_NONE = {20, 59, 263}
#: What another transaction is in the way of; older servers say it of a single write.
WRITE_CONFLICT = 112
#: Seconds before the same is tried again; doubled each time, and drawn by lot up to it.
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.1

ENDED = observe.counter(
    "kato_fast_mongo_transactions_total", "Transactions of learns, by how each attempt ended.", ("end",)
)

#: A collection, and an update or a delete in the server's words.
Write = tuple[str, dict]


class Undecided(Unreachable):
    """It may have been committed."""


class Stopped(Exception):
    """A write that the server refuses; nothing was done."""

    def __init__(self, write: Write, error: dict) -> None:
        super().__init__(str(error.get("errmsg")))
        self.write, self.error = write, error


@dataclass(frozen=True)
class Ability:
    """What a server can do."""

    transactions: bool = False
    bulks: bool = False


def ability(database: Any) -> Ability:
    """Asked of the server: by its new word, and by the old one for those that lack it. Raises Unreachable."""
    replies = database.run([{"hello": 1}, {"isMaster": 1}], False)
    found = [reply for reply in replies if isinstance(reply, dict)]
    if not found:
        for reply in replies:
            if isinstance(reply, Unreachable):
                raise reply
        return Ability()
    says = found[0]
    version = int(says.get("maxWireVersion", 0))
    member = "setName" in says or says.get("msg") == "isdbgrid"
    sessions = says.get("logicalSessionTimeoutMinutes") is not None
    able = member and sessions and version >= WITH_TRANSACTIONS
    return Ability(able, able and version >= WITH_BULKS)


def commit(database: Any, able: Ability, found: Sequence[Write], seconds: float, watch: Watch) -> None:
    """Write all of it or nothing; tried until it is committed, for so long.

    Raises: Unreachable, nothing was done; Undecided; Stopped or Refused, nothing was done and would not be.
    """
    parts = _as_bulks(database.name, found) if able.bulks else _as_commands(found)
    commands, meant = [command for command, _ in parts], [part for _, part in parts]
    deadline, pause = time.monotonic() + seconds, FIRST_PAUSE
    while True:
        left = max(0.0, deadline - time.monotonic())
        ended = database.transact(commands, left, "admin" if able.bulks else None)
        ENDED.labels(ended.how).inc()
        if ended.how == "committed":
            return
        error = _why(ended, meant)
        if isinstance(error, Unreachable):
            watch.lost(error)
        if ended.how == "unknown":
            raise Undecided(str(error))
        if time.monotonic() > deadline or not (ended.how == "again" or _in_the_way(error)):
            raise error
        if isinstance(error, Unreachable):
            watch.wait_back(deadline - time.monotonic())
        else:
            time.sleep(random.random() * pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def _why(ended: Ended, meant: list) -> Union[Unreachable, Refused, Stopped]:
    if ended.error is not None:
        return ended.error
    reply, statements = ended.replies[-1], meant[len(ended.replies) - 1]
    errors = reply.get("writeErrors") or [item for item in reply["cursor"]["firstBatch"] if not item.get("ok")]
    return Stopped(statements[errors[0].get("index", errors[0].get("idx", 0))], errors[0])


def _in_the_way(error: Exception) -> bool:
    """Another writer's: it will have ended. Who wrote the journal's entry of ours is no other."""
    if not isinstance(error, Stopped):
        return False
    own = error.write[1].get("q", {}).get("_id") == writes.JOURNAL["_id"]
    return error.error.get("code") == WRITE_CONFLICT or (error.error.get("code") == writes.DUPLICATE_KEY and not own)


def _as_commands(found: Sequence[Write]) -> list[tuple[dict, list[Write]]]:
    """A command for each run of writes of one kind to one collection."""
    runs: list[list[Write]] = []
    for write in found:
        if not runs or runs[-1][0][0] != write[0] or ("u" in runs[-1][0][1]) != ("u" in write[1]):
            runs.append([])
        runs[-1].append(write)
    commands = []
    for run in runs:
        for chunk in writes.chunks(statement for _, statement in run):
            word, many = ("update", "updates") if "u" in chunk[0] else ("delete", "deletes")
            commands.append(({word: run[0][0], many: chunk, "ordered": True}, [(run[0][0], item) for item in chunk]))
    return commands


def _as_bulks(name: str, found: Sequence[Write]) -> list[tuple[dict, list[Write]]]:
    """One command for all, or a few where that would be too large."""
    collections = list(dict.fromkeys(collection for collection, _ in found))
    spaces = [{"ns": f"{name}.{collection}"} for collection in collections]
    commands, at = [], 0
    for chunk in writes.chunks(statement for _, statement in found):
        part = list(found[at : at + len(chunk)])
        ops = [_op(collections.index(collection), statement) for collection, statement in part]
        commands.append(({"bulkWrite": 1, "ops": ops, "nsInfo": spaces, "ordered": True, "errorsOnly": True}, part))
        at += len(chunk)
    return commands


def _op(space: int, statement: dict) -> dict:
    if "u" not in statement:
        return {"delete": space, "filter": statement["q"], "multi": statement["limit"] == 0}
    op = {"update": space, "filter": statement["q"], "updateMods": statement["u"], "multi": False}
    return {**op, "upsert": True} if statement.get("upsert") else op
