"""KATO's answers, digit for digit, from an engine in C. Start with ``KnowledgeBase``."""

from kato_fast._version import __version__
from kato_fast.emotives import EmotivesConflict
from kato_fast.knowledge import KnowledgeBase
from kato_fast.native import load

_engine = load()
BloomFilter = _engine.BloomFilter
matching_blocks = _engine.matching_blocks
pattern_name = _engine.pattern_name
ratio = _engine.ratio
del _engine, load

__all__ = [
    "AsyncClient",
    "BloomFilter",
    "Client",
    "EmotivesConflict",
    "KnowledgeBase",
    "__version__",
    "explain",
    "install",
    "matching_blocks",
    "pattern_name",
    "ratio",
    "status",
    "uninstall",
]


def install(**modes: str) -> dict:
    """Attach to the KATO of this process. modes: per flag ``off | shadow | canary:<percent> | on | require``."""
    from kato_fast import hosts

    return hosts.install(**modes)


def uninstall() -> dict:
    """Put every original of the KATO of this process back."""
    from kato_fast import hosts

    return hosts.uninstall()


def explain() -> list[dict]:
    """Every time that a slower path answered, and why: {flag, name, reason, detail, count, ...}."""
    from kato_fast import hosts, native

    return native.explain() + hosts.explain()


def status() -> dict:
    """Which implementation answers, the versions of the parts, and what is attached to a KATO in this process."""
    from kato_fast import hosts, native

    return {**native.status(), "host": hosts.status()}


def __getattr__(name: str):
    """The two clients, which need the extra ``client``, are imported when they are asked for."""
    if name in ("AsyncClient", "Client"):
        from kato_fast import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
