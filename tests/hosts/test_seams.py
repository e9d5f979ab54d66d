"""Fingerprints, applying and undoing: on small modules made here."""

from __future__ import annotations

import importlib
import json
import sys
from types import ModuleType

import pytest

from kato_fast.hosts import seams
from kato_fast.hosts.seams import Attachment, Seam, fingerprint

SOURCE = '''
LIMIT = 50

class Searcher:
    """Finds."""

    def find(self, state):
        # every pattern
        return [item for item in state if item]

    @staticmethod
    def size():
        return LIMIT

def helper(x):
    return x + 1
'''


@pytest.fixture
def host(tmp_path, monkeypatch) -> ModuleType:
    (tmp_path / "hostlike.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("hostlike")
    del sys.modules["hostlike"]


def test_comments_docstrings_and_layout_do_not_count(host, tmp_path, monkeypatch) -> None:
    other = (
        SOURCE.replace("# every pattern", "# some")
        .replace('"""Finds."""', '"""Searches."""')
        .replace("[item for", "[ item  for")
    )
    (tmp_path / "other.py").write_text(other)
    module = importlib.import_module("other")
    try:
        assert fingerprint(module.Searcher) == fingerprint(host.Searcher)
        assert fingerprint(module.Searcher.find) == fingerprint(host.Searcher.find)
    finally:
        del sys.modules["other"]


@pytest.mark.parametrize("old, new", [("x + 1", "x + 2"), ("helper(x)", "helper(x, y=None)"), ("x + 1", "x - 1")])
def test_any_change_of_code_counts(host, tmp_path, old, new) -> None:
    (tmp_path / "other.py").write_text(SOURCE.replace(old, new))
    module = importlib.import_module("other")
    try:
        assert fingerprint(module.helper) != fingerprint(host.helper)
    finally:
        del sys.modules["other"]


def test_what_has_no_source_has_no_fingerprint() -> None:
    assert fingerprint(len) is None
    assert fingerprint(eval("lambda: 1")) is None


def shout(original):
    return lambda self, state: [original, state]


def applied(host, prints, **options) -> Attachment:
    attachment = Attachment(prints=prints)
    attachment.apply(Seam("hostlike", "Searcher.find", "native_matching", shout, **options), host)
    return attachment


def test_a_known_place_is_replaced_and_put_back_by_identity(host) -> None:
    original = vars(host.Searcher)["find"]
    attachment = applied(host, {"hostlike:Searcher.find": (fingerprint(original),)})
    assert host.Searcher().find([1]) == [original, [1]]
    attachment.undo()
    assert vars(host.Searcher)["find"] is original
    assert not attachment.changes


def test_an_unknown_place_is_left_alone_and_said(host) -> None:
    original = vars(host.Searcher)["find"]
    attachment = applied(host, {"hostlike:Searcher.find": ("0123456789abcdef",)})
    assert vars(host.Searcher)["find"] is original
    (skip,) = attachment.skips
    assert skip.reason == "fingerprint" and fingerprint(original) in skip.detail


def test_an_unknown_part_that_it_relies_on_leaves_it_alone_too(host) -> None:
    prints = {"hostlike:Searcher.find": (fingerprint(host.Searcher.find),), "hostlike:helper": ("0" * 16,)}
    attachment = applied(host, prints, relies=("hostlike:helper", "hostlike:gone"))
    assert not attachment.changes
    assert "hostlike:helper" in attachment.skips[0].detail and "hostlike:gone (None)" in attachment.skips[0].detail


def test_a_replacement_that_cannot_be_made_is_said_and_the_next_one_is_made(host) -> None:
    """Nobody's service must not start for it."""
    before = host.Searcher.find
    attachment = Attachment({"hostlike:Searcher.find": (fingerprint(before),)})
    attachment.apply(Seam("hostlike", "Searcher.find", "native_matching", lambda original: 1 / 0), host)
    assert host.Searcher.find is before and not attachment.changes
    assert [(skip.reason, skip.detail) for skip in attachment.skips] == [
        ("error", "ZeroDivisionError: division by zero")
    ]
    attachment.apply(Seam("hostlike", "LIMIT.gone", "native_matching", shout), host)
    assert attachment.skips[1].reason == "missing"
    attachment.apply(Seam("hostlike", "Searcher.find", "native_matching", shout), host)
    assert len(attachment.changes) == 1


def test_a_missing_place_is_said(host) -> None:
    attachment = Attachment()
    attachment.apply(Seam("hostlike", "Searcher.gone", "native_matching", shout), host)
    assert attachment.skips[0].reason == "missing"


def test_an_added_attribute_is_deleted_again(host) -> None:
    attachment = Attachment()
    attachment.apply(Seam("hostlike", "Searcher.extra", "aggregation", lambda original: "new", adds=True), host)
    assert host.Searcher.extra == "new"
    attachment.undo()
    assert "extra" not in vars(host.Searcher)


def test_what_others_replaced_since_stays_theirs(host) -> None:
    attachment = applied(host, {"hostlike:Searcher.find": (fingerprint(host.Searcher.find),)})
    host.Searcher.find = theirs = lambda self, state: None
    attachment.undo()
    assert vars(host.Searcher)["find"] is theirs
    assert attachment.lost[0].reason == "replaced_since"


def test_fingerprints_of_the_environment_count(host, tmp_path, monkeypatch) -> None:
    path = tmp_path / "known.json"
    path.write_text(json.dumps({"hostlike:Searcher.find": fingerprint(host.Searcher.find)}))
    monkeypatch.setenv(seams.TRUST, str(path))
    assert applied(host, {}).changes


@pytest.mark.parametrize("text", ["{", "[]", None])
def test_a_file_of_fingerprints_that_cannot_be_read_is_an_error(host, tmp_path, monkeypatch, text) -> None:
    path = tmp_path / "known.json"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv(seams.TRUST, str(path))
    with pytest.raises(ValueError, match=seams.TRUST):
        applied(host, {})
