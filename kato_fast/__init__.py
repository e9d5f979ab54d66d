"""KATO's answers, digit for digit, from an engine in C. Start with ``KnowledgeBase``."""

from kato_fast._version import __version__
from kato_fast.emotives import EmotivesConflict
from kato_fast.knowledge import KnowledgeBase

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


_OF_THE_ENGINE = ("BloomFilter", "matching_blocks", "pattern_name", "ratio")


def __getattr__(name: str):
    """Imported when they are asked for: the engine, which may be one that cannot be had, and the extra ``client``.

    So a command can say in one line what is wrong with the setting, and one that needs no engine runs all the same.
    """
    if name in _OF_THE_ENGINE:
        from kato_fast import native

        value = globals()[name] = getattr(native.load(), name)
        return value
    if name in ("AsyncClient", "Client"):
        from kato_fast import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
