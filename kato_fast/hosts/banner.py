"""The one line at start."""

from __future__ import annotations

import sys

from kato_fast import flags, native


def line(host: str, status: dict) -> str:
    """Host, version, flags, libraries, CPU, and what is not accelerated and why."""
    parts = native.status()
    modes: dict = {}
    for flag in flags.FLAGS:
        modes.setdefault(str(flags.mode(flag)), []).append(flag)
    shown = "; ".join(f"{mode}: {' '.join(names)}" for mode, names in modes.items())
    left = ", ".join(f"{item['target']} ({item['reason']})" for item in status["left_alone"]) or "nothing"
    libraries = " ".join(f"{name} {what}" for name, what in _libraries())
    return (
        f"kato_fast {parts['version']} is attached to {host} (kato {status['version']}, Python "
        f"{sys.version.split()[0]}); engine {parts['implementation']}; CPU {' '.join(parts['cpu']) or 'plain'}; "
        f"libraries {libraries}; flags {shown}; left alone: {left}"
    )


def _libraries() -> list:
    found = []
    for name in ("pymongo", "redis"):
        module = sys.modules.get(name)
        if module is not None:
            found.append((name, getattr(module, "version", None) or getattr(module, "__version__", "")))
    return found
