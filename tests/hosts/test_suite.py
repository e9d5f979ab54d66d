"""What is made of the report of a host's own tests."""

from __future__ import annotations

import pytest

from kato_fast.flags import FLAGS
from tests.hosts import suite

REPORT = """<testsuites><testsuite>
<testcase name="test_a"/><testcase name="test_b"><failure>no</failure></testcase>
<testcase name="test_many_concurrent_sessions"><error>no</error></testcase>
<testcase name="test_c"><skipped/></testcase><testcase name="test_d"><properties/></testcase>
</testsuite></testsuites>"""


def test_every_test_of_a_report_is_counted_once(tmp_path) -> None:
    path = tmp_path / "report.xml"
    path.write_text(REPORT)
    found = suite.outcome("on", path, 1.0)
    assert found == ("on", 2, ["test_b", "test_many_concurrent_sessions"], ["test_c"], 1.0)
    row = suite.table([found]).splitlines()[-1]
    assert row == "| on | 2 | 2 | 1 | 1 | test_many_concurrent_sessions failed | test_b |"


def test_no_report_is_no_success(tmp_path) -> None:
    with pytest.raises(RuntimeError, match="did not run"):
        suite.outcome("on", tmp_path / "report.xml", 1.0)


def test_each_stands_for_every_flag_alone() -> None:
    words = suite.words_of(["plain", "each"])
    assert words == ["plain", *(f"{flag}=on" for flag in FLAGS)]
    given = suite.variables("batch=on")
    assert given.pop("KATO_FAST_BATCH") == given.pop("KATO_FAST") == "on"
    assert set(given.values()) == {"off"} and len(given) == len(FLAGS) - 1
    assert set(suite.variables("off").values()) == {"on", "off"}, "attached, with every flag off"
