"""The rules for Prometheus, by its own promtool: they can be read, and each fires when it should."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RULES = HERE.parents[1] / "docs" / "monitoring" / "alerts.yml"
CASES = HERE / "alerts_test.yml"


def promtool(*words: str) -> str:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_can_be_read() -> None:
    assert re.search(r"SUCCESS: \d+ rules found", promtool("check", "rules", str(RULES)))


def test_rules_fire_when_they_should() -> None:
    promtool("test", "rules", str(CASES))


def test_every_rule_is_tried() -> None:
    """Once where it fires, once where it does not."""
    for name in re.findall(r"- alert: (\w+)", RULES.read_text()):
        tried = re.findall(rf"alertname: {name}\b[^-]*?exp_alerts:( \[\])?", CASES.read_text())
        assert len(set(tried)) == 2, f"{name} is not tried both ways"
