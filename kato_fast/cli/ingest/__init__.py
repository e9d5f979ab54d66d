"""How files become sequences of events: one module per kind of file.

Every reader yields the same ``Item`` objects in the same order for the same bytes and options, whatever the machine or
the hash seed: the resume record counts items.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional, Union

#: Larger files are passed over: every size from outside has a limit.
MAX_FILE_BYTES = 1 << 30
#: Raised when a reader starts to yield other items for the same bytes: old resume records then no longer apply.
READER_VERSION = 1

KINDS = {
    ".py": "python",
    ".pyw": "python",
    ".jsonl": "event-lines",
    ".ndjson": "event-lines",
    ".csv": "event-log",
    ".tsv": "event-log",
}


@dataclass(frozen=True)
class Options:
    """What changes the items of a file.

    max_symbols: longer sequences are split between events. case, order, activity: columns of an event log.
    sort: sort the symbols of each event, as KATO's observe does.
    """

    max_symbols: int = 1000
    sort: bool = False
    case: Optional[str] = None
    order: Optional[str] = None
    activity: tuple[str, ...] = ()


@dataclass(frozen=True)
class Events:
    """One sequence to learn. place: where it stands in the file. at: how much of the file was read, 0 to 1."""

    events: list[list[str]]
    emotives: Sequence[dict]
    place: str
    at: float
    part: bool = False


@dataclass(frozen=True)
class Refused:
    """Something that is not learned. error: the input is wrong, not just of no use."""

    reason: str
    place: str
    at: float
    error: bool = True
    detail: str = ""


Item = Union[Events, Refused]


@dataclass(frozen=True)
class Source:
    """One file. named: given on the command line itself, not found in a folder."""

    path: Path
    kind: str
    named: bool
    size: int


class NotReadable(Exception):
    """A whole file that cannot be used. error: wrong, not just of no use (a picture in a folder)."""

    def __init__(self, reason: str, detail: str = "", *, error: bool = True) -> None:
        super().__init__(reason)
        self.reason, self.detail, self.error = reason, detail, error


def find(paths: Sequence[Path]) -> Iterator[Source]:
    """The files below the paths, folders in order of name; hidden files and folders are left out."""
    for path in paths:
        if path.is_dir():
            for found in _below(path):
                yield _source(found, named=False)
        else:
            yield _source(path, named=True)


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        if path.is_dir():
            if not path.is_symlink():  # a link upwards would never end
                yield from _below(path)
        elif path.is_file():
            yield path


def _source(path: Path, named: bool) -> Source:
    return Source(path, KINDS.get(path.suffix.lower(), "text"), named, path.stat().st_size)


def read(source: Source) -> bytes:
    """The bytes of the file; NotReadable where they cannot be had."""
    if source.size > MAX_FILE_BYTES:
        raise NotReadable("larger than 1 GiB")
    try:
        return source.path.read_bytes()
    except OSError as error:
        raise NotReadable("cannot be read", error.strerror or str(error)) from None


def key(source: Source, data: bytes, options: Options) -> str:
    """Names the items of these bytes under these options: what the resume record is filed under."""
    described = [READER_VERSION, source.kind, asdict(options)]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    digest.update(data)
    return digest.hexdigest()


def items(source: Source, data: bytes, options: Options) -> Iterator[Item]:
    """What the file holds, in order. NotReadable where it is not a file of its kind."""
    reader = _reader(source.kind)
    for item in reader(data, options):
        if isinstance(item, Refused):
            yield item
        else:
            yield from _bounded(item, options)


def _reader(kind: str):
    if kind == "python":
        from kato_fast.cli.ingest.python_code import sequences
    elif kind == "event-lines":
        from kato_fast.cli.ingest.event_lines import sequences
    elif kind == "event-log":
        from kato_fast.cli.ingest.event_log import sequences
    else:
        from kato_fast.cli.ingest.prose import sequences
    return sequences


def _bounded(item: Events, options: Options) -> Iterator[Item]:
    """The item sorted if asked, and in parts of at most max_symbols, cut between events."""
    events = item.events
    try:
        if options.sort:
            events = [sorted(event) if isinstance(event, list) else event for event in events]
        total = sum(map(len, events))
        if total < 2:
            yield Refused("fewer than two symbols", item.place, item.at, error=False)
        elif total <= options.max_symbols:
            yield item if events is item.events else Events(events, item.emotives, item.place, item.at)
        else:
            yield from _parts(item, events, options.max_symbols)
    except TypeError:
        # Only lines of events can be misshapen. The engine says what is wrong, in the words of kb.learn.
        yield item


def _parts(item: Events, events: list[list[str]], most: int) -> Iterator[Item]:
    part: list[list[str]] = []
    size = 0
    for event in events:
        if part and size + len(event) > most:
            yield _part(item, part, size)
            part, size = [], 0
        if len(event) > most:
            yield Refused("event longer than --max-symbols", item.place, item.at, error=False)
            continue
        part.append(event)
        size += len(event)
    if part:
        yield _part(item, part, size)


def _part(item: Events, part: list[list[str]], size: int) -> Item:
    if size < 2:
        return Refused("fewer than two symbols", item.place, item.at, error=False)
    return Events(part, item.emotives, item.place, item.at, part=True)


def text_of(data: bytes) -> str:
    """The data as UTF-8; NotReadable for anything else. A NUL byte means that it is no text."""
    if b"\0" in data:
        raise NotReadable("not text", "contains NUL bytes", error=False)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotReadable("not UTF-8 text", f"byte {error.start}", error=False) from None
