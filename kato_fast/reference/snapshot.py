"""Snapshots: the file that the C engine saves, read in plain Python. See csrc/include/kato_fast/snapshot.h.

Nothing is mapped: all patterns are read into memory. Only the C engine writes such a file.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, NoReturn, Optional

from kato_fast.reference.checksum import checksum
from kato_fast.reference.generation import KATO_2_1, KATO_2025_09

MAGIC = b"KFSNAP\x1a\n"
ORDER = 0x01020304
OTHER_ORDER = 0x04030201
VERSION = 2
ALIGN = 64
ROWS = 65_536
INDEXED = 1
OF_2_1 = 2

SHARED = ("symbols", "texts", "slots", "frequency", "members", "names")
OF_BLOCK = ("segment", "frequencies", "tags", "emotives")
HEADER = struct.Struct("<8sQIIQIIIIIIIIQQQ16s24s")
SECTION = struct.Struct("<IIQQQ")
#: magic, size, n_ids, sixteen counts of 32 bits, 13 offsets: see csrc/include/kato_fast/segment.h.
SEGMENT = struct.Struct("<QQQ16I13Q")

#: Letters of struct by bytes of a frequency; 0: there is none.
_WIDTHS = {0: "B", 1: "B", 2: "H", 4: "I", 8: "Q"}


@dataclass(frozen=True)
class Row:
    """A pattern of the file. tag: see ``Snapshot.tag``."""

    events: list[list[str]]
    frequency: int
    emotives: Optional[list[dict[str, float]]]
    tag: int


class Header(NamedTuple):
    """As it stands in the file."""

    magic: bytes
    checksum: int
    order: int
    version: int
    size: int
    n_sections: int
    flags: int
    unicode: int
    row_bits: int
    n_rows: int
    n_patterns: int
    n_symbols: int
    n_used: int
    total_patterns: int
    total_symbols: int
    total_symbols_in_patterns: int
    key: bytes
    zeros: bytes


class Snapshot:
    """A file whose checksums are right. Errors are ValueErrors that begin with the path and name the place."""

    def __init__(self, path) -> None:
        self._path = os.fsdecode(path)
        with open(self._path, "rb") as file:
            self._data = file.read()
        self.header = self._checked_header()
        self._sections = self._checked_sections()

    @property
    def indexed(self) -> bool:
        """Whether searches look only at the host's candidates."""
        return bool(self.header.flags & INDEXED)

    @property
    def generation(self) -> str:
        """Which KATO is matched."""
        return KATO_2_1 if self.header.flags & OF_2_1 else KATO_2025_09

    def totals(self) -> dict[str, int]:
        """The totals that the header tells."""
        names = ("total_pattern_frequencies", "total_symbol_frequencies", "total_symbols_in_patterns_frequencies")
        return dict(zip(names, self.header[13:16]))

    def rows(self) -> Iterator[Row]:
        """Every pattern that is not forgotten, in learning order."""
        symbols = self._symbols()
        for block in range(_blocks(self.header.n_rows)):
            first = len(SHARED) + len(OF_BLOCK) * block
            count = min(self.header.n_rows - block * ROWS, ROWS)
            patterns = self._patterns(first, symbols)
            frequencies = self._frequencies(first + 1, count)
            tags = struct.unpack(f"<{count}I", self._bytes(first + 2))
            emotives = self._emotives(first + 3)
            for at, frequency in enumerate(frequencies):
                if frequency:
                    yield Row(patterns[at], frequency, emotives.get(at), tags[at])

    def tag(self, name: str) -> int:
        """What the file has of a pattern's name: half of the product of its first 8 bytes and of the key's last 8."""
        factor = int.from_bytes(self.header.key[8:], "little") | 1
        return int.from_bytes(bytes.fromhex(name[:16]), "little") * factor >> 32 & 0xFFFFFFFF

    # header and table

    def _checked_header(self) -> Header:
        data = self._data
        if len(data) < HEADER.size:
            self._refuse(f"{len(data)} bytes are too few for a snapshot's header")
        header = Header(*HEADER.unpack_from(data))
        if header.magic != MAGIC:
            self._refuse("is no snapshot: it begins with other bytes")
        if header.order == OTHER_ORDER:
            self._refuse("was saved on a machine of the other byte order")
        if header.order == ORDER and header.version > VERSION:
            self._refuse(f"has version {header.version} of the format, newer than {VERSION}")
        if header.order == ORDER and header.version < VERSION:
            again = "save it again from the store that it was made of"
            self._refuse(f"has version {header.version} of the format, older than {VERSION}: {again}")
        end = _aligned(HEADER.size + header.n_sections * SECTION.size)
        if end > len(data):
            self._refuse(f"{len(data)} bytes are too few for a table of {header.n_sections} sections")
        if checksum(data[16:end]) != header.checksum:
            self._refuse(f"the header (bytes 0 to {end - 1}) is damaged")
        if header.size != len(data):
            self._refuse(f"has {len(data)} bytes, says it has {header.size}")
        return header

    def _checked_sections(self) -> list[tuple[int, int]]:
        """(offset, size) of each."""
        sections = []
        for number in range(self.header.n_sections):
            _, _, offset, size, expected = SECTION.unpack_from(self._data, HEADER.size + number * SECTION.size)
            sections.append((offset, size))
            if checksum(self._data[offset : offset + _aligned(size)]) != expected:
                self._refuse(f"{_place(number, offset)} is damaged: its checksum does not agree")
        return sections

    def _refuse(self, why: str) -> NoReturn:
        raise ValueError(f"{self._path}: {why}")

    # sections

    def _bytes(self, number: int) -> bytes:
        offset, size = self._sections[number]
        return self._data[offset : offset + size]

    def _symbols(self) -> list[str]:
        texts = self._bytes(1)
        entries = struct.iter_unpack("<QQII", self._bytes(0))
        return [texts[start : start + size].decode() for start, _, size, _ in entries]

    def _frequencies(self, number: int, count: int) -> tuple[int, ...]:
        data = self._bytes(number)
        return struct.unpack(f"<{count}{_WIDTHS[len(data) // (count or 1)]}", data)

    def _patterns(self, number: int, symbols: list[str]) -> dict[int, list[list[str]]]:
        """By row of the block, the events."""
        image = self._bytes(number)
        header = SEGMENT.unpack_from(image)
        _, _, n_ids, n_patterns, n_symbols, n_runs, _, _, _, least, is_direct, *_ = header
        is_single, high_bits = header[16:18]
        globals_at, _, _, runs_at, ids_at, high_at, ends_at, order_at, *_ = header[19:]
        found = range(least, least + n_symbols)
        if not is_direct:
            found = struct.unpack_from(f"<{n_symbols}I", image, globals_at)
        names = [symbols[symbol] for symbol in found]
        runs = [struct.unpack_from("<IIQ", image, runs_at + 16 * i) for i in range(n_runs + 1)]
        low = struct.unpack_from(f"<{n_ids}H", image, ids_at)
        ids = low if not high_bits else _wide(low, image[high_at:], high_bits)
        order = struct.unpack_from(f"<{n_patterns}H", image, order_at)
        ends = int.from_bytes(image[ends_at : ends_at + 8 * (n_ids // 64 + 2)], "little")
        is_end = "1" * n_ids if is_single else f"{ends:0{n_ids}b}"[::-1]
        patterns = {}
        for (length, first, offset), (_, end, _) in zip(runs, runs[1:]):
            for local in range(first, end):
                start = offset + (local - first) * length
                places = range(start, start + length)
                patterns[order[local]] = _events([names[ids[i]] for i in places], [is_end[i] == "1" for i in places])
        return patterns

    def _emotives(self, number: int) -> dict[int, list[dict[str, float]]]:
        """By row of the block, the stored list of those that have one."""
        data, at = self._bytes(number), 0
        found: dict[int, list[dict[str, float]]] = {}
        while at < len(data):
            row, n_maps = struct.unpack_from("<II", data, at)
            at += 8
            found[row] = []
            for _ in range(n_maps):
                (n_items,) = struct.unpack_from("<I4x", data, at)
                at += 8
                items = {}
                for _ in range(n_items):
                    value, size = struct.unpack_from("<dI4x", data, at)
                    items[data[at + 16 : at + 16 + size].decode()] = value
                    at += 16 + size + -size % 8
                found[row].append(items)
        return found


def _wide(low: tuple[int, ...], high: bytes, bits: int) -> list[int]:
    """Symbols of 16 low bits and `bits` more, packed."""
    if bits == 16:
        return [a | b << 16 for a, b in zip(low, struct.unpack_from(f"<{len(low)}H", high))]
    mask = (1 << bits) - 1
    return [symbol | (high[i * bits // 8] >> i * bits % 8 & mask) << 16 for i, symbol in enumerate(low)]


def _events(symbols: list[str], is_end: list[bool]) -> list[list[str]]:
    events: list[list[str]] = [[]]
    for symbol, last in zip(symbols, is_end):
        events[-1].append(symbol)
        if last:
            events.append([])
    return events[:-1]


def _aligned(size: int) -> int:
    return size + -size % ALIGN


def _blocks(n_rows: int) -> int:
    return -(-n_rows // ROWS)


def _place(number: int, offset: int) -> str:
    if number < len(SHARED):
        return f"section '{SHARED[number]}' at byte {offset}"
    block, kind = divmod(number - len(SHARED), len(OF_BLOCK))
    return f"section '{OF_BLOCK[kind]}' of block {block} at byte {offset}"
