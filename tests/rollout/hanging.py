"""What a hang of a flag that is on looks like."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable

import pytest

from kato_fast.rollout import pairs


class Hanging:
    """A call that does not come back until somebody has looked for hangs; wait() is where its candidate stays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pairs, "HANG_SECONDS_ON", 0.1)
        self._inside, self._release = threading.Event(), threading.Event()

    def wait(self) -> None:
        self._inside.set()
        self._release.wait(30)

    def is_looked_for(self, call: Callable[[], Any]) -> None:
        thread = threading.Thread(target=call)
        thread.start()
        assert self._inside.wait(30)
        time.sleep(0.2)
        pairs.look_for_hangs()
        self._release.set()
        thread.join()
        assert not pairs.under_way
