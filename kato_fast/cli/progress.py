"""The progress bar of learning: on stderr, and only where that is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable

from kato_fast.cli.learning import Report

#: Seconds between two updates.
EVERY = 0.1


@contextmanager
def bar(total_bytes: int) -> Iterator[Callable[[float, Report], None]]:
    """Yields the function to tell bytes read and report to."""
    if not sys.stderr.isatty():
        yield lambda read, report: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=max(total_bytes, 1))
        started = time.perf_counter()
        shown = started

        def update(read: float, report: Report) -> None:
            nonlocal shown
            now = time.perf_counter()
            if now - shown >= EVERY:
                shown = now
                rate = report.learned / (now - started)
                text = f"{report.learned:,} patterns, {rate:,.0f}/s"
                progress.update(task, completed=read, description=text)

        yield update
