"""Figures of several workers as one: each writes its own once a second, and whoever is asked adds them up.

A folder with one file per worker. Who is asked adds its own live figures, so a quiet service is exact at any moment.
Counters of workers that have ended stay: what is left of them is folded into one file by the next who starts.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

from kato_fast import observe

log = logging.getLogger("kato_fast.service")

GONE = "gone"


class Exchange:
    """The folder, as one worker sees it; None: there is only this one. Its methods may wait for the disk."""

    def __init__(self, folder: Optional[str]) -> None:
        self.folder = None if folder is None else Path(folder)

    def open(self) -> None:
        """Make the folder; fold what ended workers left. Raises OSError."""
        if self.folder is None:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked(fcntl.LOCK_EX):
            ended = [path for path in self._files() if not _alive(path)]
            if not ended or ended == [self.folder / f"{GONE}.json"]:
                return
            self._replace(GONE, observe.merge(map(_without_now, self._read(ended))))
            for path in ended:
                if path.stem != GONE:
                    path.unlink(missing_ok=True)

    def write(self) -> None:
        """This worker's figures for the others."""
        if self.folder is not None:
            try:
                self._replace(str(os.getpid()), observe.snapshot())
            except OSError as error:
                log.warning("the figures of this worker cannot be written: %s", error)

    def merged(self) -> dict:
        """All workers' figures: this one's live, the others' of their last second."""
        own = observe.snapshot()
        if self.folder is None:
            return own
        try:
            with self._locked(fcntl.LOCK_SH):
                mine = self.folder / f"{os.getpid()}.json"
                files = [path for path in self._files() if path != mine]
                others = [one if _alive(path) else _without_now(one) for path, one in zip(files, self._read(files))]
        except OSError as error:
            log.warning("the figures of the other workers cannot be read: %s", error)
            return own
        return observe.merge([own, *others])

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*.json") if path.stem == GONE or path.stem.isdigit())

    def _read(self, paths: list[Path]) -> Iterator[dict]:
        for path in paths:
            try:
                yield json.loads(path.read_text("utf-8"))
            except FileNotFoundError:
                yield observe.merge([])

    def _replace(self, name: str, value: dict) -> None:
        new = self.folder / f"{name}.{os.getpid()}.new"
        new.write_text(json.dumps(value), "utf-8")
        os.replace(new, self.folder / f"{name}.json")

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        with open(self.folder / "lock", "a") as file:
            fcntl.flock(file, how)
            yield


def _alive(path: Path) -> bool:
    if path.stem == GONE:
        return False
    try:
        os.kill(int(path.stem), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _without_now(snapshot: dict) -> dict:
    """Of an ended worker: what it has counted, not what it was at."""
    metrics = {
        name: {**metric, "series": [_past(one) for one in metric["series"]]}
        for name, metric in snapshot["metrics"].items()
        if metric["kind"] != "gauge"
    }
    return {**snapshot, "processes": 0, "metrics": metrics}


def _past(series: dict) -> dict:
    return {**series, "window": observe.Sketch().to_dict()} if "window" in series else series
