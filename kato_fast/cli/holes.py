"""Versions of the libraries below us that are known to be open, for ``kato-fast doctor``."""

import subprocess
from typing import Callable, NamedTuple, Optional

Installed = Callable[[str], Optional[str]]


class Hole(NamedTuple):
    """One library from a version on, until the first that is whole again.

    debian: package and version in which Debian mended it without a new number, or None.
    """

    library: str
    first: str
    fixed: str
    text: str
    debian: Optional[tuple[str, str]] = None


# hiredis writes 1.4.0 into the header of 1.4.1, so that the two cannot be told apart from outside.
HOLES = (
    Hole(
        "redis",
        "0",
        "1.0.1",
        "a declared length overflows an allocation (CVE-2021-32765); kato_fast allocates nothing by declared lengths, "
        "other users of this library do",
        ("libhiredis0.14", "0.14.1-2"),
    ),
    Hole(
        "redis",
        "1.0.0",
        "1.4.1",
        "replies nested without limit overflow the stack, but in 1.1.1, 1.2.1, 1.3.1 and 1.4.1, which calls itself "
        "1.4.0; kato_fast bounds the depth, other users of this library do not",
    ),
    Hole(
        "mongo",
        "0",
        "1.27.5",
        "CVE-2023-0437, CVE-2024-6381, CVE-2024-6383 and CVE-2025-0755: libbson reads or writes beyond its buffers, or "
        "never ends",
        ("libbson-1.0-0", "1.23.1-1+deb12u3"),
    ),
)


def hole(library: str, version: str, installed: Optional[Installed] = None) -> Optional[str]:
    """What is known against that version of a library, or None. installed: Debian's version of a package."""
    for known in HOLES:
        if known.library == library and numbers(known.first) <= numbers(version) < numbers(known.fixed):
            if not _mended(known, installed or debian_version):
                return f"known hole, fixed in {known.fixed}: {known.text}"
    return None


def numbers(version: str) -> tuple[int, ...]:
    """``1.23.1`` as numbers; what follows them does not count."""
    found = []
    for part in version.split("-")[0].split("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        found.append(int(digits or 0))
    return tuple(found)


def _mended(known: Hole, installed: Installed) -> bool:
    if known.debian is None:
        return False
    package, least = known.debian
    found = installed(package)
    return found is not None and _run("dpkg", "--compare-versions", found, "ge", least) is not None


def debian_version(package: str) -> Optional[str]:
    """The version that dpkg has installed, or None."""
    found = _run("dpkg-query", "-W", "-f", "${Version}", package)
    return found or None


def _run(*command: str) -> Optional[str]:
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
