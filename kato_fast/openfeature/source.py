"""A provider as one source of modes, below the runtime file and Redis, above the environment.

A thread of its own asks: when the provider says that it changed, and every two seconds. What it read last stays while
the provider fails or hangs, so no call ever waits for it; each failure is counted. A flag that the provider does not
know, or answers with an empty text, is left to the sources below.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import socket
import threading
import time
from typing import Optional

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.provider import FeatureProvider
from openfeature.provider.no_op_provider import NoOpProvider

from kato_fast import observe
from kato_fast.flags import FLAGS, FlagError, Mode, audit, read_mode, state, watch

log = logging.getLogger("kato_fast.flags")

#: Of the provider that kato_fast asks; a client of another domain has its own.
DOMAIN = "kato_fast"
PREFIX = "kato_fast_"
VARIABLE = "KATO_FAST_OPENFEATURE"

#: Between two rounds; a round that lasts longer than the second hangs; how long stop() waits for one.
SECONDS, LATE_SECONDS, END_SECONDS = 2.0, 1.0, 1.0

_errors = observe.counter(
    "kato_fast_openfeature_errors_total",
    "Evaluations that gave no mode; the last one stays.",
    ("kind",),
)

_EVENTS = (ProviderEvent.PROVIDER_READY, ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
_PLACE = re.compile(r"[\w.]+:[\w.]+", re.ASCII)


class Follower:
    """Asks the client's provider for every flag, until stop()."""

    def __init__(self, client: OpenFeatureClient) -> None:
        self._client = client
        self._context = EvaluationContext(socket.gethostname(), {"pid": os.getpid()})
        self._modes: dict[str, tuple[Mode, str]] = {}
        self._boolean: set[str] = set()
        self._told: set[tuple[str, str]] = set()  # flag and kind, until all can be read again
        self._since: Optional[float] = None
        self._ends = False
        self._wake = threading.Event()
        for event in _EVENTS:
            client.add_handler(event, self._changed)
        watch.every_turn(self.look_for_a_hang)
        self._thread = threading.Thread(target=self._run, name="kato_fast flags in OpenFeature", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it; a provider that hangs is left behind. Its layer is left as it is."""
        self._ends = True
        self._wake.set()
        watch.no_more_turns(self.look_for_a_hang)
        for event in _EVENTS:
            self._client.remove_handler(event, self._changed)
        self._thread.join(END_SECONDS)

    def look_for_a_hang(self) -> None:
        """Called by the flags' watcher."""
        since = self._since
        if since is not None and time.monotonic() - since > LATE_SECONDS:
            self._since = None  # once for each
            self._failed("", "late", f"the provider has not answered for {LATE_SECONDS:g} s")

    def _changed(self, details: EventDetails) -> None:
        self._wake.set()

    def _run(self) -> None:
        while not self._ends:
            self._wake.clear()
            failed = self._round()
            if self._told and not failed:
                self._told.clear()
                log.warning("the flags in OpenFeature can be read again")
            self._wake.wait(SECONDS)

    def _round(self) -> bool:
        """Whether a flag could not be read."""
        if type(self._client.provider).__name__ == "KatoFastProvider":
            return False  # it would tell us what we told it
        failed = False
        for flag in FLAGS:
            if self._ends:
                break
            self._since = time.monotonic()
            try:
                self._take(flag)
            except Exception as error:
                failed = True
                self._failed(flag, getattr(error, "kind", "general"), f"{PREFIX}{flag}: {error}")
            self._since = None
        return failed

    def _take(self, flag: str) -> None:
        text = self._answer(flag)
        found = dict(self._modes)
        found.pop(flag, None)
        if text:
            found[flag] = (_mode(text, flag), f"{self._client.provider.get_metadata().name}: {PREFIX}{flag}"[:200])
        if found == self._modes or self._ends:
            return
        self._modes = found
        audit.followed("openfeature", state.put("openfeature", found))

    def _answer(self, flag: str) -> str:
        """The provider's text; empty where it has none. Booleans mean on and off. Raises _Failed."""
        key = f"{PREFIX}{flag}"
        if flag not in self._boolean:
            found = self._client.get_string_details(key, "", self._context)
            if found.error_code != ErrorCode.TYPE_MISMATCH:
                return _checked(found.value, found)
        answer = self._client.get_boolean_details(key, False, self._context)
        self._boolean.discard(flag)  # a type may change
        text = _checked("on" if answer.value else "off", answer)
        self._boolean.add(flag)
        return text

    def _failed(self, flag: str, kind: str, text: str) -> None:
        _errors.labels(kind).inc()
        if (flag, kind) not in self._told:
            self._told.add((flag, kind))
            log.warning("a flag in OpenFeature cannot be read, what was read last stays: %s", text[:300])


class _Failed(Exception):
    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def _checked(text: str, details) -> str:
    if details.error_code is None:
        return text
    if details.error_code == ErrorCode.FLAG_NOT_FOUND:
        return ""
    kind = str(details.error_code.value).lower()
    raise _Failed(kind, f"{kind} {details.error_message or ''}".rstrip())


def _mode(text: str, flag: str) -> Mode:
    try:
        return read_mode(text, f"{PREFIX}{flag}")
    except ValueError as error:
        raise _Failed("bad_value", str(error)) from None


_lock = threading.Lock()
_follower: Optional[Follower] = None
_own = False


def follow(provider: Optional[FeatureProvider] = None) -> None:
    """Take modes from this provider from now on, in place of one that was followed before.

    provider: None takes the one that the application set, for the domain ``kato_fast`` or for all.
    """
    global _follower, _own
    stop()
    with _lock:
        if provider is not None:
            api.set_provider(provider, DOMAIN)
        _own = provider is not None
        _follower = Follower(api.get_client(DOMAIN))


def follow_named(text: str) -> None:
    """The same with what ``module:name`` makes, called without arguments; ``default`` means the application's provider.

    Raises FlagError where that gives no provider.
    """
    follow(named(text))


def named(text: str) -> Optional[FeatureProvider]:
    """The provider that such a text makes; None for the application's. Raises FlagError."""
    return None if text.strip() == "default" else _made(text.strip())


def _made(text: str) -> FeatureProvider:
    if not _PLACE.fullmatch(text):
        raise FlagError(f"{VARIABLE} must be default, or module:name of what makes a provider, not {text[:100]!r}")
    module, _, name = text.partition(":")
    try:
        made = getattr(importlib.import_module(module), name)()
    except Exception as error:
        raise FlagError(f"{VARIABLE}: {text} makes no provider: {type(error).__name__}: {error}") from error
    if not callable(getattr(made, "resolve_string_details", None)):
        raise FlagError(f"{VARIABLE}: {text} makes a {type(made).__name__}, which is no provider")
    return made


def stop() -> None:
    """Ask no more. What was read last stays; a provider that follow() was given is let go."""
    global _follower, _own
    with _lock:
        follower, _follower = _follower, None
        own, _own = _own, False
    if follower is not None:
        follower.stop()
    if own:
        api.set_provider(NoOpProvider(), DOMAIN)


def _after_fork() -> None:
    """Threads do not survive a fork; the child asks for itself."""
    global _lock, _follower
    _lock = threading.Lock()
    if _follower is not None:
        watch.no_more_turns(_follower.look_for_a_hang)
        _follower = Follower(api.get_client(DOMAIN))


os.register_at_fork(after_in_child=_after_fork)
