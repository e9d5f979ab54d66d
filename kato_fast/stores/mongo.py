"""Patterns in one MongoDB database, in KATO's own documents: plain KATO reads ours, and we read plain KATO's.

A learn is one transaction where the server has them (see mongo_transactions), else two round trips: the patterns; then,
at the same time, the symbols, the totals with our journal, and the end of the mark (see mongo_writes). The pattern's
document is what counts: symbols and totals are sums over it, and a recount mends them where a server without
transactions went away between the two.

The journal, one document in ``metadata``, has a generation and the names of the last learns. A reader asks for it at
most every 20 ms and fetches the patterns that it names. What plain KATO writes shows in its totals.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Optional

from kato_fast.emotives import EmotivesConflict
from kato_fast.stores import NO_NOTES, Apply, Change, Cleared, Feed, Forgotten, Learned, Put, no_token
from kato_fast.stores import mongo_writes as writes
from kato_fast.stores.mongo_connections import quick
from kato_fast.stores.mongo_driver import Refused, Unreachable, open_database, raised
from kato_fast.stores.mongo_engine import MongoEngine
from kato_fast.stores.mongo_transactions import HAS_NONE, Ability, Stopped, Undecided, Write, ability, commit
from kato_fast.stores.mongo_watch import Watch

log = logging.getLogger("kato_fast")

#: Another's write is seen after this many seconds at the latest.
FRESH_SECONDS = 0.02
#: A write tries for so long to get an answer.
WRITE_SECONDS = 5.0
#: Foreign writes make the whole be read again, not more often than this.
RELOAD_SECONDS = 1.0

TOKEN = re.compile(r"([0-9a-f]{32})\.([0-9]{1,18})\.((?:[0-9a-f]{24})?)")

OWN_KEPT = 1000
DOUBTFUL_KEPT = 1000

UNIQUE = ("patterns_kb", "symbols_kb")


class MongoStore:
    """The store protocol on a database.

    Args:
        address: a connection string. Credentials in it are in no error, log or repr.
        name: of the database, if the address names none.

    Raises: ValueError for an address that cannot be right, ImportError without libmongoc and pymongo; from the first
        changes() on, Unreachable (a ConnectionError) and Refused (an OSError). A learn that raised Unreachable may have
        been stored; learned again, it counts once.
    """

    def __init__(self, address: str, name: Optional[str] = None) -> None:
        self._patient = open_database(address, name)  # for what may take long
        self.database = open_database(quick(address), self._patient.name)
        self._watch = Watch.of(address)
        self.where = self.database.where
        self._lock = threading.RLock()
        self._asking = threading.Lock()
        self._closed = False
        self._seen: Optional[dict] = None  # the journal, as the engine has it
        self._again = False
        self._offset = 0  # KATO's total of learns less the journal's: what plain KATO learned
        self._notes: dict[str, str] = {}
        self._untold = ""  # the first of this process's operations that the journal was not seen to have
        self._own: deque[str] = deque(maxlen=OWN_KEPT)
        self._doubtful: dict[str, str] = {}
        self._able = Ability()
        self._undecided: dict[str, dict[str, int]] = {}  # by pattern: operations, and the generation before each
        self._owed: list[list[dict]] = []  # notes and journal entries whose counters got no answer
        self._asked = self._reloaded = float("-inf")
        self.trouble: Optional[Unreachable] = None
        self._resident = True

    def engine(self, new: Callable[[], Any]) -> MongoEngine:
        """What answers from the server; changes() yields no pattern from then on."""
        self._resident = False
        return MongoEngine(self._patient, new, self._check_there, self._watch.lost)

    def __repr__(self) -> str:
        return f"<MongoStore {self.where} over {self.database.kind}>"

    # reading

    def pending(self) -> bool:
        """Whether it is time to ask the server; never waits, and never for a server that is away."""
        if self._seen is None:
            return True
        old = self._again or time.monotonic() - self._asked > FRESH_SECONDS
        return old and self._watch.away is None and not self._asking.locked()

    def changes(self) -> Iterator[Change]:
        """What others wrote; where no server answers, nothing: the engine serves what it has, if it has been loaded."""
        with self._lock, self._asking:
            self._check_open()
            try:
                self._check_there()
                yield from self._ask()
                self.trouble = None
            except Unreachable as error:
                self._watch.lost(error)
                self.trouble = error
                if self._seen is None:
                    raise

    def rewind(self) -> None:
        """The next changes() begins with Cleared and yields everything."""
        self._again = True

    def expect(self) -> None:
        """Somebody wrote: pending() says so before it is time."""
        self._asked = float("-inf")

    def token(self) -> str:
        """The journal's epoch and generation as the engine has them, and the own operation that comes after them."""
        seen = self._seen
        return "" if seen is None else f"{seen['epoch']}.{seen['generation']}.{self._untold}"

    def reached(self, token: str) -> bool:
        """By the journal as it was last read; False has it read again."""
        epoch, generation, operation = _parsed_token(token)
        found = self._seen is not None and _has(self._seen, epoch, generation, operation)
        if not found:
            self.expect()
        return found

    def note(self, key: str) -> Optional[str]:
        """As of the last changes(); never waits."""
        return self._notes.get(key)

    def lineage(self) -> str:
        """Another one after every clear(), and in every other database; "" before the first changes()."""
        return self._seen["epoch"] if self._seen is not None else ""

    def _ask(self) -> Iterator[Change]:
        asked = time.monotonic()
        if self._seen is None:
            self._prepare()
        elif self._owed:
            self._settle()
        journal, learns = self._journal()
        if journal is None:  # plain KATO dropped the database
            self._prepare()
            journal, learns = self._journal()
        if self._seen is None or self._again or journal["epoch"] != self._seen["epoch"]:
            yield from self._everything(journal, learns)
        else:
            yield from self._since(journal, learns)
        if self._seen is not None and _has(journal, self._seen["epoch"], self._seen["generation"], self._untold):
            self._untold = ""
        self._seen, self._again, self._asked = journal, False, asked

    def _everything(self, journal: dict, learns: int) -> Iterator[Change]:
        if self._seen is not None:
            yield Cleared()
        self._offset = learns - journal["learns"]
        self._read_notes()
        yield from self._all()

    def _all(self) -> Iterator[Change]:
        """Every pattern, in order of _id."""
        self._reloaded = time.monotonic()
        if self._resident:
            yield Feed(self._feed, self._puts)

    def _feed(self, engine: Any) -> bool:
        """From the bytes, where the driver and the engine are both in C."""
        if not self._patient.takes(engine):
            return False
        _, _, skipped = self._patient.load(engine)
        if skipped:
            log.warning("%s: %d documents that are no patterns were left out", self.where, skipped)
        return True

    def _puts(self) -> Iterator[Put]:
        patterns = getattr(self._patient, "patterns", None)
        found = patterns() if patterns else self._patient.find("patterns_kb", {}, sort={"_id": 1})
        for document in found:
            if document.get("frequency", 0) >= 1:
                yield self._put(document)

    def _put(self, document: dict) -> Put:
        try:
            name, events = document["name"], document["pattern_data"]
            return Put(name, events, int(document["frequency"]), document.get("emotives") or _none(document))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"a document of patterns_kb is no pattern ({error!r}): {self.where}") from error

    def _since(self, journal: dict, learns: int) -> Iterator[Change]:
        assert self._seen is not None
        missed = journal["generation"] - self._seen["generation"]
        entries = journal["recent"][-missed:] if missed else []
        if missed > len(journal["recent"]) or any(entry["n"] is None and not self._is_own(entry) for entry in entries):
            yield from self._everything(journal, learns)
            return
        names = dict.fromkeys(name for entry in entries if not self._is_own(entry) for name in entry["n"])
        if any("w" in entry for entry in entries):
            self._read_notes()
        yield from self._named(list(names))
        yield from self._foreign(journal, learns)

    def _is_own(self, entry: dict) -> bool:
        return entry["o"] in self._own

    def _named(self, names: list[str]) -> Iterator[Change]:
        if not names or not self._resident:
            return
        found = self.database.find("patterns_kb", {"name": {"$in": names}})
        by_name = {document["name"]: document for document in found if document.get("frequency", 0) >= 1}
        for name in names:
            if name not in by_name:
                yield Forgotten(name)
        for name in names:
            if name in by_name:
                yield self._put(by_name[name])

    def _foreign(self, journal: dict, learns: int) -> Iterator[Change]:
        """Plain KATO counts in the totals and knows no journal."""
        offset = learns - journal["learns"]
        if offset > self._offset and time.monotonic() - self._reloaded >= RELOAD_SECONDS:
            self._offset = offset
            yield from self._all()

    def _journal(self) -> tuple[Optional[dict], int]:
        """Ours, and KATO's total of learns; one round trip."""
        found = self.database.find("metadata", {"$or": [writes.JOURNAL, writes.TOTALS]})
        journal = next((item for item in found if item.get("_id") == writes.JOURNAL["_id"]), None)
        totals = next((item for item in found if item.get("class") == "totals"), {})
        return journal, int(totals.get(writes.TOTAL_NAMES[0], 0))

    def _read_notes(self) -> None:
        found = self.database.find("metadata", {"class": writes.NOTE})
        self._notes = {item["key"]: item["value"] for item in found}

    def _prepare(self) -> None:
        """KATO's unique names and totals, and the journal."""
        self._ping()
        self._able = ability(self.database)
        for collection in UNIQUE:
            index = {"key": {"name": 1}, "name": "name_1", "unique": True, "background": True}
            reply = self._patient.run([{"createIndexes": collection, "indexes": [index]}])[0]
            if not (isinstance(reply, Refused) and reply.code in (85, 86)):  # there under another name or option
                raised(reply)
        start = {"_id": "totals", **dict.fromkeys(writes.TOTAL_NAMES, 0)}
        statements = [
            {"q": writes.TOTALS, "u": {"$setOnInsert": start}, "upsert": True},
            {"q": writes.JOURNAL, "u": {"$setOnInsert": self._new_journal()}, "upsert": True},
        ]
        raised(self._write([writes.update("metadata", statements)])[0])

    def _new_journal(self) -> dict:
        return {"class": "kato_fast", "epoch": uuid.uuid4().hex, "generation": 0, "learns": 0, "recent": []}

    # writing

    def learn(
        self, batch: Callable[[], Sequence[Learned]], apply: Apply, notes: Mapping[str, str] = NO_NOTES
    ) -> Sequence[Learned]:
        """What was acknowledged is stored. Without transactions a batch that the server leaves half way is stored to
        there, and the engine reads that again.
        """
        with self._lock:
            self._check_open()
            learned = batch()
            operation = uuid.uuid4().hex[:24]
            if not (learned or notes) or self._learn_whole(learned, operation, notes):
                return learned
            rows = writes.rows_of(learned, operation, self._doubtful)
            if rows:
                self._write_patterns(rows)
            self._write_counters(list(rows.values()), operation, notes)
            return learned

    def _learn_whole(self, learned: Sequence[Learned], operation: str, notes: Mapping[str, str]) -> bool:
        """In a transaction; False where the server has none."""
        rows = writes.rows_of(learned, operation, {})
        deadline = time.monotonic() + WRITE_SECONDS
        while self._able.transactions and (rows or notes):
            doubts = self._doubts(rows)
            try:
                self._commit(self._writes_of(list(rows.values()), operation, notes, doubts), operation, deadline)
            except Undecided:
                before = self._seen["generation"] if self._seen else 0
                for name in rows:
                    self._undecided.setdefault(name, {})[operation] = before
                raise
            except Stopped as stopped:
                self._settle_doubts(rows, doubts, stopped)
            except Refused as error:
                if error.code not in HAS_NONE:
                    raise
                log.warning("%s has no transactions: learns take two round trips: %s", self.where, error)
                self._able = Ability()
            else:
                self._notes.update(notes)
                for name in rows:
                    self._undecided.pop(name, None)
                return True
        return self._able.transactions

    def _doubts(self, rows: dict[str, writes.Row]) -> dict[str, int]:
        return {operation: at for name in rows for operation, at in self._undecided.get(name, {}).items()}

    def _writes_of(
        self, rows: list[writes.Row], operation: str, notes: Mapping[str, str], doubts: dict[str, int]
    ) -> list[Write]:
        """All of a learn; what most other writers write too comes last, so that it is held for the shortest."""
        new_id = self.database.object_id
        found = [("patterns_kb", writes.pattern_statement(row, new_id(writes.new_id()), False)) for row in rows]
        noted = [("metadata", writes.note_statement(key, text)) for key, text in notes.items()]
        return [*found, *_symbols(rows), *noted, *_counted(rows, operation, bool(notes), doubts)]

    def _commit(self, found: list[Write], operation: str, deadline: float) -> None:
        self._check_there()
        commit(self.database, self._able, found, deadline - time.monotonic(), self._watch)
        self._own.append(operation)
        if not self._owed:
            self._untold = operation

    def _settle_doubts(self, rows: dict[str, writes.Row], doubts: dict[str, int], stopped: Stopped) -> None:
        """Take out of rows what an earlier learn, which got no answer, has stored; what is refused else is final."""
        collection, statement = stopped.write
        if collection != "metadata" or not doubts:
            if collection == "patterns_kb":
                self._judge([rows[statement["q"]["name"]]], [stopped.error])
            raise Refused(f"MongoDB at {self.where} refuses: {stopped}", stopped.error.get("code", 0))
        journal, _ = self._journal()
        known = {entry["o"] for entry in journal["recent"]} if journal else set()
        for name in [name for name in rows if name in self._undecided]:
            operations = self._undecided[name]
            if known & set(operations):
                del rows[name], self._undecided[name]
                self._again = True  # the engine may have it from the journal
            elif journal and journal["generation"] >= min(operations.values()) + writes.JOURNAL_KEEPS:
                del self._undecided[name]
                raise Refused(
                    f"MongoDB at {self.where} cannot tell any more whether an earlier learn of {name}, which got no "
                    "answer, was stored; learned again, it counts"
                )

    def _write_patterns(self, rows: dict[str, writes.Row]) -> None:
        left = dict(rows)
        deadline = time.monotonic() + WRITE_SECONDS
        self._check_there()
        while left:
            try:
                self._try_patterns(left)
            except Unreachable as error:
                self._watch.lost(error)
                for row in left.values():
                    row.doubtful = True
                if time.monotonic() > deadline:
                    self._remember(left)
                    if len(left) < len(rows):
                        self._again = True
                    raise
                self._watch.wait_back(deadline - time.monotonic())
        for name in rows:
            self._doubtful.pop(name, None)

    def _remember(self, left: dict[str, writes.Row]) -> None:
        """A client that repeats the learn must not count twice."""
        for row in left.values():
            self._doubtful[row.name] = row.mark
        while len(self._doubtful) > DOUBTFUL_KEPT:
            del self._doubtful[next(iter(self._doubtful))]

    def _try_patterns(self, left: dict[str, writes.Row]) -> None:
        """One attempt; takes out of left what is stored."""
        order = list(left.values())
        statements = [writes.pattern_statement(row, self.database.object_id(writes.new_id())) for row in order]
        at = 0
        for chunk in writes.chunks(statements):
            reply = raised(self._write([writes.update("patterns_kb", chunk)])[0])
            failed = {error["index"]: error for error in reply.get("writeErrors", ())}
            self._judge([order[at + index] for index in failed], list(failed.values()))
            for index, row in enumerate(order[at : at + len(chunk)]):
                if index not in failed or self._has_mark(row):
                    left.pop(row.name, None)
            at += len(chunk)

    def _judge(self, rows: list[writes.Row], errors: list[dict]) -> None:
        """A name that is there: another writer was quicker, or our own lost write. Everything else is final."""
        for row, error in zip(rows, errors):
            if error.get("code") == writes.DUPLICATE_KEY:
                row.doubtful = True
                continue
            self._again = True
            if row.pushed:
                raise EmotivesConflict(
                    "emotives cannot be added to a pattern that was first learned without any, as in KATO of "
                    "September 2025"
                )
            raise Refused(f"MongoDB at {self.where} refuses: {error.get('errmsg')}", error.get("code", 0))

    def _has_mark(self, row: writes.Row) -> bool:
        return bool(self.database.find("patterns_kb", {"name": row.name, row.mark: 1}, projection={"_id": 1}))

    def _write_counters(self, rows: list[writes.Row], operation: str, notes: Mapping[str, str]) -> None:
        """The second round trip. Where it gets no answer the learn is stored all the same; the counters are owed."""
        totals = writes.totals_of(rows)
        names, learns = [row.name for row in rows], totals[writes.TOTAL_NAMES[0]]
        noted = [writes.note_statement(key, text) for key, text in notes.items()]
        owed = [*noted, writes.journal_statement(operation, names, learns, bool(notes))]
        metadata = writes.update("metadata", [*owed, writes.totals_statement(totals)], ordered=True)
        self._notes.update(notes)
        self._own.append(operation)
        if not self._owed:
            self._untold = operation
        try:
            self._add(writes.symbol_statements(rows), [writes.unmark_statement(row) for row in rows], metadata)
        except (Unreachable, Refused) as error:
            log.warning("%s: a learn is stored, its counters will be counted again: %s", self.where, error)
            self._owed.append(owed)

    def _add(self, symbols: list[dict], marks: list[dict], metadata: dict) -> None:
        """Symbols, marks and totals at the same time; more bulks where one does not hold them."""
        symbol_chunks, mark_chunks = list(writes.chunks(symbols)), list(writes.chunks(marks))
        first = [metadata]
        first += [writes.update("symbols_kb", symbol_chunks.pop(0))] if symbol_chunks else []
        first += [writes.update("patterns_kb", mark_chunks.pop(0))] if mark_chunks else []
        self._send(first)
        for collection, rest in (("symbols_kb", symbol_chunks), ("patterns_kb", mark_chunks)):
            for chunk in rest:
                self._send([writes.update(collection, chunk)])

    def _send(self, commands: list[dict]) -> None:
        """A symbol that two writers inserted at once is refused to one of them, which asks again."""
        replies = [raised(reply) for reply in self._write(commands)]
        for command, reply in zip(commands, replies):
            for error in reply.get("writeErrors", ()):
                if error.get("code") != writes.DUPLICATE_KEY:
                    raise Refused(f"MongoDB at {self.where} refuses: {error.get('errmsg')}", error.get("code", 0))
            again = [command["updates"][error["index"]] for error in reply.get("writeErrors", ())]
            if again:
                self._send([{**command, "updates": again}])

    def _write(self, commands: list[dict]) -> list:
        return self.database.run(commands, True)

    def _settle(self) -> None:
        """A server that went away in the second round trip is back: tell the others, and count again."""
        from kato_fast.stores.mongo_verify import verify

        journal, _ = self._journal()
        known = {entry["o"] for entry in journal["recent"]} if journal else set()
        for owed in self._owed:
            if owed[-1]["u"]["$push"]["recent"]["$each"][0]["o"] not in known:
                self._send([writes.update("metadata", owed, ordered=True)])
        verify(self._patient, repair=True)
        self._owed.clear()

    def forget(self, name: str, apply: Apply) -> bool:
        """Remove the pattern, and from the counters what its learns added; symbols that fall to 0 go."""
        with self._lock:
            self._check_open()
            self._check_there()
            found = self.database.find("patterns_kb", {"name": name})
            if not found:
                return False
            row = writes.Row(name, found[0]["pattern_data"], "", count=-int(found[0]["frequency"]))
            self._doubtful.pop(name, None)
            self._undecided.pop(name, None)
            self._forget(row, uuid.uuid4().hex[:24])
            return True

    def _forget(self, row: writes.Row, operation: str) -> None:
        delete = {"q": {"name": row.name}, "limit": 1}
        gone = {"q": {"pattern_member_frequency": {"$lte": 0}}, "limit": 0}
        if self._able.transactions:
            symbols, counted = _symbols([row]), _counted([row], operation)
            found = [("patterns_kb", delete), *symbols, ("symbols_kb", gone), *counted]
            try:
                self._commit(found, operation, time.monotonic() + WRITE_SECONDS)
            except Stopped as stopped:
                raise Refused(f"MongoDB at {self.where} refuses: {stopped}", stopped.error.get("code", 0)) from None
            return
        raised(self._write([{"delete": "patterns_kb", "deletes": [delete]}])[0])
        self._write_counters([row], operation, NO_NOTES)
        with suppress(Unreachable, Refused):  # they count for nothing; a recount takes them
            raised(self._write([{"delete": "symbols_kb", "deletes": [gone]}])[0])

    def clear(self, apply: Apply) -> None:
        """Remove everything that a learn or an observation wrote."""
        with self._lock:
            self._check_open()
            self._ping()
            everything = [{"q": {}, "limit": 0}]
            for collection in ("patterns_kb", "symbols_kb", "predictions_kb"):
                raised(self._patient.run([{"delete": collection, "deletes": everything}])[0])
            others = [{"q": {"class": writes.NOTE}, "limit": 0}]
            raised(self._write([{"delete": "metadata", "deletes": others}])[0])
            fresh = self._new_journal()
            del fresh["generation"]  # goes on, so that a later journal can be told from an earlier one
            statements = [
                {"q": writes.TOTALS, "u": {"$set": dict.fromkeys(writes.TOTAL_NAMES, 0)}, "upsert": True},
                {"q": writes.JOURNAL, "u": {"$set": fresh, "$inc": {"generation": 1}}, "upsert": True},
            ]
            raised(self._write([writes.update("metadata", statements, ordered=True)])[0])
            self._cleared()
            self._notes.clear()
            self._doubtful.clear()
            self._undecided.clear()
            self._owed.clear()

    def _cleared(self) -> None:
        """What the engine has is the journal without what came after it was emptied."""
        self._untold, self._again = "", True
        with suppress(Unreachable):
            journal, _ = self._journal()
            since = len(journal["recent"]) if journal else writes.JOURNAL_KEEPS
            if journal and since < writes.JOURNAL_KEEPS:
                self._seen = {**journal, "generation": journal["generation"] - since, "recent": []}
                self._offset, self._again = 0, False

    # checking

    def verify(self, repair: bool = False) -> list[str]:
        """Every difference between the counters and a recount of the patterns, as text; with repair they are mended.

        Right only while nobody learns.
        """
        from kato_fast.stores.mongo_verify import verify

        with self._lock:
            self._check_open()
            return verify(self._patient, repair)

    # life

    def close(self) -> None:
        """End the connections; a second call does nothing."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._watch.release()
                self._patient.close()
                self.database.close()

    def _check_there(self) -> None:
        """What is known to be away is not waited for."""
        if self._watch.away is not None:
            raise Unreachable(str(self._watch.away))

    def _ping(self) -> None:
        """Before what may take long: a server that says nothing is found out over a connection with narrow bounds."""
        self._check_there()
        raised(self._write([{"ping": 1}])[0])

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"the store is closed: {self.where}")


def _symbols(rows: Sequence[writes.Row]) -> list[Write]:
    return [("symbols_kb", statement) for statement in writes.symbol_statements(rows)]


def _counted(
    rows: Sequence[writes.Row], operation: str, notes: bool = False, doubts: Mapping[str, int] = writes.NOTHING
) -> list[Write]:
    """The totals, and the journal's entry."""
    totals = writes.totals_of(rows)
    entry = writes.journal_statement(
        operation, [row.name for row in rows], totals[writes.TOTAL_NAMES[0]], notes, doubts
    )
    return [("metadata", writes.totals_statement(totals)), ("metadata", entry)]


def _parsed_token(token: str) -> tuple[str, int, str]:
    found = TOKEN.fullmatch(token)
    if found is None:
        raise no_token(token)
    return found[1], int(found[2]), found[3]


def _has(journal: dict, epoch: str, generation: int, operation: str) -> bool:
    """Whether a journal holds, or has held, what a token names. Generations never go back, not even by clear()."""
    reached = journal["generation"]
    if not operation:
        return reached >= generation
    if journal["epoch"] != epoch:
        return reached > generation
    entries = journal["recent"]
    return reached >= generation + writes.JOURNAL_KEEPS or any(entry["o"] == operation for entry in entries)


def _none(document: dict) -> Optional[list]:
    """KATO keeps an empty object where a pattern has no emotives, and a list where it has some."""
    return [] if document.get("emotives") == [] else None
