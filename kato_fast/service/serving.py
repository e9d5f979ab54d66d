"""How HTTP is served: by which parser, on which event loop, with which limits."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

#: The most that the head of a request may have, and the trailers after a body in chunks.
HEAD_BYTES = 65_536


class Serving(NamedTuple):
    """http, loop: what uvicorn is given. missing: packages that would be faster, and why they cannot be used."""

    http: Any
    loop: str
    missing: dict[str, str]

    def options(self) -> dict[str, Any]:
        """Of uvicorn.Config and uvicorn.run."""
        return {"http": self.http, "loop": self.loop, "ws": "none", "h11_max_incomplete_event_size": HEAD_BYTES}

    def __str__(self) -> str:
        """One line."""
        parser = self.http if isinstance(self.http, str) else "httptools"
        if not self.missing:
            return f"{parser} on {self.loop}"
        reasons = ", ".join(f"no {name} ({why})" for name, why in self.missing.items())
        return f"{parser} on {self.loop}, slower: {reasons}: pip install 'kato_fast[service]'"


def serving() -> Serving:
    """The faster of what is installed, each for itself."""
    missing: dict[str, str] = {}
    parsing = _imported("httptools", "kato_fast.service.protocol", missing)
    looping = _imported("uvloop", "uvloop", missing)
    return Serving(parsing.Protocol if parsing else "h11", "uvloop" if looping else "asyncio", missing)


def _imported(package: str, module: str, missing: dict[str, str]) -> Any:
    """The module that stands on the package, or None: a broken package must not keep the service from starting."""
    try:
        importlib.import_module(package)
        return importlib.import_module(module)
    except Exception as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name == package
        missing[package] = "not installed" if absent else f"{type(error).__name__}: {error}"
        return None
