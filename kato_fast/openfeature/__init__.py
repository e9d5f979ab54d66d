"""The flags and OpenFeature. Needs the extra ``kato_fast[openfeature]``.

``follow()`` takes modes from a provider, as one source of the flags; ``KatoFastProvider`` gives the flags to clients.
A provider knows a flag as ``kato_fast_<flag>``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kato_fast.openfeature.provider import KatoFastProvider
    from kato_fast.openfeature.source import follow, follow_named, named, stop

__all__ = ["KatoFastProvider", "follow", "follow_named", "named", "stop"]

MISSING = "OpenFeature needs the extra: pip install 'kato_fast[openfeature]' (Python 3.10 and newer)"


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if find_spec("openfeature") is None:
        raise ModuleNotFoundError(MISSING, name="openfeature")
    home = "provider" if name == "KatoFastProvider" else "source"
    return getattr(import_module(f"kato_fast.openfeature.{home}"), name)
