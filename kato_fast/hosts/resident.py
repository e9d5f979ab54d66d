"""One knowledge base of the host, in the engine, in step with its database.

The totals that every learn increments are the version: they are read once before every answer, and where they are not
what this process made them, another process has learned or cleared, and what it changed is taken in. Clearing makes a
new document of them, so that its id tells of a clear after which as much was learned as before. Counters are
compared with the database's whenever something was taken in. Where they do not agree, because somebody deleted or
edited documents, the engine still finds what matches, and the host computes its metrics itself.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Optional

from kato_fast import native, observe
from kato_fast.rollout import Declined, waiting

log = logging.getLogger("kato_fast")

TOTALS = ("total_pattern_frequencies", "total_symbol_frequencies", "total_symbols_in_patterns_frequencies")

#: Another process may learn while its changes are read; then they are read again.
TRIES = 5

#: Seconds until counters that disagree are compared again: doubled each time.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 60.0

#: Names in one query: well under the size of a message.
CHUNK = 10_000

#: 1: nobody else writes to these databases, so the totals need not be read before every answer.
SINGLE_WRITER = "KATO_FAST_SINGLE_WRITER"

_RELOADS = observe.counter("kato_fast_host_reloads_total", "what another process wrote was taken in", ("why",))


class Resident:
    """The patterns of one database in memory. Every method may be called from many threads."""

    def __init__(self, database: Any, *, indexed: bool, threads: int = 1, generation: str = "2025-09") -> None:
        self.name = database.name
        self.indexed, self.generation = indexed, generation
        self._patterns, self._symbols, self._metadata = (database[n] for n in ("patterns_kb", "symbols_kb", "metadata"))
        self._threads = threads
        self._lock = threading.RLock()
        self._single = os.environ.get(SINGLE_WRITER, "0") not in ("", "0")
        self._empty()
        self.stale = "new"

    def _empty(self) -> None:
        self.engine = native.load().Knowledge(indexed=self.indexed, threads=self._threads, generation=self.generation)
        self._frequencies: dict = {}
        self._expected = (None, 0, 0, 0)
        self._arrived: dict = {}
        self.stale = ""
        self.disagrees = ""
        self.foreign = ""
        self._pause, self._look_at = FIRST_PAUSE, 0.0

    # asking

    def current(self, *, counters: bool = True) -> Any:
        """The engine with all that is in the database. Raises Declined where it cannot hold it.

        counters: also the symbols' and the totals' figures must be the database's.
        """
        with self._lock:
            with waiting():
                self._keep_up()
            if self.foreign:
                raise Declined("document_shape")
            if counters and self.disagrees:
                raise Declined("counters_disagree")
            return self.engine

    def arrived(self) -> Mapping[str, list]:
        """Flat patterns that came from the database since the last call: the host's own cache takes them too."""
        with self._lock:
            arrived, self._arrived = self._arrived, {}
            return arrived

    def documents(self, names: Iterable[str]) -> dict:
        """The database's own documents of these patterns, in one query a chunk."""
        names = list(names)
        found: dict = {}
        for start in range(0, len(names), CHUNK):
            query = {"name": {"$in": names[start : start + CHUNK]}}
            with waiting():
                found.update((document["name"], document) for document in self._patterns.find(query, {"_id": 0}))
        return found

    # changing

    def learned(self, events: list, emotives: Optional[dict], persistence: int) -> None:
        """The host stored one learn. Never raises: what cannot be followed is read from the database again."""
        with self._lock:
            if self.stale:
                return
            try:
                self._learn(events, emotives, persistence)
            except Exception as error:
                log.debug("%s: a learn could not be followed: %s", self.name, error)
                self.stale = "learn"

    def _learn(self, events: list, emotives: Optional[dict], persistence: int) -> None:
        name = self.engine.name(events)
        kept = None
        if emotives is not None:
            known = self.engine.pattern(name)
            window = [*(known["emotives"] or () if known else ()), emotives]
            kept = window[-persistence:] if persistence > 0 else []
        if self.engine.learn(events, kept) is None:
            raise ValueError("fewer than two symbols")
        self._frequencies[name] = self._frequencies.get(name, 0) + 1
        symbols = sum(map(len, events))
        added = (1, symbols, len(set(chain.from_iterable(events))))
        document, *totals = self._expected
        self._expected = (document, *map(sum, zip(totals, added)))

    def cleared(self) -> None:
        """The host dropped the database."""
        with self._lock:
            self._empty()

    def changed(self, why: str) -> None:
        """The host changed documents in a way that the totals do not show."""
        with self._lock:
            self.stale = why

    # keeping up

    def _keep_up(self) -> None:
        again = bool(self.disagrees) and time.monotonic() >= self._look_at
        if self._single and not self.stale and not again:
            return
        if not self._reachable():
            raise Declined("connection", "the driver knows no server")
        totals = self._totals()
        if self.stale or again or totals != self._expected:
            _RELOADS.labels(self.stale or "totals").inc()
            self._take_in(totals)

    def _reachable(self) -> bool:
        """While the server is away the host waits for it, once: nobody waits before that for the same."""
        known = getattr(self._metadata.database.client, "topology_description", None)
        return known is None or known.has_readable_server()

    def _totals(self) -> tuple:
        """The id of their document, and the three."""
        found = self._metadata.find_one({"class": "totals"}) or {}
        return (found.get("_id"), *(found.get(name, 0) for name in TOTALS))

    def _take_in(self, totals: tuple) -> None:
        """Until nobody wrote meanwhile; somebody who never stops leaves figures that disagree, seen and counted."""
        for _ in range(TRIES):
            self.foreign = ""
            self._read()
            symbols = {
                item["name"]: {key: item.get(key, 0) for key in ("frequency", "pattern_member_frequency")}
                for item in self._symbols.find({}, {"_id": 0, "name": 1, "frequency": 1, "pattern_member_frequency": 1})
            }
            before, totals = totals, self._totals()
            if totals == before:
                self.stale = ""
                break
        else:
            self.stale = "racing"
        self._expected = totals
        self.disagrees = self._difference(totals, symbols)
        # Somebody's learn may have been half written; somebody's deletion stays.
        self._pause = min(self._pause * 2, LONGEST_PAUSE) if self.disagrees else FIRST_PAUSE
        self._look_at = time.monotonic() + self._pause

    def _difference(self, totals: tuple, symbols: dict) -> str:
        have = self.engine.totals()
        if tuple(have[name] for name in TOTALS) != totals[1:]:
            return "totals"
        return "" if self.engine.symbols() == symbols else "symbols"

    def _read(self) -> None:
        """Everything at first; later the frequencies, and the documents whose frequency is another one."""
        if not self._frequencies:
            if len(self.engine):
                self.engine.clear()
            self._put(self._patterns.find({"frequency": {"$gte": 1}}, _FIELDS))
            return
        now = {
            item["name"]: item["frequency"]
            for item in self._patterns.find({"frequency": {"$gte": 1}}, {"_id": 0, "name": 1, "frequency": 1})
        }
        for name in self._frequencies.keys() - now.keys():
            self.engine.forget(name)
            del self._frequencies[name]
        stale = self.stale not in ("", "new")
        other = [name for name, frequency in now.items() if stale or self._frequencies.get(name) != frequency]
        for start in range(0, len(other), CHUNK):
            self._put(self._patterns.find({"name": {"$in": other[start : start + CHUNK]}}, _FIELDS))

    def _put(self, documents: Iterable[Mapping]) -> None:
        for document in documents:
            name, events = document.get("name"), document.get("pattern_data")
            try:
                if self.engine.put(events, document["frequency"], document.get("emotives") or None) != name:
                    raise ValueError("its name is not that of its events")
            except (KeyError, TypeError, ValueError) as error:
                self.foreign = f"pattern {name}: {error}"
                log.warning("%s: the engine cannot hold %s", self.name, self.foreign)
                continue
            if name not in self._frequencies:
                self._arrived[name] = list(chain.from_iterable(events))
            self._frequencies[name] = document["frequency"]

    def arrived_all(self) -> dict:
        """Every pattern, flat, by name: the host's own cache after it was loaded."""
        with self._lock:
            self._arrived = {}
            patterns = map(self.engine.pattern, self.engine.names())
            return {item["name"]: list(chain.from_iterable(item["pattern_data"])) for item in patterns}


_FIELDS = {"_id": 0, "name": 1, "pattern_data": 1, "frequency": 1, "emotives": 1}


class Residents:
    """The residents of this process: one a knowledge base, alive as long as a searcher of the host uses it.

    generation: of the host, see ``kato_fast.profiles``.
    """

    def __init__(self) -> None:
        self.generation = "2025-09"
        self._of_searcher: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
        self._of_name: weakref.WeakValueDictionary = weakref.WeakValueDictionary()
        self._lock = threading.Lock()

    def of(self, searcher: Any, *, make: bool = True) -> Optional[Resident]:
        """The resident of a searcher; a new one where there is none yet, unless told otherwise."""
        found = self._of_searcher.get(searcher)
        if found is not None or not make:
            return found
        with self._lock:
            indexed = bool(searcher.use_indexing and searcher.index_manager)
            found = self._of_name.get(searcher.kb_id)
            if found is None or found.indexed != indexed:
                found = Resident(
                    searcher.knowledgebase, indexed=indexed, threads=_threads(), generation=self.generation
                )
            self._of_searcher[searcher] = self._of_name[searcher.kb_id] = found
            return found

    def named(self, name: str) -> Optional[Resident]:
        """The resident of a knowledge base, if any searcher uses it."""
        return self._of_name.get(name)

    def drop(self) -> None:
        """All of them: what is asked next is loaded again."""
        with self._lock:
            self._of_searcher.clear()
            self._of_name.clear()


def _threads() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return max(1, min(64, len(affinity(0)) if affinity else os.cpu_count() or 1))
