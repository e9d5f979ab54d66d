"""What a flag can be set to, and how that is written."""

from __future__ import annotations

import re
from typing import NamedTuple

KINDS = ("off", "shadow", "canary", "on", "require")

#: Shown wherever a value cannot be read.
GOOD = "off, shadow, canary:<percent>, on, require (or 0, 1, false, true, no, yes)"

_SPELLINGS = {"0": "off", "false": "off", "no": "off", "1": "on", "true": "on", "yes": "on"}
_CANARY = re.compile(r"canary:(\d{1,3}(?:\.\d{1,2})?)%?", re.ASCII)


class Mode(NamedTuple):
    """One way to run a flag. percent: of the keys that get the candidate, in hundredths exact; 0 but for canary."""

    kind: str
    percent: float = 0.0

    def __str__(self) -> str:
        return f"canary:{self.percent:g}" if self.kind == "canary" else self.kind

    @property
    def share(self) -> int:
        """How many of the 10,000 buckets get the candidate."""
        return round(self.percent * 100)


OFF = Mode("off")


def read_mode(text: object, where: str = "mode") -> Mode:
    """The mode that a text means. Raises TypeError, ValueError with the list of good ones; where: names its place."""
    if not isinstance(text, str):
        raise TypeError(f"{where} must be a str, not {type(text).__name__}")
    word = text.strip().lower()
    word = _SPELLINGS.get(word, word)
    if word in KINDS and word != "canary":
        return Mode(word)
    found = _CANARY.fullmatch(word)
    if found is not None and float(found[1]) <= 100:
        return Mode("canary", float(found[1]))
    raise ValueError(f"{where} must be one of {GOOD}, not {text[:60]!r}")
