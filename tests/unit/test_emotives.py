"""Emotives: what is taken, the average, and the short list that a pattern keeps."""

from __future__ import annotations

import math
from collections import OrderedDict
from fractions import Fraction
from types import MappingProxyType

import pytest

from kato_fast import EmotivesConflict
from kato_fast.emotives import MAX_MAPS, MAX_NAME_BYTES, MAX_NAMES, average, check, push

HUGE = 1.7976931348623157e308


class Loud(float):
    """A number with a manner of its own."""

    def __add__(self, other):
        raise AssertionError("what is kept must be a plain float")

    __radd__ = __add__


def test_good_maps_are_copied_as_plain_numbers():
    given = [OrderedDict(joy=True, fear=-0.5), MappingProxyType({"é 😀": Fraction(1, 2)})]
    taken = check(given)
    assert taken == [{"joy": 1, "fear": -0.5}, {"é 😀": 0.5}]
    assert [type(value) for item in taken for value in item.values()] == [int, float, float]
    given[0]["joy"] = 7
    assert taken[0]["joy"] == 1
    assert type(check([{"joy": Loud(1.5)}])[0]["joy"]) is float


@pytest.mark.parametrize("none", [(), [], [{}]])
def test_no_emotives(none):
    assert average(check(none)) == {}


def test_a_single_map_is_a_list_of_one():
    assert check({"joy": 1.0}) == [{"joy": 1.0}]


@pytest.mark.parametrize(
    ("maps", "kind", "text"),
    [
        (None, TypeError, "emotives must be a list of maps, not NoneType"),
        (7, TypeError, "emotives must be a list of maps, not int"),
        ("joy", TypeError, "emotives must be a list of maps, not str"),
        (b"joy", TypeError, "emotives must be a list of maps, not bytes"),
        ([{"a": 1}, 7], TypeError, "emotives[1] must be a map of names to numbers, not int"),
        ([[("joy", 1)]], TypeError, "emotives[0] must be a map of names to numbers, not list"),
        ([{1: 1}], TypeError, "emotives[0] must have str names, not int"),
        ([{"": 1}], ValueError, "emotives[0] must not have an empty name"),
        (
            [{"a.b": 1}],
            ValueError,
            "emotives[0] must not have a name that contains '.' or NUL or starts with '$': 'a.b'",
        ),
        ([{"$a": 1}], ValueError, "starts with '$': '$a'"),
        ([{"a\0": 1}], ValueError, "NUL"),
        ([{"a\ud800": 1}], ValueError, "emotives[0] must have names of valid Unicode: lone surrogate at index 1"),
        ([{"é" * 513: 1}], ValueError, f"at most {MAX_NAME_BYTES} bytes as UTF-8, not 1026"),
        ([{"joy": "1"}], TypeError, "emotives[0]['joy'] must be a number, not str"),
        ([{"joy": None}], TypeError, "emotives[0]['joy'] must be a number, not NoneType"),
        ([{"joy": 1j}], TypeError, "emotives[0]['joy'] must be a number, not complex"),
        ([{}, {"joy": math.nan}], ValueError, "emotives[1]['joy'] must be finite, not nan"),
        ([{"joy": -math.inf}], ValueError, "emotives[0]['joy'] must be finite, not -inf"),
        ([{"joy": 10**5000}], ValueError, "emotives[0]['joy'] must be finite, not an int beyond the largest float"),
        ([{str(i): 0 for i in range(MAX_NAMES + 1)}], ValueError, f"at most {MAX_NAMES} names, not {MAX_NAMES + 1}"),
        ([{}] * (MAX_MAPS + 1), ValueError, f"at most {MAX_MAPS} maps, not {MAX_MAPS + 1}"),
    ],
)
def test_bad_maps_name_the_place_and_the_rule(maps, kind, text):
    with pytest.raises(kind) as error:
        check(maps)
    assert text in str(error.value)


def test_the_place_is_the_callers():
    with pytest.raises(TypeError, match=r"^emotives\[3\]\[0\] must be a map"):
        check([1], "emotives[3]")


def test_average_is_per_name_in_order_of_first_appearance():
    """The host's worked example H32."""
    mean = average([{"joy": 1.0, "fear": 0.5}, {"joy": 0.0}, {"fear": -0.5}])
    assert list(mean.items()) == [("joy", 0.5), ("fear", 0.0)]


def test_average_adds_left_to_right_and_does_not_compensate():
    values = [1e16, 1.0, -1e16, 1.0] + [0.1] * 10
    total = 0
    for value in values:
        total += value
    assert average({"x": value} for value in values) == {"x": total / len(values)}
    assert total != math.fsum(values)


def test_average_of_ints_is_exact_and_a_float():
    mean = average([{"x": 2**53}, {"x": 1}, {"x": 2**53 + 1}, {"y": True}])
    assert mean == {"x": (2**54 + 2) / 3, "y": 1.0}
    assert {type(value) for value in mean.values()} == {float}


@pytest.mark.parametrize("values", [[HUGE, HUGE], [int(HUGE)] * 3 + [0.5], [0.5] + [int(HUGE)] * 3])
def test_average_must_be_finite(values):
    with pytest.raises(ValueError, match=r"emotives\['x'\] must have a finite average, not inf"):
        average(check([{"x": value} for value in values]))


def test_ints_whose_mean_fits_are_averaged():
    assert average([{"x": int(HUGE)}] * 2) == {"x": HUGE}


@pytest.mark.parametrize(
    ("known", "stored", "maps", "kept", "changed"),
    [
        (False, None, [], None, False),
        (False, None, [{}], None, False),
        (False, None, [{"joy": 1.0}], [{"joy": 1.0}], True),
        (False, None, [{"joy": 0.0}], [{}], True),
        (False, None, [{"joy": 0, "fear": 2}], [{"fear": 2.0}], True),
        (False, None, [{"joy": -0.0}], [{}], True),
        (False, None, [{"joy": 1}, {"joy": -1}], [{}], True),
        (True, [{"joy": 1.0}], [], [{"joy": 1.0}], False),
        (True, [{}], [{"joy": 1.0}], [{}, {"joy": 1.0}], True),
        (True, [{"a": 1.0}, {"b": 1.0}], [{"c": 1.0}], [{"b": 1.0}, {"c": 1.0}], True),
        (True, [{"a": 1.0}] * 5, [{"c": 1.0}], [{"a": 1.0}, {"c": 1.0}], True),
        (True, None, [], None, False),
        (True, None, [{}], None, False),
    ],
)
def test_what_a_pattern_keeps(known, stored, maps, kept, changed):
    before = None if stored is None else list(stored)
    assert push(known, stored, maps, 2) == (kept, changed)
    assert stored == before


def test_emotives_for_a_pattern_that_never_had_any_are_a_conflict():
    with pytest.raises(EmotivesConflict, match="first learned without any") as error:
        push(True, None, [{"joy": 0.0}], 5)
    assert isinstance(error.value, ValueError)


def test_the_names_of_all_maps_together_are_limited():
    maps = [{f"{i} {j}": 1 for j in range(MAX_NAMES)} for i in range(2)]
    with pytest.raises(ValueError, match=f"at most {MAX_NAMES} names together, not {2 * MAX_NAMES}"):
        push(False, None, maps, 5)
