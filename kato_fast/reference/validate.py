"""What comes in, checked and copied; one text per fault, the same as the C engine's.

Every check walks front to back and stops at the first fault. Returned lists are copies of exact ``str``, so that no
later change by the caller, nor a subclass of ``str``, reaches what is stored. The size of the whole is checked last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, NamedTuple, Optional

from kato_fast.emotives import average
from kato_fast.reference.generation import GENERATIONS

MAX_SYMBOLS = 65_535
MAX_SYMBOL_BYTES = 1 << 20
MAX_FREQUENCY = (1 << 63) - 1
METHODS = ("ratcliff_obershelp", "lcs")


def events(value: Any) -> list[list[str]]:
    """A pattern's events: a list or tuple of non-empty lists or tuples of symbols."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"events must be a list of events, not {_kind(value)}")
    checked = [_event(item, "events", i) for i, item in enumerate(value)]
    _check_count(sum(map(len, checked)), "events")
    return checked


class State(NamedTuple):
    """The symbols of a state, and its events where it came as such."""

    flat: list[str]
    events: Sequence[list[str]] = ()


def state(value: Any) -> State:
    """A state: of events if its first item is a list or tuple, else of symbols."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"state must be a list of symbols or of events, not {_kind(value)}")
    if value and isinstance(value[0], (list, tuple)):
        events = [_event(item, "state", i) for i, item in enumerate(value)]
        found = State([symbol for event in events for symbol in event], events)
    else:
        found = State(_symbols(value, "state"))
    _check_count(len(found.flat), "state")
    return found


def states(value: Any) -> list[State]:
    """A batch of states; what is wrong with one says which."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"states must be a list of states, not {_kind(value)}")
    checked = []
    for i, item in enumerate(tuple(value)):
        try:
            checked.append(state(item))
        except (TypeError, ValueError) as error:
            raise type(error)(f"states[{i}]: {error}") from None
    return checked


def sequence(value: Any, place: str) -> list[str]:
    """A flat list or tuple of symbols, as ``ratio`` and ``matching_blocks`` take them."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{place} must be a list of symbols, not {_kind(value)}")
    flat = _symbols(value, place)
    _check_count(len(flat), place)
    return flat


def recall_threshold(value: Any) -> float:
    """A finite real number; any size, as in a host's unchecked session."""
    if not isinstance(value, Real):
        raise TypeError(f"recall_threshold must be a number, not {_kind(value)}")
    number = _float(value)
    if not math.isfinite(number):
        raise ValueError(f"recall_threshold must be finite, not {number!r}")
    return number


def max_predictions(value: Any) -> int:
    """How many predictions to keep, 0 allowed."""
    _check_int(value, "max_predictions")
    if value < 0:
        raise ValueError(f"max_predictions must not be negative, not {value}")
    return value


def frequency(value: Any) -> int:
    """How often a pattern was learned."""
    _check_int(value, "frequency")
    if not 1 <= value <= MAX_FREQUENCY:
        raise ValueError(f"frequency must be from 1 to {MAX_FREQUENCY}, not {value}")
    return value


def emotives(value: Any) -> Optional[list[dict[str, float]]]:
    """A pattern's stored emotives: None, or a list of maps from name to finite number, of finite average."""
    if value is None:
        return None
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"emotives must be a list of maps, not {_kind(value)}")
    checked = [_emotive_map(item, f"emotives[{i}]") for i, item in enumerate(value)]
    average(checked)  # raises where finite numbers have no finite mean
    return checked


def items(value: Any) -> list[tuple]:
    """What ``learn_many`` takes: (events, emotives) pairs, not yet looked into."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"items must be a list of (events, emotives) pairs, not {_kind(value)}")
    for i, item in enumerate(value):
        if not isinstance(item, (list, tuple)):
            raise TypeError(f"items[{i}] must be an (events, emotives) pair, not {_kind(item)}")
        if len(item) != 2:
            raise ValueError(f"items[{i}] must have 2 items, not {len(item)}")
    return [tuple(item) for item in value]


def name(value: Any) -> str:
    """The name of a pattern that may or may not exist."""
    if not isinstance(value, str):
        raise TypeError(f"name must be a str, not {_kind(value)}")
    return value


def method(value: Any) -> str:
    """How ``ratio`` compares."""
    if not isinstance(value, str):
        raise TypeError(f"method must be a str, not {_kind(value)}")
    if value not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {value!r}")
    return value


def generation(value: Any) -> str:
    """The KATO that is matched."""
    if value not in GENERATIONS:
        raise ValueError(f"generation must be one of {', '.join(GENERATIONS)}, not {value!r}")
    return value


def _event(value: Any, place: str, index: int) -> list[str]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{place}[{index}] must be a list of symbols, not {_kind(value)}")
    if not value:
        raise ValueError(f"{place}[{index}] must not be empty")
    return _symbols(value, f"{place}[{index}]")


def _symbols(values: Any, place: str) -> list[str]:
    return [_symbol(value, place, i) for i, value in enumerate(values)]


def _symbol(value: Any, place: str, index: int) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{place}[{index}] must be a str, not {_kind(value)}")
    try:
        size = len(str.encode(value))
    except UnicodeEncodeError as error:
        raise ValueError(f"{place}[{index}] must be valid Unicode: lone surrogate at index {error.start}") from None
    if size > MAX_SYMBOL_BYTES:
        raise ValueError(f"{place}[{index}] must have at most {MAX_SYMBOL_BYTES} bytes as UTF-8, not {size}")
    return value if type(value) is str else str.__str__(value)


def whole(members: Any, symbols: Any, learns: Any, memberships: Any) -> None:
    """Counters of a larger whole."""
    pairs = members.items() if isinstance(members, dict) else [(members, None)]
    if not all(type(key) is str and type(item) is int for key, item in pairs):
        raise TypeError("members must be a dict of str to int")
    for value, place in ((symbols, "symbols"), (learns, "learns"), (memberships, "memberships")):
        _check_int(value, place)
    if not 0 <= symbols < 2**32 or learns < 0 or memberships < 0:
        raise ValueError("symbols must be from 0 to 2**32-1, learns and memberships not negative")
    least, most = min(members.values(), default=0), max([learns, memberships, *members.values()])
    if least < 0:
        raise ValueError(f"members must not be negative, not {least}")
    if most > 2**53 - 1:
        raise ValueError(f"counters must be at most {2**53 - 1}")


def _check_count(count: int, place: str) -> None:
    if count > MAX_SYMBOLS:
        raise ValueError(f"{place} must have at most {MAX_SYMBOLS} symbols, not {count}")


def _check_int(value: Any, place: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{place} must be an int, not {_kind(value)}")


def _emotive_map(value: Any, place: str) -> dict[str, float]:
    if not isinstance(value, dict):
        raise TypeError(f"{place} must be a map of names to numbers, not {_kind(value)}")
    return {_emotive_name(key, place): _emotive(number, f"{place}[{key!r}]") for key, number in value.items()}


def _emotive_name(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{place} must have str names, not {_kind(value)}")
    try:
        str.encode(value)
    except UnicodeEncodeError as error:
        raise ValueError(f"{place} must have names of valid Unicode: lone surrogate at index {error.start}") from None
    return str.__str__(value)


def _emotive(value: Any, place: str) -> float:
    if not isinstance(value, Real):
        raise TypeError(f"{place} must be a number, not {_kind(value)}")
    number = _float(value)
    if not math.isfinite(number):
        raise ValueError(f"{place} must be finite, not {number!r}")
    return number


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an int beyond the largest double
        return math.inf if value > 0 else -math.inf


def _kind(value: Any) -> str:
    return type(value).__name__
