"""Why the original answered although its flag says otherwise: every code there is, and what it means."""

from __future__ import annotations

import re

#: The page docs/rollout.md has this table; a test compares both, and finds every code that the package uses.
REASONS = {
    "connection": "a connection broke or was refused",
    "counters_disagree": "the database's counters are not those of its patterns: documents were deleted or edited",
    "document_shape": "the database holds a pattern that the engine cannot hold",
    "error": "the candidate raised an exception that has no code of its own",
    "fingerprint": "the code there, or what its replacement relies on, is not the one that was read: it is left alone",
    "hang": "the candidate did not answer in time; nobody waits for it any more",
    "host": "the package kato is none of the hosts that are known: nothing of it is replaced",
    "missing": "the host has no such place",
    "no_key": "a stateful path needs a session or node to choose by, and none was named",
    "no_session": "the session is not there, and the host says so in its own words",
    "os_error": "the operating system refused something",
    "out_of_memory": "an allocation failed",
    "parked": "the path failed too often or was slower than the original; it is tried again later",
    "rapidfuzz": "the host compares characters, because the package rapidfuzz is installed",
    "timeout": "a server did not answer in time",
    "unplanned_writes": "a path awaits, or writes and has no plan of its writes, so shadow cannot compare it",
    "unsupported": "the candidate does not support this case or this version",
}

_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)


class Declined(Exception):
    """Raised by a candidate when the case is not for it: the original answers, and that is no failure.

    reason: a code of REASONS. detail: for people, short, without the content of requests.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        if not _CODE.fullmatch(reason):
            raise ValueError(f"reason must be a code such as out_of_memory, not {reason[:60]!r}")
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


class FallbackForbidden(RuntimeError):
    """Raised under ``require`` where another mode would have let the original answer."""


def reason_of(error: BaseException) -> str:
    """The code of an exception."""
    if isinstance(error, Declined):
        return error.reason
    for kind, code in (
        (MemoryError, "out_of_memory"),
        (TimeoutError, "timeout"),
        (ConnectionError, "connection"),
        (OSError, "os_error"),
        (NotImplementedError, "unsupported"),
    ):
        if isinstance(error, kind):
            return code
    names = [(kind.__module__.partition(".")[0], kind.__name__) for kind in type(error).__mro__]
    return next((_DRIVERS[name] for name in names if name in _DRIVERS), "error")


#: The drivers' own errors are none of the system's; no driver is imported for their names.
_DRIVERS = {
    ("pymongo", "NetworkTimeout"): "timeout",
    ("pymongo", "ServerSelectionTimeoutError"): "timeout",
    ("pymongo", "ConnectionFailure"): "connection",
    ("redis", "TimeoutError"): "timeout",
    ("redis", "ConnectionError"): "connection",
}
