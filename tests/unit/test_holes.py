"""Known holes of linked libraries: named where the version has them, silent where it has not."""

from __future__ import annotations

from typing import Optional

import pytest

from kato_fast import native
from kato_fast.cli import doctor
from kato_fast.cli.holes import HOLES, debian_version, hole, numbers


def nothing(package: str) -> Optional[str]:
    return None


@pytest.mark.parametrize(
    ("library", "version", "text"),
    [
        ("redis", "0.14.1", "CVE-2021-32765"),
        ("redis", "1.0.0", "CVE-2021-32765"),
        ("redis", "1.2.0", "nested without limit"),
        ("redis", "1.4.0", "nested without limit"),
        ("redis", "1.4.1", None),
        ("redis", "2.0.0", None),
        ("mongo", "1.23.1", "CVE-2024-6383"),
        ("mongo", "1.30.8", None),
        ("mongo", "2.5.0", None),
        ("cbor", "0.8.0", None),
        ("cbor", "0.14.0", None),
    ],
)
def test_versions(library: str, version: str, text: Optional[str]) -> None:
    found = hole(library, version, nothing)
    assert (found is None) == (text is None)
    assert text is None or found is not None and text in found


def test_what_debian_mended() -> None:
    if debian_version("dpkg") is None:
        return  # not Debian: nothing is mended without a number
    for known in HOLES:
        if known.debian is not None:
            package, least = known.debian
            assert hole(known.library, "0.14.1", {package: least}.get) is None
            assert hole(known.library, "0.14.1", {package: least + "+deb99u1"}.get) is None
            assert hole(known.library, "0.14.1", {package: "0.1"}.get) is not None


def test_numbers() -> None:
    assert numbers("1.23.1-1+deb12u3") == (1, 23, 1)
    assert numbers("2.0.0rc1") == (2, 0, 0)
    assert numbers("1.10") > numbers("1.9.9")


def test_doctor_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"redis": {"available": True, "version": "1.3.0", "reason": None, "package": "libhiredis-dev"}}
    monkeypatch.setattr(native, "libraries", lambda: found)
    (check,) = doctor._libraries()
    assert not check.ok
    assert "1.3.0" in check.detail and "1.4.1" in check.detail
