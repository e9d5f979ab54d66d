"""A pytest plugin for CI: a skip that nobody expected fails the run.

Loaded with ``-p tests.ci_skips``; without ``CI=true`` in the environment it only watches. A test that does not run is
a test that cannot fail, so each reason that is fine on the CI machine is listed here, with why.
"""

from __future__ import annotations

import os
import re

import pytest

# (pattern of the reason, why the test cannot run there)
EXPECTED: list[tuple[str, str]] = [
    (r"KATO_HOST_DIR names no checkout", "a KATO is fetched to be run, by hand; CI has the stand-in"),
    (r"KATO_FAST_TEST_MONGODB names no", "Debian has no mongod; CI has the stand-in and a scripted replica set"),
    (r"the counts are of", "instruction counts hold for one compiler"),
    (r"has no _testcapi\.set_nomemory", "some distributions ship Python without its test modules"),
]


def is_expected(reason: str) -> bool:
    return any(re.search(pattern, reason) for pattern, _ in EXPECTED)


class SkipWatch:
    def __init__(self) -> None:
        self.unexpected: list[str] = []

    def note(self, report) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            if not is_expected(reason):
                self.unexpected.append(f"{report.nodeid}: {reason}")

    pytest_runtest_logreport = note
    pytest_collectreport = note

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unexpected and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter) -> None:
        if self.unexpected:
            terminalreporter.section("skips that CI did not expect", red=True)
            for line in self.unexpected:
                terminalreporter.write_line(line)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI") == "true":
        config.pluginmanager.register(SkipWatch(), "skip-watch")
