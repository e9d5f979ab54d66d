"""OpenFeature both ways: a provider as a source of modes, and the flags as a provider."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("openfeature", reason="needs the extra: kato_fast[openfeature]")

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderFatalError
from openfeature.flag_evaluation import Reason
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from kato_fast import flags, observe, openfeature, rollout
from kato_fast.openfeature import source

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    yield
    openfeature.stop()
    api.shutdown()


class Switched(InMemoryProvider):
    """Values that change, faults on demand."""

    def __init__(self, **modes: object) -> None:
        super().__init__({})
        self.fault: object = None
        self.wait = threading.Event()
        self.put(**modes)

    def put(self, **modes: object) -> None:
        self._flags = {f"kato_fast_{flag}": InMemoryFlag("now", {"now": mode}) for flag, mode in modes.items()}
        self.emit_provider_configuration_changed(ProviderEventDetails())

    def _resolve(self, key, default, context):
        if self.fault == "hang":
            self.wait.wait(30)
        elif self.fault is not None:
            raise self.fault
        return super()._resolve(key, default, context)


def until(condition, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def origin(flag: str) -> tuple[str, str]:
    found = flags.resolution(flag)
    return str(found.mode), found.origin


def errors() -> dict[str, int]:
    series = observe.snapshot()["metrics"]["kato_fast_openfeature_errors_total"]["series"]
    return {one["labels"]["kind"]: one["value"] for one in series}


def test_a_provider_is_a_source_between_redis_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATO_FAST", "shadow")
    flags.start()
    provider = Switched(batch="canary:5", indexes=True, aggregation=False, native_store="require")
    openfeature.follow(provider)
    until(lambda: origin("native_store") == ("require", "openfeature"))
    assert origin("batch") == ("canary:5", "openfeature")
    assert origin("indexes") == ("on", "openfeature") and origin("aggregation") == ("off", "openfeature")
    assert origin("pattern_cache") == ("shadow", "environment")
    assert flags.resolution("batch").detail == "In-Memory Provider: kato_fast_batch"
    flags.state.put("redis", {"batch": (flags.read_mode("off"), "a key")})
    assert origin("batch") == ("off", "redis")
    flags.set_mode("batch", "on", by="test")
    assert origin("batch") == ("on", "api")
    flags.kill(by="test")
    assert origin("indexes") == ("off", "kill")


def test_changes_arrive_by_event_and_are_audited(folder: Path) -> None:
    flags.start()
    provider = Switched(batch="shadow")
    openfeature.follow(provider)
    until(lambda: origin("batch") == ("shadow", "openfeature"))
    start = time.monotonic()
    provider.put(batch="canary:50", indexes=True)
    until(lambda: origin("indexes") == ("on", "openfeature"))
    assert origin("batch") == ("canary:50", "openfeature")
    assert time.monotonic() - start < source.SECONDS  # else the event did nothing
    provider.put(indexes="off")
    until(lambda: origin("batch") == ("off", "default") and origin("indexes") == ("off", "openfeature"))
    lines = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]
    mine = [line for line in lines if line["what"] == "followed" and line["flag"] == "batch"]
    assert [line["after"] for line in mine] == ["shadow", "canary:50", "off"]
    assert {line["source"] for line in mine} == {"openfeature"}


@pytest.mark.parametrize("fault", [RuntimeError("away"), "maybe", 3])
def test_what_was_read_last_stays(fault: object, caplog: pytest.LogCaptureFixture) -> None:
    """When the provider raises, and when it says what is no mode."""
    flags.start()
    provider = Switched(batch="on")
    openfeature.follow(provider)
    until(lambda: origin("batch") == ("on", "openfeature"))
    before = sum(errors().values()) if "kato_fast_openfeature_errors_total" in observe.snapshot()["metrics"] else 0
    with caplog.at_level(logging.WARNING, logger="kato_fast.flags"):
        if isinstance(fault, Exception):
            provider.fault = fault
            provider.emit_provider_configuration_changed(ProviderEventDetails())
        else:
            provider.put(batch=fault)
        until(lambda: sum(errors().values()) > before)
        assert origin("batch") == ("on", "openfeature")
        provider.fault = None
        provider.put(batch="shadow")
        until(lambda: origin("batch") == ("shadow", "openfeature"))
    told = [record.message for record in caplog.records if "OpenFeature cannot be read" in record.message]
    assert 1 <= len(told) <= len(flags.FLAGS)


def test_a_provider_that_hangs_is_waited_for_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LATE_SECONDS", 0.1)
    monkeypatch.setattr(source, "END_SECONDS", 0.1)
    flags.start()
    provider = Switched(batch="on")
    openfeature.follow(provider)
    until(lambda: origin("batch") == ("on", "openfeature"))
    late = errors().get("late", 0)
    provider.fault = "hang"
    provider.emit_provider_configuration_changed(ProviderEventDetails())
    try:
        until(lambda: errors().get("late", 0) == late + 1)
        start = time.process_time()
        assert all(flags.mode("batch").kind == "on" for _ in range(1000))
        assert time.process_time() - start < 0.1
        flags.kill(by="test")
        assert origin("batch") == ("off", "kill")
        openfeature.stop()
    finally:
        provider.wait.set()


def test_a_provider_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment holds until it can."""

    class Broken(Switched):
        def initialize(self, context):
            raise ProviderFatalError("no server")

    monkeypatch.setenv("KATO_FAST_BATCH", "shadow")
    flags.start()
    before = errors().get("provider_fatal", 0)
    openfeature.follow(Broken(batch="on"))
    until(lambda: errors().get("provider_fatal", 0) > before)
    assert origin("batch") == ("shadow", "environment")


def test_the_application_s_provider_is_asked_and_ours_is_not() -> None:
    flags.start()
    api.set_provider_and_wait(InMemoryProvider({"kato_fast_batch": InMemoryFlag("a", {"a": "canary:7"})}))
    openfeature.follow()
    until(lambda: origin("batch") == ("canary:7", "openfeature"))
    flags.set_mode("indexes", "on", by="test")
    api.set_provider_and_wait(openfeature.KatoFastProvider())
    time.sleep(0.1)
    assert origin("indexes") == ("on", "api") and "indexes" not in flags.state._layers["openfeature"]


def test_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATO_FAST_OPENFEATURE", f"{__name__}:named")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    rollout.start("test")
    try:
        until(lambda: origin("batch") == ("canary:3", "openfeature"))
    finally:
        rollout.stop()
    assert source._follower is None


def named() -> InMemoryProvider:
    return Switched(batch="canary:3")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "must be default, or module:name of what makes a provider, not 'nonsense'"),
        ("no_such_module:x", "makes no provider: ModuleNotFoundError"),
        ("os:nothing", "makes no provider: AttributeError"),
        ("os:getpid", "makes a int, which is no provider"),
    ],
)
def test_a_name_that_gives_no_provider_stops_the_start(monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    monkeypatch.setenv("KATO_FAST_OPENFEATURE", text)
    with pytest.raises(flags.FlagError, match=said):
        rollout.start("test")


def test_without_the_extra_the_message_names_it(folder: Path) -> None:
    program = (
        "import sys; sys.modules['openfeature'] = None\n"
        "from kato_fast import flags, openfeature, rollout\n"
        "try: openfeature.KatoFastProvider\n"
        "except ModuleNotFoundError as error: print(error)\n"
        "try: rollout.start('test')\n"
        "except flags.FlagError as error: print(error)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "KATO_FAST_OPENFEATURE": "default"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert "pip install 'kato_fast[openfeature]'" in first and second == f"KATO_FAST_OPENFEATURE: {first}"


# as a provider


def client() -> OpenFeatureClient:
    api.set_provider_and_wait(openfeature.KatoFastProvider())
    return api.get_client()


@pytest.mark.parametrize(
    ("mode", "boolean", "reason"),
    [("off", False, "STATIC"), ("shadow", False, "STATIC"), ("on", True, "STATIC"), ("require", True, "STATIC")],
)
def test_a_flag_as_boolean_and_text(mode: str, boolean: bool, reason: str) -> None:
    asked = client()
    flags.set_mode("batch", mode, by="test")
    found = asked.get_boolean_details("kato_fast_batch", not boolean)
    assert (found.value, found.reason, found.variant, found.error_code) == (boolean, reason, mode, None)
    assert found.flag_metadata == {"origin": "api"}
    assert asked.get_string_value("kato_fast_batch", "") == mode
    whole = asked.get_object_value("kato_fast_batch", {})
    assert whole == {"mode": mode, "percent": 0.0, "origin": "api", "detail": "test"}


def test_canary_is_a_split_by_our_own_buckets() -> None:
    asked = client()
    flags.set_mode("batch", "canary:30", by="test")
    keys = [f"session-{i}" for i in range(300)]
    found = [asked.get_boolean_details("kato_fast_batch", False, EvaluationContext(key)) for key in keys]
    assert [one.value for one in found] == [flags.chosen("batch", key) for key in keys]
    assert {one.reason for one in found} == {Reason.SPLIT} and 50 < sum(one.value for one in found) < 130
    nameless = asked.get_boolean_details("kato_fast_batch", True)
    assert (nameless.value, nameless.error_code) == (True, ErrorCode.TARGETING_KEY_MISSING)


def test_reasons_and_faults() -> None:
    asked = client()
    assert asked.get_string_details("kato_fast_batch", "").reason == Reason.DEFAULT
    assert asked.get_boolean_details("kato_fast_bach", True).error_code == ErrorCode.FLAG_NOT_FOUND
    assert asked.get_boolean_details("batch", True).error_code == ErrorCode.FLAG_NOT_FOUND
    assert asked.get_integer_details("kato_fast_batch", 3).error_code == ErrorCode.TYPE_MISMATCH
    assert asked.get_float_details("kato_fast_batch", 3.0).error_code == ErrorCode.TYPE_MISMATCH
    flags.kill(by="test")
    assert asked.get_string_details("kato_fast_batch", "").reason == Reason.DISABLED


def test_clients_hear_of_changes_until_it_is_let_go() -> None:
    asked = client()
    heard: list[list[str]] = []
    asked.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, lambda details: heard.append(details.flags_changed))
    flags.mode("batch")
    flags.set_mode("batch", "on", by="test")
    until(lambda: heard == [["kato_fast_batch"]])  # the SDK tells handlers in threads of its own
    api.shutdown()
    flags.set_mode("batch", "off", by="test")
    assert len(heard) == 1 and not flags.state._listeners
