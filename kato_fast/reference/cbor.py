"""CBOR (RFC 8949): what JSON has, and bytes. The twin of ``kato_fast._cbor``, and of what the engine writes.

``dumps`` is equal byte for byte to ``cbor2.dumps``: definite lengths, shortest heads, finite doubles always as 64 bits.
``loads`` takes any well-formed value of these types, checks it whole, and names the byte of the first fault.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any, NoReturn, Optional

UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, OTHER = range(0, 256, 32)

#: The deepest that is written, and read.
DEPTH = 256
ITEMS = 1_000_000

# ---- Writing ----


def dumps(value: Any) -> bytes:
    """value: None, bool, int within 64 bits and their negatives, float, str, bytes, list, tuple, dict with str keys.

    Raises TypeError or ValueError naming the place and the rule.
    """
    out = bytearray()
    _write(out, value, (), 0)
    return bytes(out)


def _place(path: tuple) -> str:
    return "value" + "".join(f"[{part!r}]" for part in path)


def _write(out: bytearray, value: Any, path: tuple, depth: int) -> None:
    if isinstance(value, str):
        _write_text(out, value, path)
    elif isinstance(value, float):
        out += _double(value)
    elif value is None:
        out.append(0xF6)
    elif isinstance(value, bool):
        out.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        _write_int(out, value, path)
    elif isinstance(value, bytes):
        _write_head(out, BYTES, len(value))
        out += value
    else:
        _write_container(out, value, path, depth)


def _write_text(out: bytearray, value: str, path: tuple) -> None:
    try:
        text = value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{_place(path)} must be valid Unicode: lone surrogate at index {error.start}") from None
    _write_head(out, TEXT, len(text))
    out += text


def _write_int(out: bytearray, value: int, path: tuple) -> None:
    if not -(1 << 64) <= value < 1 << 64:
        raise ValueError(f"{_place(path)} must be between -2**64 and 2**64 - 1")
    if value >= 0:
        _write_head(out, UNSIGNED, value)
    else:
        _write_head(out, NEGATIVE, -1 - value)


def _write_container(out: bytearray, value: Any, path: tuple, depth: int) -> None:
    if not isinstance(value, (list, tuple, dict)):
        rule = "must be None, bool, int, float, str, bytes, list, tuple or dict"
        raise TypeError(f"{_place(path)} {rule}, not {type(value).__name__}")
    if depth >= DEPTH:
        raise ValueError(f"value must not be nested more than {DEPTH} levels deep")
    if not isinstance(value, dict):
        _write_head(out, ARRAY, len(value))
        for i, item in enumerate(value):
            _write(out, item, (*path, i), depth + 1)
        return
    _write_head(out, MAP, len(value))
    for key, item in value.items():
        if not isinstance(key, str):
            raise TypeError(f"{_place(path)} must have keys that are str, not {type(key).__name__}")
        _write_text(out, key, (*path, key))
        _write(out, item, (*path, key), depth + 1)


def _write_head(out: bytearray, major: int, number: int) -> None:
    if number < 24:
        out.append(major | number)
    elif number < 1 << 8:
        out += struct.pack(">BB", major | 24, number)
    elif number < 1 << 16:
        out += struct.pack(">BH", major | 25, number)
    elif number < 1 << 32:
        out += struct.pack(">BI", major | 26, number)
    else:
        out += struct.pack(">BQ", major | 27, number)


def _double(value: float) -> bytes:
    if math.isnan(value):
        return b"\xf9\x7e\x00"
    if math.isinf(value):
        return b"\xf9\x7c\x00" if value > 0 else b"\xf9\xfc\x00"
    return b"\xfb" + struct.pack(">d", value)


# ---- Reading ----

_END = "data ends inside of an item"
_BAD = "data is not CBOR"
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLE = {20: False, 21: True, 22: None}


def loads(
    data: Any, *, max_depth: int = DEPTH, max_items: int = ITEMS, max_bytes: int = 64 << 20, finite: bool = False
) -> Any:
    """The value of CBOR. max_items counts keys and chunks, too; finite refuses infinities and NaN.

    Raises ValueError naming the byte and the rule.
    """
    _check_limit("max_depth", max_depth, DEPTH)
    _check_limit("max_items", max_items, 1 << 31)
    _check_limit("max_bytes", max_bytes, 1 << 40)
    try:
        view = memoryview(data).cast("B")
    except TypeError:
        raise TypeError(f"data must be bytes-like, not {type(data).__name__}") from None
    if len(view) > max_bytes:
        raise ValueError(f"data must have at most {max_bytes} bytes, not {len(view)}")
    events = list(_Reader(bytes(view), max_depth, max_items, finite).events())
    return _Builder(events).build()


def _check_limit(name: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise ValueError(f"{name} must be between 1 and {most}, not {value}")


class _Open:
    """A container, or a text or byte string in chunks, that is not whole yet."""

    def __init__(self, event: list, left: int, counted: bool) -> None:
        self.event = event
        self.left = left
        self.counted = counted

    @property
    def kind(self) -> int:
        return self.event[0]

    @property
    def in_chunks(self) -> bool:
        return self.kind in (BYTES, TEXT)

    @property
    def wants_key(self) -> bool:
        return self.kind == MAP and self.left % 2 == 0


class _Reader:
    """Heads in order, with what may stand where. An event: [major type, value or count, first byte]."""

    def __init__(self, data: bytes, max_depth: int, max_items: int, finite: bool) -> None:
        self._data = data
        self._at = 0
        self._max_depth = max_depth
        self._max_items = max_items
        self._finite = finite
        self._open: list[_Open] = []
        self._done = False

    def events(self) -> Iterator[list]:
        """Every event of one value. Containers and chunks have their count when all is read."""
        count = 0
        while not self._done:
            major, number, value, size = self._head()
            if major == OTHER and number is None and value == "break":
                self._break()
                self._at += size
                continue
            if count >= self._max_items:
                self._refuse(f"data has more than {self._max_items} items")
            count += 1
            yield self._take(major, number, value)
            self._at += size
        if self._at < len(self._data):
            self._refuse("data goes on behind its value")

    def _refuse(self, rule: str) -> NoReturn:
        raise ValueError(f"{rule} at byte {self._at}")

    def _head(self) -> tuple[int, Optional[int], Any, int]:
        """(major type, its number or None where a break ends it, value, bytes)."""
        data, at = self._data, self._at
        if at >= len(data):
            self._refuse(_END)
        major, info = data[at] & 0xE0, data[at] & 0x1F
        if major == TAG:
            self._refuse("data has a tag, which has no place,")
        if major == OTHER:
            return self._other(info)
        if info == 31:
            if major in (UNSIGNED, NEGATIVE):
                self._refuse(_BAD)
            return major, None, None, 1
        if info > 27:
            self._refuse(_BAD)
        number, size = (info, 1) if info < 24 else self._number(1 << (info - 24))
        if major in (BYTES, TEXT):
            if number > len(data) - at - size:
                self._refuse(_END)
            return major, number, data[at + size : at + size + number], size + number
        return major, number, None, size

    def _number(self, width: int) -> tuple[int, int]:
        raw = self._data[self._at + 1 : self._at + 1 + width]
        if len(raw) < width:
            self._refuse(_END)
        return int.from_bytes(raw, "big"), 1 + width

    def _other(self, info: int) -> tuple[int, Optional[int], Any, int]:
        if info in _SIMPLE:
            return OTHER, 0, _SIMPLE[info], 1
        if info == 31:
            return OTHER, None, "break", 1
        if info == 23:
            return OTHER, None, "undefined", 1
        if info not in _FLOATS:
            self._refuse(_BAD)
        _, size = self._number(1 << (info - 24))
        (value,) = struct.unpack(_FLOATS[info], self._data[self._at + 1 : self._at + size])
        return OTHER, 0, value, size

    def _break(self) -> None:
        inner = self._open[-1] if self._open else None
        if inner is None or inner.counted or (inner.kind == MAP and inner.left % 2):
            self._refuse(_BAD)
        inner.event[1] = inner.left // 2 if inner.kind == MAP else inner.left
        self._open.pop()
        self._close()

    def _close(self) -> None:
        """An item is whole: so may be what it stands in."""
        while self._open and self._open[-1].counted:
            self._open[-1].left -= 1
            if self._open[-1].left:
                break
            self._open.pop()
        if self._open and not self._open[-1].counted:
            self._open[-1].left += 1
        self._done = not self._open

    def _take(self, major: int, number: Optional[int], value: Any) -> list:
        self._check_place(major, number, value)
        self._check_value(major, number, value)
        event = [major, self._value(major, number, value), self._at]
        if number is None:
            event[1] = 0  # counted until the break
            self._open.append(_Open(event, 0, False))
            return event
        if major in (ARRAY, MAP) and number:
            self._open.append(_Open(event, number * 2 if major == MAP else number, True))
        else:
            self._close()
        return event

    @staticmethod
    def _value(major: int, number: Optional[int], value: Any) -> Any:
        if major == NEGATIVE:
            return -1 - number  # type: ignore[operator]
        return value if major in (BYTES, TEXT, OTHER) else number

    def _check_place(self, major: int, number: Optional[int], value: Any) -> None:
        inner = self._open[-1] if self._open else None
        if inner is not None and inner.in_chunks:
            if number is None or major != inner.kind:
                self._refuse(_BAD)
            return
        if major == OTHER and value == "undefined":
            self._refuse("data has undefined, which has no place,")
        if inner is not None and inner.wants_key and major != TEXT:
            self._refuse("data has a key that is no text")

    def _check_value(self, major: int, number: Optional[int], value: Any) -> None:
        if major == TEXT and number is not None:
            try:
                value.decode()
            except UnicodeDecodeError:
                self._refuse("data has text that is not UTF-8")
        if major == OTHER and isinstance(value, float) and self._finite and not math.isfinite(value):
            self._refuse("data has a number that is not finite")
        if major in (ARRAY, MAP):
            if len(self._open) >= self._max_depth:
                self._refuse(f"data is nested more than {self._max_depth} levels deep")
            if number is not None and number > 1 << 62:
                self._refuse(_END)


class _Builder:
    """Objects of events."""

    def __init__(self, events: list[list]) -> None:
        self._events = events
        self._next = 0

    def build(self) -> Any:
        """The next object; one frame of the interpreter for each level."""
        major, value, _ = self._events[self._next]
        self._next += 1
        if major == ARRAY:
            items = []
            for _ in range(value):
                items.append(self.build())
            return items
        if major == MAP:
            pairs: dict = {}
            for _ in range(value):
                key = self._key(pairs)
                pairs[key] = self.build()
            return pairs
        if major in (BYTES, TEXT):
            whole = value if isinstance(value, bytes) else self._chunks(value)
            return whole if major == BYTES else whole.decode()
        return value

    def _chunks(self, count: int) -> bytes:
        chunks = [event[1] for event in self._events[self._next : self._next + count]]
        self._next += count
        return b"".join(chunks)

    def _key(self, pairs: dict) -> str:
        at = self._events[self._next][2]
        key = self.build()
        if key in pairs:
            raise ValueError(f"data has the key {key!r} twice in one map at byte {at}")
        return key
