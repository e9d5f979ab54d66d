"""Which optimisation runs how: ``off | shadow | canary:<percent> | on | require``, one flag each.

``mode(flag)`` is the look that every call can afford. Precedence: kill switch > API > runtime file or Redis key >
environment > configuration file > default; a rollback's latch stands between the kill switch and the API.
"""

from __future__ import annotations

import functools
import logging
from typing import Optional

from kato_fast.flags import edits, runtime, state, watch
from kato_fast.flags.buckets import BUCKETS, bucket, salt
from kato_fast.flags.modes import KINDS, Mode, read_mode
from kato_fast.flags.names import FLAGS, check_flag
from kato_fast.flags.sources import FlagError
from kato_fast.flags.state import Resolution, current, killed, no_more, on_change, resolution
from kato_fast.flags.watch import start, stop

__all__ = [
    "BUCKETS",
    "FLAGS",
    "KINDS",
    "FlagError",
    "Mode",
    "Resolution",
    "bucket",
    "check_flag",
    "chosen",
    "kill",
    "killed",
    "mode",
    "no_more",
    "on_change",
    "read_mode",
    "resolution",
    "revive",
    "salt",
    "set_mode",
    "set_runtime",
    "start",
    "stop",
]

log = logging.getLogger("kato_fast.flags")

_SALTS = {flag: salt(flag) for flag in FLAGS}


@functools.lru_cache(maxsize=1 << 14)  # sessions come again and again
def _bucket_of(flag: str, key: str) -> int:
    return bucket(_SALTS[flag], key.encode("utf-8", "surrogatepass"))


def mode(flag: str) -> Mode:
    """How the flag runs now. Raises ValueError for a name that is none."""
    return current[flag]


def chosen(flag: str, key: str) -> bool:
    """Whether this session or node gets the candidate: always the same answer for the same mode and key."""
    now = current[flag]
    if now.kind == "canary":
        return _bucket_of(flag, key) < now.percent * 100
    return now.kind in ("on", "require")


def set_mode(flag: str, text: Optional[str], *, by: str, why: str = "") -> Resolution:
    """Set a flag in this process; None takes what was set back. Returns what holds now, which may come from above.

    Args:
        by: who does it, for the audit log.

    Raises: TypeError, ValueError naming what is good.
    """
    check_flag(flag)
    wanted = None if text is None else read_mode(text)
    before = resolution(flag)
    after = state.put_one("api", flag, wanted, by)
    _audit(
        "set_mode", flag=flag, set=None if wanted is None else str(wanted), before=before, after=after, by=by, why=why
    )
    return after


def set_runtime(flag: str, text: Optional[str], *, by: str, why: str = "") -> None:
    """Set a flag in every process of the runtime directory, within a second; None takes it back. Raises OSError."""
    check_flag(flag)
    wanted = None if text is None else str(read_mode(text))
    with runtime.locked("flags"):
        values = runtime.read_json(runtime.FLAGS_FILE, {})
        before = values.pop(flag, None)
        if wanted is not None:
            values[flag] = wanted
        runtime.replace_json(runtime.FLAGS_FILE, values)
        edits.account(runtime.FLAGS_FILE)
    _audit("set_runtime", flag=flag, set=wanted, was=before, by=by, why=why)
    _look_again()


def kill(*, by: str, why: str = "") -> None:
    """Everything off: here at once, in the other processes of the runtime directory within a second.

    Raises OSError where the file cannot be written: then only this process is off.
    """
    state.put_kill("api", by)
    with runtime.locked("flags"):
        runtime.replace(runtime.KILL, f"{by}: {why}\n" if why else f"{by}\n")
        edits.account(runtime.KILL)
    _look_again()
    state.put_kill("api", None)  # from here on the file says so, and who removes it revives all
    _audit("kill", by=by, why=why)


def revive(*, by: str, why: str = "") -> None:
    """Take the kill back: the file and what this process was told. A Redis key stays whose it is. Raises OSError."""
    with runtime.locked("flags"):
        (runtime.directory() / runtime.KILL).unlink(missing_ok=True)
        edits.account(runtime.KILL)
    state.put_kill("api", None)
    _audit("revive", by=by, why=why)
    _look_again()


def _look_again() -> None:
    """What was written to the runtime directory holds here at once."""
    watch.look()


def _audit(what: str, **fields: object) -> None:
    from kato_fast.flags import audit

    try:
        for name in ("before", "after"):
            found = fields.get(name)
            if isinstance(found, Resolution):
                fields[name] = f"{found.mode} ({found.origin} {found.detail})".replace(" )", ")")
        audit.append(what, **fields)
    except OSError as error:
        log.warning("the change could not be written to the audit log: %s", error)
