"""Attaching to a running KATO: which host it is, what is replaced in it, and how that is taken back.

``install()`` and ``uninstall()`` for code; the door (``kato_fast_door``) for a service that nobody edits.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from types import ModuleType
from typing import Any, Optional

import kato_fast_door
from kato_fast import flags, native, otel, rollout
from kato_fast.flags import redis_key
from kato_fast.hosts.effects import without_effect
from kato_fast.hosts.seams import Attachment
from kato_fast.profiles import profile_named

log = logging.getLogger("kato_fast")

HOST = kato_fast_door.HOST

_lock = threading.RLock()


class _State:
    """What this process is attached to. generation: the module of the host's generation, once recognised."""

    generation: Optional[ModuleType] = None
    refused = ""
    attachment = Attachment()
    applied: set = set()
    told = False


def loaded(module: Any) -> None:
    """The host has imported one of its modules; its seams are applied before its importer goes on."""
    with _lock:
        generation = _generation()
        if generation is not None:
            _apply(generation, module)
            _complete(generation, [module])


def install(**modes: str) -> dict:
    """Attach to the host, also where it is already imported. Returns ``status()``.

    Args:
        modes: per flag ``off | shadow | canary:<percent> | on | require``; without any, every flag that nothing else
            sets is on.

    Raises: TypeError, ValueError for an unknown flag or mode, RuntimeError where the imported host is not known; then
        nothing is set. ImportError where a forced engine is missing.
    """
    native.load()
    for flag, mode in modes.items():
        flags.read_mode(mode, flags.check_flag(flag))
    with _lock:
        loaded_already = [module for name, module in list(sys.modules.items()) if _is_hosts(name) and module]
        generation = _generation() if loaded_already else None
        if loaded_already and generation is None:
            raise RuntimeError(_State.refused)
        for flag in flags.FLAGS:
            if flag in modes or (not modes and flags.resolution(flag).origin == "default"):
                flags.set_mode(flag, modes.get(flag, "on"), by="kato_fast.install")
        kato_fast_door.open_door()
        if generation is not None:
            for module in _in_order(generation, loaded_already):
                _apply(generation, module)
            _complete(generation, modules=loaded_already)
    return status()


def uninstall() -> dict:
    """Put every original back, by identity; running observations end first.

    Returns what others replaced since, and what is not written yet, because the server is away.
    """
    from kato_fast.hosts import shared
    from kato_fast.hosts.collector import COLLECTOR

    kato_fast_door.close_door()
    with _lock:
        shared.GATE.lazy = False
        shared.GATE.drain()
        waiting = _written(shared.WRITER)
        for late in (shared.PREDICTIONS, shared.PATTERN_PREDICTIONS, shared.FUTURES):
            late.settle()
        _State.attachment.undo()
        lost, _State.attachment.lost = _State.attachment.lost, []
        if _State.generation is not None:
            _State.generation.detached()
        _State.applied.clear()
        shared.RESIDENTS.drop()
        COLLECTOR.back()
        _State.generation, _State.refused = None, ""
    return {"lost": [f"{skip.seam.name}: {skip.detail}" for skip in lost] + waiting}


def _written(writer: Any) -> list:
    """Write what waits; where the server is away it is written later, and that is said."""
    try:
        writer.flush()
    except Exception as error:
        return [f"predictions_kb: what is not written yet waits for its server: {error}"]
    return []


def status() -> dict:
    """What is attached to what: host, seams with flag and mode, and what was left alone and why."""
    generation = _State.generation
    return {
        "host": generation.NAME if generation else None,
        "version": getattr(sys.modules.get(HOST), "__version__", None),
        "refused": _State.refused or None,
        "seams": [
            {"target": change.seam.name, "flag": change.seam.flag, "mode": str(flags.mode(change.seam.flag))}
            for change in _State.attachment.changes
        ],
        "left_alone": [
            {"target": skip.seam.name, "flag": skip.seam.flag, "reason": skip.reason, "detail": skip.detail}
            for skip in _State.attachment.skips
        ],
    }


def explain() -> list[dict]:
    """Every fallback that happened, and every seam that was left alone."""
    left = [{**item, "name": item.pop("target"), "count": 1} for item in status()["left_alone"]]
    if _State.refused:
        left.append({"flag": "*", "name": HOST, "reason": "host", "detail": _State.refused, "count": 1})
    return left + rollout.explain()


def _is_hosts(name: str) -> bool:
    return name == HOST or name.startswith(HOST + ".")


def _generation() -> Optional[ModuleType]:
    """The module for the host that is being imported; None, said once, where it is not known."""
    if _State.generation is None and not _State.refused:
        from kato_fast.hosts import generations

        _State.generation = generations.recognise(_has)
        if _State.generation is None:
            _State.refused = generations.refusal()
            log.warning("%s", _State.refused)
        else:
            _begin(_State.generation)
    return _State.generation


def _has(name: str) -> bool:
    """Looks at the files: a host that is not known is not imported to find that out."""
    package, *rest = name.split(".")
    folders = getattr(sys.modules.get(package), "__path__", ())
    paths = [os.path.join(folder, *rest) for folder in folders]
    return any(os.path.isfile(path + ".py") or os.path.isdir(path) for path in paths)


def _begin(generation: ModuleType) -> None:
    from kato_fast.hosts import shared

    _State.attachment.prints = generation.PRINTS
    shared.RESIDENTS.generation = profile_named(generation.PROFILE).generation


def _in_order(generation: ModuleType, modules: list) -> list:
    order = {seam.module: i for i, seam in reversed(list(enumerate(generation.SEAMS)))}
    return sorted(modules, key=lambda module: order.get(module.__name__, -1))


def _apply(generation: ModuleType, module: Any) -> None:
    for seam in generation.SEAMS:
        if seam.module == module.__name__ and seam.name not in _State.applied:
            _State.applied.add(seam.name)
            _State.attachment.apply(seam, module)


def _complete(generation: ModuleType, modules: list) -> None:
    """Once every place is replaced, answers may stay in the engine: whoever reads them builds the host's objects."""
    from kato_fast.hosts import shared
    from kato_fast.hosts.collector import COLLECTOR

    if any(module.__name__ == generation.LAST for module in modules):
        shared.GATE.lazy = True
        if not _State.told:
            _State.told = True
            _banner(generation)
            rollout.process.PARTS.update(explain=explain, without_effect=_without_effect)
            rollout.start("KATO", redis_url=_redis_url())
            _start_telemetry()
        COLLECTOR.spare()


def _without_effect() -> dict:
    if _State.generation is None:
        return {}
    return without_effect(_State.generation.SEAMS, [change.seam for change in _State.attachment.changes])


def _start_telemetry() -> None:
    """Where the OTEL_ variables ask for it. They are the host's too: what we cannot read stops no host."""
    try:
        if otel.start_if_asked():
            atexit.register(otel.stop)
    except ValueError as error:
        log.warning("no traces and metrics of kato_fast: %s", error)


def _redis_url() -> Optional[str]:
    """The host's Redis, which may hold the kill switch. An address that only the host's client reads stops no host."""
    url = os.environ.get("REDIS_URL", "")
    try:
        return redis_key.check_url(url) if url else None
    except ValueError as error:
        log.warning("no flags and no kill switch are read from Redis: %s", error)
        return None


def _banner(generation: ModuleType) -> None:
    from kato_fast.hosts.banner import line

    print(line(generation.NAME, status()), file=sys.stderr, flush=True)
