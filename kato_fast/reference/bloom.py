"""Split-block Bloom filter: the twin of ``bloom.c``, with the same bytes and the same answers.

A filter is an array of 256-bit blocks, eight little-endian 32-bit words each. A key's 64-bit hash picks a block (the
upper 64 bits of the hash times the number of blocks) and, with its lower half, one bit in each word (the scheme of
Impala and Parquet). The hash is not salted: the same keys give the same bytes in every process.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Union

MAX_CAPACITY = 1 << 36
MIN_ERROR_RATE = 1e-8
BLOCK_BYTES = 32
BLOCK_BITS = 256
WORDS = 8
SALTS = (0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D, 0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31)

# magic, version, capacity, error_rate, count, blocks, checksum of the blocks, checksum of the 56 bytes before it
HEADER = struct.Struct("<8sQQdQQQQ")
MAGIC = b"kf_bloom"
VERSION = 1
CHECKED = HEADER.size - 8

MASK32 = (1 << 32) - 1
MASK64 = (1 << 64) - 1
SECRET0 = 0x2D358DCCAA6C78A5
SECRET1 = 0x8BB84B93962EACC9
SECRET2 = 0x4B33A62ED433D4A3
SECRET3 = 0x4D5A2DA51DE1AA47

Key = Union[str, bytes]


class BloomFilter:
    """A set of keys that may say "there" of a key that is not, and never "not there" of one that is.

    Made for ``capacity`` keys (1 to 2**36); with that many in it, a key that was not added is found with a probability
    of at most ``error_rate`` (1e-8 up to, not including, 1). More keys may be added; the rate then grows. All memory is
    taken at the start. A key is a ``str`` or ``bytes``; a ``str`` and the bytes of its UTF-8 are the same key. Safe
    from many threads.
    """

    __slots__ = ("_bits", "_blocks", "_capacity", "_count", "_error_rate", "_lock")

    def __init__(self, capacity: int, error_rate: float = 0.001) -> None:
        self._capacity = _checked_capacity(capacity)
        self._error_rate = _checked_error_rate(error_rate)
        self._blocks = blocks_needed(self._capacity, self._error_rate)
        self._bits: Union[bytearray, memoryview] = bytearray(self._blocks * BLOCK_BYTES)
        self._count = 0
        self._lock = threading.Lock()

    @property
    def capacity(self) -> int:
        """The number of keys the filter was made for."""
        return self._capacity

    @property
    def error_rate(self) -> float:
        """The rate of false answers that was asked for."""
        return self._error_rate

    def add(self, key: Key, /) -> bool:
        """Add a key. True where it was (probably) not yet there."""
        value = hash_bytes(_key_bytes(key, "key"))
        self._check_writable()
        return self._add_hash(value)

    def update(self, keys: Iterable[Key], /) -> None:
        """Add all keys, or none where one of them is no key."""
        values = _hashes(keys)
        self._check_writable()
        for value in values:
            self._add_hash(value)

    def contains_many(self, keys: Iterable[Key], /) -> bytes:
        """One byte a key, in their order: 1 where ``key in self``, else 0."""
        return bytes([self._contains_hash(value) for value in _hashes(keys)])

    def __contains__(self, key: Key, /) -> bool:
        return self._contains_hash(hash_bytes(_key_bytes(key, "key")))

    def __len__(self) -> int:
        """The number of keys that were added and new."""
        return self._count

    def to_bytes(self) -> bytes:
        """The filter as bytes, the same on every machine, for ``from_bytes``."""
        with self._lock:
            blocks = bytes(self._bits)
            header = HEADER.pack(
                MAGIC, VERSION, self._capacity, self._error_rate, self._count, self._blocks, hash_bytes(blocks), 0
            )
        checked = header[:CHECKED]
        return checked + hash_bytes(checked).to_bytes(8, "little") + blocks

    @classmethod
    def from_bytes(cls, data: Any, /) -> BloomFilter:
        """The filter that ``to_bytes`` wrote. ValueError, with what is wrong, where a byte was lost or changed."""
        whole = _view(data).tobytes()
        fields = _checked_header(whole)
        _check_blocks(whole, fields[3])
        return cls._made(fields, bytearray(whole[HEADER.size :]))

    @classmethod
    def attach(cls, data: Any, /) -> BloomFilter:
        """The filter in the bytes themselves, which are kept: ``bytes``, an ``mmap``, shared memory.

        Nothing is copied, and only the header is checked (ValueError), so that size does not matter. More bytes may
        follow. Keys may be added where the buffer can be written (here, unlike in C, by one process at a time); on a
        read-only one that is a ValueError. The header in the buffer then keeps its count, so from_bytes refuses the
        buffer: give it to attach, or take to_bytes of this filter.
        """
        view = _view(data)
        fields = _checked_header(view[: HEADER.size].tobytes())
        size = HEADER.size + fields[3] * BLOCK_BYTES
        if len(view) < size:
            raise ValueError(f"data must have at least {size} bytes, not {len(view)}")
        return cls._made(fields, view[HEADER.size : size])

    @classmethod
    def _made(cls, fields: tuple[int, float, int, int], bits: Union[bytearray, memoryview]) -> BloomFilter:
        made = cls.__new__(cls)
        made._capacity, made._error_rate, made._count, made._blocks = fields
        made._bits = bits
        made._lock = threading.Lock()
        return made

    def __reduce__(self) -> tuple:
        return type(self).from_bytes, (self.to_bytes(),)

    def _check_writable(self) -> None:
        if isinstance(self._bits, memoryview) and self._bits.readonly:
            raise ValueError("the filter is attached to a read-only buffer")

    def _add_hash(self, value: int) -> bool:
        start, mask = self._place(value)
        with self._lock:
            block = int.from_bytes(self._bits[start : start + BLOCK_BYTES], "little")
            if block & mask == mask:
                return False
            self._bits[start : start + BLOCK_BYTES] = (block | mask).to_bytes(BLOCK_BYTES, "little")
            self._count += 1
        return True

    def _contains_hash(self, value: int) -> bool:
        start, mask = self._place(value)
        return int.from_bytes(self._bits[start : start + BLOCK_BYTES], "little") & mask == mask

    def _place(self, value: int) -> tuple[int, int]:
        """Where the block of a hash begins, and the eight bits it has there."""
        low = value & MASK32
        mask = 0
        for word, salt in enumerate(SALTS):
            mask |= 1 << (32 * word + ((low * salt & MASK32) >> 27))
        return (value * self._blocks >> 64) * BLOCK_BYTES, mask


def blocks_needed(capacity: int, error_rate: float) -> int:
    """The smallest number of blocks whose rate at full capacity is at most ``error_rate``.

    Looked for between one bit a key and one block a key, where the rate is under ``MIN_ERROR_RATE``.
    """
    low = (capacity + BLOCK_BITS - 1) // BLOCK_BITS
    high = capacity
    while low < high:
        middle = (low + high) // 2
        if full_error_rate(capacity, middle) <= error_rate:
            high = middle
        else:
            low = middle + 1
    return low


def full_error_rate(capacity: int, blocks: int) -> float:
    """The expected rate of false answers of ``blocks`` blocks that hold ``capacity`` keys.

    After Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters" (2007), section 3: the mean over
    the number of keys i in a block, which is binomial (they take its Poisson limit), of the rate of one block with i
    keys. In the split block each key sets one of the 32 bits of each word, so that rate is (1 - (31/32)^i)^8. The
    weights are relative to that of i = 0 and divided by their sum at the end; this needs no function of the C library,
    whose last digits differ between machines. Both twins do the same operations in the same order.
    """
    if blocks == 1:
        clear = 1.0
        for _ in range(capacity):
            clear *= 31.0 / 32.0
        return _all_words_set(clear)
    weight = total = clear = 1.0
    rate = 0.0
    for i in range(1, capacity + 1):
        weight *= (capacity - i + 1) / (i * (blocks - 1))
        clear *= 31.0 / 32.0
        total += weight
        rate += weight * _all_words_set(clear)
        if weight < 1e-20 * total:  # past the peak; the rest adds nothing
            break
    return rate / total


def _all_words_set(clear: float) -> float:
    """The probability that one bit in each of the eight words is set, where one is clear with probability ``clear``."""
    rate = 1.0 - clear
    rate *= rate
    rate *= rate
    return rate * rate


def hash_bytes(data: bytes) -> int:
    """wyhash, final version 4.2, with its default secret and seed 0.

    Wang Yi, https://github.com/wangyi-fudan/wyhash, public domain.
    """
    size = len(data)
    seed = _mix(SECRET0, SECRET1)
    if size > 16:
        seed = _hash_front(data, seed)
        a = _number(data[-16:-8])
        b = _number(data[-8:])
    elif size >= 4:  # four reads that overlap, of 4 bytes each
        step = size // 8 * 4
        last = size - 4
        a = _number(data[:4]) << 32 | _number(data[step : step + 4])
        b = _number(data[last:]) << 32 | _number(data[last - step : size - step])
    else:
        a = data[0] << 16 | data[size // 2] << 8 | data[-1] if size else 0
        b = 0
    product = (a ^ SECRET1) * (b ^ seed)
    return _mix(product & MASK64 ^ SECRET0 ^ size, product >> 64 ^ SECRET1)


def _hash_front(data: bytes, seed: int) -> int:
    """All but the last 0 to 16 of more than 16 bytes."""
    triples = len(data) // 48
    pairs = struct.iter_unpack("<2Q", data[: max(triples * 48, (len(data) - 1) // 16 * 16)])
    if triples:
        seed2 = seed3 = seed
        for _ in range(triples):
            seed = _mix16(next(pairs), SECRET1, seed)
            seed2 = _mix16(next(pairs), SECRET2, seed2)
            seed3 = _mix16(next(pairs), SECRET3, seed3)
        seed ^= seed2 ^ seed3
    for pair in pairs:
        seed = _mix16(pair, SECRET1, seed)
    return seed


def _mix16(pair: tuple[int, int], secret: int, seed: int) -> int:
    return _mix(pair[0] ^ secret, pair[1] ^ seed)


def _mix(a: int, b: int) -> int:
    product = a * b
    return product & MASK64 ^ product >> 64


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _hashes(keys: Iterable[Key]) -> list[int]:
    """The hashes of all keys, before anything is changed."""
    return [hash_bytes(_key_bytes(key, "keys", i)) for i, key in enumerate(_snapshot(keys))]


def _snapshot(keys: Iterable[Key]) -> Sequence[Key]:
    # A str is a sequence of str, but hardly ever meant so.
    if not isinstance(keys, (str, bytes)):
        try:
            iterator = iter(keys)
        except TypeError:
            pass
        else:
            return tuple(iterator)
    raise TypeError(f"keys must be an iterable of str or bytes, not {type(keys).__name__}")


def _key_bytes(key: Key, name: str, index: int = -1) -> bytes:
    if isinstance(key, bytes):
        return key
    place = name if index < 0 else f"{name}[{index}]"
    if not isinstance(key, str):
        raise TypeError(f"{place} must be a str or bytes, not {type(key).__name__}")
    try:
        return str.encode(key)
    except UnicodeEncodeError as error:
        raise ValueError(f"{place} must be valid Unicode: lone surrogate at index {error.start}") from None


def _checked_capacity(capacity: int) -> int:
    if not isinstance(capacity, int) or isinstance(capacity, bool):
        raise TypeError(f"capacity must be an int, not {type(capacity).__name__}")
    if not 1 <= capacity <= MAX_CAPACITY:
        raise ValueError(f"capacity must be from 1 to {MAX_CAPACITY}{_not_this(capacity)}")
    return int(capacity)


def _not_this(number: int) -> str:
    """Integers of any length are refused; only those of 64 bits are worth repeating."""
    return f", not {int(number)}" if -(1 << 63) <= number < 1 << 63 else ""


def _checked_error_rate(error_rate: float) -> float:
    if not isinstance(error_rate, (int, float)):
        raise TypeError(f"error_rate must be a number, not {type(error_rate).__name__}")
    try:
        rate = float(error_rate)
    except OverflowError:
        rate = float("inf") if error_rate > 0 else float("-inf")
    if not 0.0 < rate < 1.0:
        raise ValueError(f"error_rate must be over 0 and under 1, not {rate!r}")
    if rate < MIN_ERROR_RATE:
        raise ValueError(f"error_rate must be at least {MIN_ERROR_RATE!r}, not {rate!r}")
    return rate


def _view(data: Any) -> memoryview:
    """All of it, by bytes."""
    try:
        view = memoryview(data)
    except TypeError:
        raise TypeError(f"data must be a bytes-like object, not {type(data).__name__}") from None
    if not view.c_contiguous:
        raise BufferError("data must be contiguous")
    return view.cast("B")


def _checked_header(data: bytes) -> tuple[int, float, int, int]:
    """capacity, error_rate, count and blocks of data that begins with the undamaged header of a filter."""
    if len(data) < HEADER.size:
        raise ValueError(f"data must have at least {HEADER.size} bytes, not {len(data)}")
    magic, version, capacity, error_rate, count, blocks, _, header_sum = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ValueError("data must begin with the magic of a Bloom filter")
    if version != VERSION:
        raise ValueError(f"data must have version {VERSION}, not {version}")
    if hash_bytes(data[:CHECKED]) != header_sum:
        raise ValueError("data is damaged: the checksum of its header does not match")
    if not 1 <= capacity <= MAX_CAPACITY:
        raise ValueError(f"data has a capacity that is not from 1 to {MAX_CAPACITY}")
    if not MIN_ERROR_RATE <= error_rate < 1.0:
        raise ValueError("data has an error_rate that is not from 1e-08 to under 1")
    if blocks != blocks_needed(capacity, error_rate):
        raise ValueError("data has a number of blocks that its capacity and error_rate do not give")
    if count > blocks * BLOCK_BITS:  # a new key sets at least one bit
        raise ValueError("data has a count of more keys than its blocks have bits")
    return capacity, error_rate, count, blocks


def _check_blocks(data: bytes, blocks: int) -> None:
    """data: with an undamaged header."""
    if len(data) != HEADER.size + blocks * BLOCK_BYTES:
        raise ValueError(f"data must have {HEADER.size + blocks * BLOCK_BYTES} bytes, not {len(data)}")
    if hash_bytes(data[HEADER.size :]) != HEADER.unpack_from(data)[6]:
        raise ValueError("data is damaged: the checksum of its blocks does not match")
