"""The engine in C. ``kato_fast.reference`` has the same names in plain Python, with the same answers and errors.

Symbols are ``str`` of valid Unicode, at most 1 MiB as UTF-8. ``events`` is a list or tuple of events, an event a
non-empty list or tuple of symbols; a state is either that or a flat list or tuple of symbols. Neither may hold more
than 65,535 symbols. Bad input raises TypeError or ValueError that names the argument, the place and the rule; nothing
is half done. Everything may be called from many threads.
"""

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, final, overload

_Event = list[str] | tuple[str, ...]
_Events = Sequence[list[str]] | Sequence[tuple[str, ...]] | Sequence[_Event]
_State = _Event | _Events
_Emotives = Sequence[Mapping[str, float]] | None
_Learned = tuple[str, bool] | None
_Method = Literal["ratcliff_obershelp", "lcs"]
_Key = str | bytes

@final
class Knowledge:
    """Patterns in memory, searchable, with the counters that learning keeps.

    Args:
        indexed: True searches only the candidate set of the host's lossy index (profile ``kato-2025-09-indexed``).
        threads: that one search may use, 1 to 64; answers are equal for any number.
    """

    def __init__(self, *, indexed: bool = False, threads: int = 1) -> None: ...
    @classmethod
    def open(cls, path: str | bytes | PathLike[str], *, threads: int = 1) -> Knowledge:
        """What ``save`` wrote, mapped and not to be changed: learn, put, forget and clear raise ValueError.

        Args:
            path: the file; it must not be written to while it is open, but may be replaced.
            threads: that checking it and one search may use, 1 to 64.

        Raises:
            OSError: the file system refuses.
            ValueError: the file is damaged, no snapshot, or of a newer version; the text says where.
        """

    def save(self, path: str | bytes | PathLike[str], /) -> None:
        """Write all that is known at one moment to one file, which ``open`` maps. Others may ask and learn meanwhile.

        A file of that name is replaced when the new one is complete and on disk.

        Raises:
            OSError: the file system refuses; what was there is still there.
        """

    @property
    def indexed(self) -> bool:
        """Whether searches look only at the host's candidates."""

    def name(self, events: _Events) -> str | None:
        """The name a pattern of these events has; learns nothing.

        Returns:
            40 lower-case hex digits, or None below two symbols, where KATO learns nothing.

        Raises:
            TypeError, ValueError: the events are not well formed.
        """

    def learn(self, events: _Events, emotives: _Emotives = None) -> _Learned:
        """Learn one sequence: its frequency and all counters go up by one learn.

        Args:
            events: the sequence.
            emotives: the pattern's new stored list of maps from name to number, or None to leave what is there.

        Returns:
            (name, was it new), or None below two symbols.

        Raises:
            TypeError, ValueError: bad events or emotives, or a total beyond 2**53-1.
        """

    def learn_many(self, items: Sequence[tuple[_Events, _Emotives]]) -> list[_Learned]:
        """Learn several sequences in order: all of them, or none where one is bad.

        Args:
            items: a list or tuple of (events, emotives) pairs, each as for ``learn``.

        Returns:
            What ``learn`` returns, one an item.

        Raises:
            TypeError, ValueError: an item is bad; nothing was learned.
        """

    def put(self, events: _Events, frequency: int, emotives: _Emotives = None) -> str:
        """Set a pattern to absolute values, whatever it had; counters change by the difference. A new one goes last.

        Args:
            events: at least two symbols.
            frequency: how often it was learned in all, at least 1; no total may go beyond 2**53-1.
            emotives: its stored list, or None for none.

        Returns:
            The pattern's name.

        Raises:
            TypeError, ValueError: bad events, frequency or emotives; nothing was changed.
        """

    def forget(self, name: str) -> bool:
        """Remove one pattern and all it added to the counters; a symbol that is in no pattern any more is gone.

        Returns:
            False where there is no pattern of that name.

        Raises:
            TypeError: the name is not a ``str``.
        """

    def clear(self) -> None:
        """Remove everything."""

    def predict(self, state: _State, recall_threshold: float, max_predictions: int) -> Predictions:
        """Which patterns the state belongs to, with all of KATO's metrics, best first.

        Args:
            state: below two symbols there are no predictions.
            recall_threshold: least similarity, equality counts; finite, not limited to 0..1.
            max_predictions: how many to keep; ensemble figures cover all that passed.

        Returns:
            Predictions that later learning does not change.

        Raises:
            TypeError, ValueError: a bad argument.
        """

    def predict_many(
        self, states: Sequence[_State], recall_threshold: float, max_predictions: int
    ) -> list[Predictions]:
        """``predict`` for each state, with the answers that it gives one by one.

        Equal states are asked once and share their answer; the others share what they read.

        Raises:
            TypeError, ValueError: a bad argument; the text says which state.
        """

    def match(self, state: _State, recall_threshold: float) -> Matches:
        """Which patterns pass the threshold; nothing assembled. Arguments and errors as for ``predict``."""

    def pattern(self, name: str) -> dict[str, Any] | None:
        """One pattern as KATO stores it.

        Returns:
            ``name``, ``frequency``, ``length`` (symbols), ``pattern_data`` (events), ``emotives`` (a list of maps, or
            ``{}`` where it was first learned without), in this order; None where there is none of that name.

        Raises:
            TypeError: the name is not a ``str``.
        """

    def names(self) -> list[str]:
        """Every pattern's name, in learning order."""

    def symbols(self) -> dict[str, dict[str, int]]:
        """Per symbol, in no particular order: ``frequency`` (occurrences) and ``pattern_member_frequency``, both
        summed over learns."""

    def totals(self) -> dict[str, int]:
        """``total_pattern_frequencies``, ``total_symbol_frequencies``, ``total_symbols_in_patterns_frequencies``."""

    def count_as(self, members: dict[str, int], symbols: int, learns: int, memberships: int, /) -> None:
        """Answer as a part of a larger whole, which is counted elsewhere; nothing may be learned, put or forgotten
        afterwards.

        Args:
            members: per symbol its pattern_member_frequency; a symbol that is missing has none.
            symbols: distinct ones of the whole.
            learns: total_pattern_frequencies.
            memberships: total_symbols_in_patterns_frequencies.

        Raises:
            TypeError, ValueError: no such counters; nothing was changed.
        """

    def memory(self) -> int:
        """Bytes held for patterns, symbols and indexes."""

    def __len__(self) -> int: ...

@final
class Predictions(Sequence[dict[str, Any]]):
    """Ranked predictions, best first. Immutable; an item is a new dict each time it is read, keys in KATO's order."""

    @property
    def future_potentials(self) -> list[dict[str, Any]]:
        """The distinct futures: ``future``, ``aggregate_potential``, ``supporting_patterns``,
        ``total_weighted_frequency``, heaviest first; empty where nothing passed."""

    @property
    def matched(self) -> int:
        """How many patterns passed the threshold, before ``max_predictions`` cut the list."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def to_list(self) -> list[dict[str, Any]]:
        """All of them, as new dicts."""

    def to_json(self, *, pattern_names: bool = False) -> bytes:
        """``json.dumps(self.to_list(), ensure_ascii=False, separators=(",", ":"))`` as UTF-8.

        Args:
            pattern_names: True appends ``"pattern_name": "PTRN|" + name`` to every prediction.
        """

    def answer_json(self, found: Predictions, tail: bytes, /, *, pattern_names: bool = False) -> bytes:
        """``to_json()``, ``found.future_potentials_json()`` and the tail as one object, written once.

        Args:
            found: the predictions whose future potentials are told.
            tail: from the comma to the closing brace.
            pattern_names: as in ``to_json``.
        """

    def to_cbor(self, *, pattern_names: bool = False) -> bytes:
        """``cbor2.dumps(self.to_list())``; pattern_names as in ``to_json``."""

    def future_potentials_cbor(self) -> bytes:
        """The CBOR of ``future_potentials``, in the same form."""

    def future_potentials_json(self) -> bytes:
        """The JSON of ``future_potentials``, in the same form."""

@final
class Matches:
    """Every pattern that passed, in learning order. Immutable."""

    @property
    def names(self) -> list[str]:
        """The patterns' names."""

    @property
    def ratios(self) -> list[float]:
        """Their similarities, in the same order."""

    def __len__(self) -> int: ...

@final
class BloomFilter:
    """A set of keys that may say "there" of a key that is not, and never "not there" of one that is.

    A key is a ``str`` or ``bytes``; a ``str`` and the bytes of its UTF-8 are the same key. The same keys give the same
    bytes in every process and on every CPU.

    Args:
        capacity: keys it is made for, 1 to 2**36; all memory is taken at the start.
        error_rate: probability of a false "there" with that many keys in it, over 0 and under 1.

    Raises:
        TypeError, ValueError: a bad argument.
    """

    def __init__(self, capacity: int, error_rate: float = 0.001) -> None: ...
    @property
    def capacity(self) -> int:
        """The number of keys the filter was made for."""

    @property
    def error_rate(self) -> float:
        """The rate of false answers that was asked for."""

    def add(self, key: _Key) -> bool:
        """Add a key. True where it was (probably) not yet there."""

    def update(self, keys: Iterable[_Key]) -> None:
        """Add all keys, or none where one of them is no key."""

    def contains_many(self, keys: Iterable[_Key]) -> bytes:
        """One byte a key, in their order: 1 where ``key in self``, else 0."""

    def to_bytes(self) -> bytes:
        """The filter as bytes, the same on every machine, for ``from_bytes``."""

    @classmethod
    def from_bytes(cls, data: Any) -> BloomFilter:
        """The filter that ``to_bytes`` wrote.

        Args:
            data: ``bytes`` or another buffer.

        Raises:
            ValueError: a byte was lost or changed; the text says what is wrong.
        """

    @classmethod
    def attach(cls, data: Any) -> BloomFilter:
        """The filter in the bytes themselves, which are kept: ``bytes``, an ``mmap``, shared memory.

        Nothing is copied, and only the header is checked, so that size does not matter. Keys may be added where the
        buffer can be written, by several processes at once; on a read-only one that is a ValueError. The header in the
        buffer then keeps its count, so ``from_bytes`` refuses the buffer: give it to ``attach``, or take ``to_bytes``
        of this filter.

        Args:
            data: a buffer that begins with what ``to_bytes`` wrote; more may follow.

        Raises:
            ValueError: the header is damaged, or bytes are missing; the text says which.
        """

    def __contains__(self, key: _Key) -> bool: ...
    def __len__(self) -> int: ...

def ratio(a: _Event, b: _Event, method: _Method = "ratcliff_obershelp") -> float:
    """Similarity of a pattern and a state, two flat lists or tuples of symbols.

    Args:
        a: the pattern.
        b: the state.
        method: ``"ratcliff_obershelp"``, as KATO compares (not symmetric), or ``"lcs"``, by longest common subsequence.

    Returns:
        2M / (len(a) + len(b)), M being the symbols in common; 1.0 where both are empty.

    Raises:
        TypeError, ValueError: a bad argument.
    """

def matching_blocks(a: _Event, b: _Event) -> list[tuple[int, int, int]]:
    """The blocks of ``difflib.SequenceMatcher(None, a, b, autojunk=False)`` without its last (len(a), len(b), 0).

    Returns:
        (position in a, position in b, length), by position.

    Raises:
        TypeError, ValueError: a bad argument.
    """

def pattern_name(events: _Events) -> str:
    """The name under which KATO stores these events: SHA-1 of their repr.

    Args:
        events: any number of symbols, also fewer than KATO learns.

    Returns:
        40 lower-case hex digits.

    Raises:
        TypeError, ValueError: the events are not well formed.
    """

def cpu_features() -> list[str]:
    """The instruction sets that the engine found and uses, e.g. ``["avx2"]``; empty for plain code."""

def unlocked_seconds() -> float:
    """Time that this process has spent in the engine without the GIL; sections of several threads add up."""
