"""Vector symbols: the text of NumPy, its defaults whatever the process has set."""

from __future__ import annotations

import hashlib
import random
import sys

import pytest

from kato_fast.service.vectors import NumpyMissing, vector_symbol
from tests.conftest import SEED

numpy = pytest.importorskip("numpy", reason="vector symbols need NumPy")

SPECIFIED = [
    ([1.0, 2.0, 3.0], "fe5de4472f7e4d5c9cdd19cadebfa06fe3da8e43"),
    ([1.5, 2.0, 3.0], "4c0344b8fa6ea00d44d6e074aab403f8b4b6df2d"),
    ([0.123456789012], "743e94e5fef76e451724ff70f3197c1888eac92e"),
    ([1e-9, 1.0], "a87f336da0258e796fa4e2448799bec9be7a5de3"),
    ([], "97d170e1550eee4afc0af065b78cda302a97674c"),
    ([0.5] * 1001, "8498fc609be06cb9935ac29457baccfc84832bf4"),
]


@pytest.mark.parametrize(("vector", "digest"), SPECIFIED)
def test_the_specified_symbols(vector: list, digest: str) -> None:
    assert vector_symbol([vector]) == f"VCTR|{digest}"


def test_as_str_of_an_array() -> None:
    rng = random.Random(SEED)
    kinds = [rng.random, lambda: rng.uniform(-1e3, 1e3), lambda: rng.randint(-5, 5), lambda: 10 ** rng.uniform(-20, 20)]
    for _ in range(2000):
        vectors = [[rng.choice(kinds)() for _ in range(rng.choice([1, 2, 3, 30]))]]
        vectors += [[rng.choice(kinds)() for _ in vectors[0]] for _ in range(rng.randrange(3))]
        total = numpy.array(vectors[0])
        for vector in vectors[1:]:
            total = total + numpy.array(vector)
        assert vector_symbol(vectors) == f"VCTR|{hashlib.sha1(str(total).encode()).hexdigest()}"


def test_printing_options_of_the_process_do_not_count() -> None:
    with numpy.printoptions(precision=2, suppress=True, linewidth=10, threshold=3, sign="+"):
        assert vector_symbol([[0.123456789012]]) == f"VCTR|{SPECIFIED[2][1]}"
        assert vector_symbol([[0.5] * 1001]) == f"VCTR|{SPECIFIED[5][1]}"


def test_lengths_that_differ() -> None:
    with pytest.raises(ValueError, match=r"could not be broadcast together with shapes \(2,\) \(3,\) "):
        vector_symbol([[1, 2], [1, 2, 3]])


def test_without_numpy(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(NumpyMissing, match=r"pip install 'kato_fast\[service\]'"):
        vector_symbol([[1.0]])
