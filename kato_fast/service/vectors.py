"""Vectors as symbols: ``VCTR|`` and the SHA-1 of NumPy's text of their sum (section 2.4).

The text is NumPy's own, so NumPy makes it: its digits, shared column width and line breaks are a large algorithm,
and the type of the elements (whole numbers in sequences stay whole) enters it. Imported when the first vector arrives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

MISSING = "vectors need NumPy, which is not installed: pip install 'kato_fast[service]'"


class NumpyMissing(Exception):
    """Vectors arrived, NumPy is not there."""


def vector_symbol(vectors: Sequence[Sequence[float]]) -> str:
    """The symbol of the vectors of one observation, at least one.

    Raises ValueError with NumPy's text where their lengths differ, NumpyMissing.
    """
    try:
        import numpy
    except ImportError:
        raise NumpyMissing(MISSING) from None
    with numpy.errstate(all="ignore"):
        total = numpy.array(vectors[0])
        for vector in vectors[1:]:
            total = total + numpy.array(vector)
    text = numpy.array2string(total, **_DEFAULTS)
    return f"VCTR|{hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()}"


#: What str() uses, whatever the process has set with numpy.set_printoptions.
_DEFAULTS = {
    "precision": 8,
    "threshold": 1000,
    "edgeitems": 3,
    "max_line_width": 75,
    "suppress_small": False,
    "separator": " ",
    "floatmode": "maxprec",
    "sign": "-",
}
