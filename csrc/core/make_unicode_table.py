"""Write unicode_table.h: the code points that repr shows as they are, and since which Unicode version.

    python csrc/core/make_unicode_table.py PYTHON [PYTHON ...] > csrc/core/unicode_table.h

Each PYTHON is an interpreter, one for each Unicode version that the table is to know: 3.9 has 13.0, 3.11 has 14.0,
3.12 has 15.0, 3.13 has 15.1, 3.14 has 16.0. An interpreter with the package unicodedata2 answers for that package.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

# str.isprintable: everything but these, and the space.
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
CODE_POINTS = 0x110000

HEADER = """\
/* The code points from 0x80 up that Python's repr shows as they are, each
 * range with the Unicode version (major * 10 + minor) since which it does.
 * Written by make_unicode_table.py; knows Unicode {versions}.
 * Sorted, for a binary search; included by naming.c only. */
#ifndef KATO_FAST_UNICODE_TABLE_H
#define KATO_FAST_UNICODE_TABLE_H

#include <stdint.h>

#define KF_UNICODE_OLDEST {oldest} /* what is older counts as this */

typedef struct {{
    uint32_t first;
    uint32_t last; /* inclusive */
    uint32_t since;
}} kf_unicode_range;

static const kf_unicode_range kf_unicode_printable[] = {{
"""

FOOTER = """\
};

#endif
"""


def printable() -> dict:
    """What this interpreter knows: its version and the printable code points, as alternating run lengths."""
    try:
        import unicodedata2 as unicodedata
    except ImportError:
        import unicodedata
    shown = [c == " " or unicodedata.category(c) not in HIDDEN for c in map(chr, range(CODE_POINTS))]
    if unicodedata.__name__ == "unicodedata":
        assert shown == [chr(code).isprintable() for code in range(CODE_POINTS)]
    major, minor = unicodedata.unidata_version.split(".")[:2]
    return {"version": int(major) * 10 + int(minor), "runs": list(runs(shown))}


def runs(shown: list[bool]) -> Iterator[int]:
    """Lengths of the runs of False, True, False, ..."""
    current, length = False, 0
    for value in shown:
        if value != current:
            yield length
            current, length = value, 0
        length += 1
    yield length


def expand(lengths: list[int]) -> list[bool]:
    shown: list[bool] = []
    for index, length in enumerate(lengths):
        shown.extend([index % 2 == 1] * length)
    assert len(shown) == CODE_POINTS
    return shown


def ask(interpreter: str) -> tuple[int, list[bool]]:
    answer = json.loads(subprocess.check_output([interpreter, __file__, "--this-interpreter"]))
    return answer["version"], expand(answer["runs"])


def since(tables: dict[int, list[bool]]) -> list[int]:
    """For each code point the first version that shows it, or 0. A character once shown must stay so."""
    first = [0] * CODE_POINTS
    for version in sorted(tables):
        for code, shown in enumerate(tables[version]):
            if shown and first[code] == 0:
                first[code] = version
            assert shown == (first[code] != 0), f"U+{code:04X} is hidden again by {version}"
    return first


def ranges(first: list[int]) -> Iterator[tuple[int, int, int]]:
    start = 0x80
    for code in range(0x80, CODE_POINTS + 1):
        if code == CODE_POINTS or first[code] != first[start]:
            if first[start] != 0:
                yield start, code - 1, first[start]
            start = code


def main(interpreters: list[str]) -> None:
    tables = dict(ask(interpreter) for interpreter in interpreters)
    versions = ", ".join(f"{version // 10}.{version % 10}" for version in sorted(tables))
    print(HEADER.format(versions=versions, oldest=min(tables)), end="")
    line = "   "
    for start, last, version in ranges(since(tables)):
        item = f" {{0x{start:X}, 0x{last:X}, {version}}},"
        if len(line) + len(item) > 79:
            print(line)
            line = "   "
        line += item
    print(line)
    print(FOOTER, end="")


if __name__ == "__main__":
    if sys.argv[1:] == ["--this-interpreter"]:
        print(json.dumps(printable()))
    elif sys.argv[1:]:
        main(sys.argv[1:])
    else:
        sys.exit(__doc__)
