"""Learns the items of many files into a knowledge base, and knows what it has already learned.

The record of what was learned (a store's *notes*: one per content of a file, with the number of items taken from it) is
written in the same transaction as the patterns. So whatever stops the process, no sequence is lost and none is learned
twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Optional

from kato_fast.cli import ingest
from kato_fast.cli.ingest import Events, NotReadable, Options, Refused, Source
from kato_fast.stores import SYMBOL_ORDER

#: One transaction takes this many sequences or symbols, whichever is reached first.
BATCH_SEQUENCES = 1000
BATCH_SYMBOLS = 200_000
#: Notes of the store with this prefix are the record: the rest of the key names content and options.
NOTE = "learned:"
#: Items between two looks at the clock for the progress bar.
PROGRESS_EVERY = 64


@dataclass
class Skipped:
    """Why something was not learned, how often, and where first."""

    reason: str
    error: bool
    count: int = 0
    first: str = ""


@dataclass
class Report:
    """What a run did.

    learned: sequences learned by this run, new: of them those that were no pattern yet, parts: those that are parts of
    longer ones, already: items that earlier runs had taken. stopped: before the end, on request.
    order_kept: events were learned whose symbols are not sorted. storing: seconds that the knowledge base took; the
    others went into reading the files.
    """

    files: int = 0
    files_already: int = 0
    learned: int = 0
    new: int = 0
    parts: int = 0
    already: int = 0
    seconds: float = 0.0
    storing: float = 0.0
    stopped: bool = False
    order_kept: bool = False
    skipped: dict[str, Skipped] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        """Patterns learned per second of the run, reading the files included."""
        return self.learned / self.seconds if self.seconds > 0 else 0.0

    @property
    def errors(self) -> int:
        """How many skips mean that the input is wrong."""
        return sum(skip.count for skip in self.skipped.values() if skip.error)

    def skip(self, reason: str, place: str, error: bool, detail: str = "") -> None:
        """Count one thing that is not learned."""
        skip = self.skipped.setdefault(reason, Skipped(reason, error))
        skip.error = skip.error or error
        skip.count += 1
        skip.first = skip.first or (f"{place}: {detail}" if detail else place)


@dataclass(frozen=True)
class _Entry:
    item: Events
    source: Source
    key: str
    position: int


class Learner:
    """Feeds one knowledge base.

    Args:
        stop: asked between items; True ends the run after the batch at hand.
        progress: told the bytes read so far, and the report.
    """

    def __init__(
        self,
        kb: Any,
        options: Options,
        *,
        stop: Callable[[], bool] = lambda: False,
        progress: Optional[Callable[[float, Report], None]] = None,
    ) -> None:
        self.report = Report()
        self._kb, self._options, self._stop = kb, options, stop
        self._progress = progress or (lambda read, report: None)
        self._entries: list[_Entry] = []
        self._symbols = 0
        self._notes: dict[str, str] = {}
        self._read = 0.0

    def learn(self, sources: Iterable[Source]) -> Report:
        """Learn every item of the sources that was not learned before."""
        started = time.perf_counter()
        try:
            for source in sources:
                if self._stopping():
                    break
                self._source(source)
            self._flush()
        finally:
            self.report.seconds = time.perf_counter() - started
        return self.report

    def _stopping(self) -> bool:
        """Asked only where there is more to do: a run that was complete was not stopped."""
        self.report.stopped = self.report.stopped or self._stop()
        return self.report.stopped

    def _source(self, source: Source) -> None:
        self.report.files += 1
        try:
            data = ingest.read(source)
            self._items(source, data, NOTE + ingest.key(source, data, self._options))
        except NotReadable as error:
            # A folder may hold anything; a file that was named is meant.
            self.report.skip(error.reason, str(source.path), error.error or source.named, error.detail)
        self._read += source.size
        self._progress(self._read, self.report)

    def _items(self, source: Source, data: bytes, key: str) -> None:
        taken, finished = self._recorded(key)
        if finished:
            self.report.files_already += 1
            self.report.already += taken
            return
        position = 0
        for item in ingest.items(source, data, self._options):
            position += 1
            if position <= taken:
                self.report.already += 1
                continue
            self._take(item, source, key, position)
            if position % PROGRESS_EVERY == 0:
                self._progress(self._read + item.at * source.size, self.report)
                if self._stopping():
                    return
        self._notes[key] = f"{position} all"

    def _recorded(self, key: str) -> tuple[int, bool]:
        """How many items of the content were taken, and whether that was all."""
        note = self._notes.get(key) or self._kb.note(key)
        if note is None:
            return 0, False
        taken, _, rest = note.partition(" ")
        return int(taken), rest == "all"

    def _take(self, item: ingest.Item, source: Source, key: str, position: int) -> None:
        if isinstance(item, Refused):
            self.report.skip(item.reason, f"{source.path}: {item.place}", item.error, item.detail)
        else:
            self._entries.append(_Entry(item, source, key, position))
            self._symbols += sum(map(_size, item.events)) if isinstance(item.events, list) else 0
        self._notes[key] = str(position)
        if len(self._entries) >= BATCH_SEQUENCES or self._symbols >= BATCH_SYMBOLS:
            self._flush()

    def _flush(self) -> None:
        if not self.report.order_kept and any(_is_unsorted(entry.item.events) for entry in self._entries):
            self.report.order_kept = True
        if self.report.order_kept:
            self._notes[SYMBOL_ORDER] = "kept"
        started = time.perf_counter()
        if self._entries or self._notes:
            self._commit(self._entries, self._notes)
        self.report.storing += time.perf_counter() - started
        self._entries, self._symbols, self._notes = [], 0, {}

    def _commit(self, entries: list[_Entry], notes: dict[str, str]) -> None:
        """Learn the entries with the notes in one transaction; what cannot be learned is found by halving."""
        before = len(self._kb)
        try:
            names = self._kb.learn_many(
                [entry.item.events for entry in entries],
                emotives=[entry.item.emotives for entry in entries],
                notes=notes,
            )
        except (TypeError, ValueError) as error:
            if len(entries) <= 1:
                self._refuse(entries, error, notes)
            else:
                half = len(entries) // 2
                self._commit(entries[:half], {entry.key: str(entry.position) for entry in entries[:half]})
                self._commit(entries[half:], notes)
            return
        self.report.learned += sum(name is not None for name in names)
        self.report.new += len(self._kb) - before
        self.report.parts += sum(entry.item.part for entry in entries)

    def _refuse(self, entries: list[_Entry], error: Exception, notes: dict[str, str]) -> None:
        if not entries:
            raise error
        source, item = entries[0].source, entries[0].item
        self.report.skip("not a sequence that can be learned", f"{source.path}: {item.place}", True, _alone(error))
        self._commit([], notes)


def _alone(error: Exception) -> str:
    """The error of a batch of one, without the place in the batch."""
    return str(error).removeprefix("sequences[0]: ").replace("emotives[0]", "emotives", 1)


def _is_unsorted(events: object) -> bool:
    try:
        return any(event != sorted(event) for event in events)
    except TypeError:
        return False  # the engine refuses it


def _size(event: object) -> int:
    return len(event) if isinstance(event, list) else 0
