"""Python's full garbage collections look at every object of the host's modules again and again, and stop it meanwhile.

A host has some hundred thousand of them, which never become garbage: a tenth of a second, once in a hundred learns.
What is there when the host has been imported is therefore left out (``gc.freeze``) while ``host_repairs`` is on.
"""

from __future__ import annotations

import gc
from typing import Any

from kato_fast import flags

FLAG = "host_repairs"


class Collector:
    """Follows the flag from spare() to back(); nothing is done where somebody else has frozen."""

    def __init__(self) -> None:
        self._frozen = self._collected = False

    def spare(self) -> None:
        """Leave out what is there now. The first time, what is garbage already goes before that."""
        flags.no_more(self._changed)
        flags.on_change(self._changed)
        if flags.mode(FLAG).kind in ("on", "require") and hasattr(gc, "freeze") and not gc.get_freeze_count():
            if not self._collected:
                self._collected = True
                gc.collect()
            gc.freeze()
            self._frozen = True

    def back(self) -> None:
        """As it was."""
        flags.no_more(self._changed)
        self._thaw()

    def _changed(self, before: Any, after: Any) -> None:
        if after.flag == FLAG and after.mode.kind not in ("on", "require"):
            self._thaw()

    def _thaw(self) -> None:
        if self._frozen:
            self._frozen = False
            gc.unfreeze()


COLLECTOR = Collector()
