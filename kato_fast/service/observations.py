"""From parsed JSON to observations: what is plainly right passes quickly, the rest gets pydantic's verdict.

Sequences are validated whole before anything is done. The cases in which KATO is known to answer 500 keep its text.
"""

from __future__ import annotations

import uuid
from typing import NoReturn, Optional

from pydantic import TypeAdapter, ValidationError

from kato_fast.emotives import MAX_NAMES, check_name
from kato_fast.service.body import refuse, unprocessable
from kato_fast.service.errors import HostError, validation_error
from kato_fast.service.models import ObservationData
from kato_fast.service.processor import Observation

#: Larger emotives could sum up to infinity, which JSON cannot say.
MAX_EMOTIVE = 1e300
#: As the engine: 1 MiB of UTF-8.
MAX_SYMBOL_BYTES = 2**20

_BODY = ("body",)
_adapter = TypeAdapter(ObservationData)


def observation_of(data: object, unique_id: str) -> Observation:
    """The observation in a body of ``/observe``; numbers become floats. Answers 422 naming the fault."""
    if not (isinstance(data, dict) and _plain(data)):
        data = _coerced(data)
    strings = data.get("strings", [])
    _check_symbols(strings, (*_BODY, "strings"))
    vectors = data.get("vectors")
    if vectors:
        vectors = [_floats(vector, (*_BODY, "vectors", i)) for i, vector in enumerate(vectors)]
    emotives = data.get("emotives")
    if emotives:
        _check_emotives(emotives, (*_BODY, "emotives"))
        emotives = {name: float(value) for name, value in emotives.items()}
    return Observation(strings, vectors or [], emotives or {}, unique_id)


def _plain(data: dict) -> bool:
    """Whether pydantic would take the values as they are, but for integers that become floats."""
    strings = data.get("strings")
    if strings is None:
        if "strings" in data:
            return False
    elif type(strings) is not list or not all(type(s) is str for s in strings):
        return False
    emotives = data.get("emotives")
    if emotives is None:
        if "emotives" in data:
            return False
    elif type(emotives) is not dict or not all(type(v) in _NUMBERS for v in emotives.values()):
        return False
    vectors = data.get("vectors")
    if vectors is None:
        return "vectors" not in data
    return type(vectors) is list and all(type(v) is list and _NUMBERS.issuperset(map(type, v)) for v in vectors)


_NUMBERS = frozenset((int, float))


def _coerced(data: object) -> dict:
    try:
        return _adapter.validate_python(data, from_attributes=True).model_dump()
    except ValidationError as error:
        refuse(error)


def _check_symbols(strings: list, place: tuple) -> None:
    for i, symbol in enumerate(strings):
        if len(symbol) > MAX_SYMBOL_BYTES // 4 and len(symbol.encode()) > MAX_SYMBOL_BYTES:
            msg = f"String should have at most {MAX_SYMBOL_BYTES} bytes as UTF-8"
            unprocessable("string_too_long", (*place, i), msg, symbol[:100])


def _floats(vector: list, place: tuple) -> list[float]:
    for i, value in enumerate(vector):
        try:
            float(value)
        except OverflowError:
            _not_finite((*place, i), value)
    return [float(value) for value in vector]


def _check_emotives(emotives: dict, place: tuple) -> None:
    if len(emotives) > MAX_NAMES:
        unprocessable("too_long", place, f"Dictionary should have at most {MAX_NAMES} items", len(emotives))
    for name, value in emotives.items():
        if not name or name[0] == "$" or "." in name or "\0" in name or len(name) > 250:
            _check_name(name, place)
        if not -MAX_EMOTIVE <= value <= MAX_EMOTIVE:
            msg = f"Input should be a number from -{MAX_EMOTIVE:g} to {MAX_EMOTIVE:g}"
            unprocessable("number_range", (*place, name), msg, str(value)[:100])


def _check_name(name: str, place: tuple) -> None:
    try:
        check_name(name, "emotives")
    except ValueError as error:
        unprocessable("emotive_name", (*place, name[:100]), f"Value error, {error}", name[:100])


def _not_finite(place: tuple, value: object) -> NoReturn:
    unprocessable("finite_number", place, "Input should be a finite number", str(value)[:100])


# sequences


def sequence_of(data: dict, limit: int, id_limit: int, sort: bool) -> list[Observation]:
    """The observations of a body of ``/observe-sequence``: numbers stay as they are.

    sort: whether strings are sorted; KATO does in any case.

    Raises HostError where KATO answers 500; answers 422 for everything else that is wrong.
    """
    items = data["observations"]
    if len(items) > limit:
        unprocessable("too_long", (*_BODY, "observations"), f"List should have at most {limit} items", len(items))
    return [_item(item, (*_BODY, "observations", i), id_limit, sort) for i, item in enumerate(items)]


def _item(item: object, place: tuple, id_limit: int, sort: bool) -> Observation:
    if not isinstance(item, dict):
        raise HostError(f"'{type(item).__name__}' object has no attribute 'get'")
    strings = item.get("strings", [])
    in_order = _sorted(strings, place)
    strings = in_order if sort else strings
    unique_id = _unique_id(item, place, id_limit)
    _check_strings(strings)
    _check_symbols(strings, (*place, "strings"))
    vectors, emotives = item.get("vectors", []), item.get("emotives", {})
    if emotives is not None:
        _check_emotive_types(emotives, (*place, "emotives"))
    if vectors is not None:
        _check_vectors(vectors, (*place, "vectors"))
    return Observation(strings, vectors, emotives, unique_id)


def _sorted(strings: object, place: tuple) -> list:
    """KATO sorts before it looks at the types."""
    if strings is None:
        raise HostError("'NoneType' object is not iterable")
    if not isinstance(strings, list):
        unprocessable("list_type", (*place, "strings"), "Input should be a valid list", strings)
    try:
        return sorted(strings)
    except TypeError as error:
        raise HostError(str(error)) from None


def _unique_id(item: dict, place: tuple, limit: int) -> Optional[str]:
    unique_id = item.get("unique_id", _ABSENT)
    if unique_id is _ABSENT:
        return str(uuid.uuid4())
    if unique_id == "":
        text = "Observation must include a non-empty unique_id"
        raise validation_error(text, "unique_id", "", "Required non-empty string")
    if unique_id is None:
        return None
    check_id(unique_id, (*place, "unique_id"), limit)
    return unique_id


_ABSENT = object()


def check_id(value: object, place: tuple, limit: int) -> None:
    """Ids are text without NUL, of limited length."""
    if not isinstance(value, str):
        unprocessable("string_type", place, "Input should be a valid string", value)
    if "\0" in value:
        unprocessable("string_pattern", place, "String should not contain NUL", value[:100])
    if len(value) > limit:
        unprocessable("string_too_long", place, f"String should have at most {limit} characters", value[:100])


def _check_strings(strings: list) -> None:
    for i, symbol in enumerate(strings):
        if not isinstance(symbol, str):
            text = f"String at index {i} must be a string"
            raise validation_error(text, f"strings[{i}]", type(symbol).__name__, "Must be string type")


def _check_emotive_types(emotives: object, place: tuple) -> None:
    if not isinstance(emotives, dict):
        unprocessable("dict_type", place, "Input should be a valid dictionary", emotives)
    for name, value in emotives.items():
        if not isinstance(value, (int, float)):
            unprocessable("float_type", (*place, name), "Input should be a valid number", value)
    _check_emotives(emotives, place)


def _check_vectors(vectors: object, place: tuple) -> None:
    if not isinstance(vectors, list):
        unprocessable("list_type", place, "Input should be a valid list", vectors)
    for i, vector in enumerate(vectors):
        if not isinstance(vector, list):
            unprocessable("list_type", (*place, i), "Input should be a valid list", vector)
        for k, value in enumerate(vector):
            if not isinstance(value, (int, float)):
                unprocessable("float_type", (*place, i, k), "Input should be a valid number", value)
        _floats(vector, (*place, i))
