"""The door to a KATO service: whatever of the host's package is imported is shown to kato_fast.hosts right afterwards.

A module of its own beside the package, so that a process which never imports the host pays for one line of a ``.pth``
file or for this file, and not for the package with its C engine.
"""

from __future__ import annotations

import os
import sys
import threading

HOST = "kato"
VARIABLE = "KATO_FAST"
OFF = ("", "0", "off", "false", "no")

_finding = threading.local()


def asked(environment=os.environ) -> bool:
    """Whether the environment asks to attach."""
    return environment.get(VARIABLE, "").strip().lower() not in OFF


class Loader:
    """The host's own loader, and afterwards a look at what it loaded."""

    def __init__(self, loader) -> None:
        self._loader = loader

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _show(module)


class Finder:
    """Finds nothing itself: wraps what the finders behind it find, for modules of the host only."""

    def find_spec(self, name, path=None, target=None):
        if name != HOST and not name.startswith(HOST + "."):
            return None
        if getattr(_finding, "name", None) == name:
            return None
        before, _finding.name = getattr(_finding, "name", None), name
        try:
            spec = _find(name, path, target)
        finally:
            _finding.name = before
        if spec is not None and spec.loader is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = Loader(spec.loader)
        return spec


FINDER = Finder()


def _find(name, path, target):
    for finder in sys.meta_path:
        if finder is not FINDER and hasattr(finder, "find_spec"):
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
    return None


def _show(module) -> None:
    """A host that cannot be attached to must start all the same; one whose flags cannot be read must not."""
    try:
        from kato_fast import hosts, native

        native.load()
    except ImportError as error:
        close_door()
        print(f"kato_fast is not attached: {error}", file=sys.stderr)
        return

    hosts.loaded(module)


def open_door() -> None:
    """From now on the host's modules are shown to kato_fast.hosts; a second call does nothing."""
    if FINDER not in sys.meta_path:
        sys.meta_path.insert(0, FINDER)


def close_door() -> None:
    """The finder is gone; what was attached stays."""
    while FINDER in sys.meta_path:
        sys.meta_path.remove(FINDER)


def from_environment() -> None:
    """What the ``.pth`` file and the sitecustomize of ``kato-fast run`` call: never stops an interpreter."""
    if asked():
        open_door()
