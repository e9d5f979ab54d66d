"""Every setting of the service: its default, its environment variable, what it may be.

The names in upper case without prefix are KATO's own. ``python -m kato_fast.service.settings`` prints the table.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Optional

from kato_fast.native import IMPLEMENTATIONS
from kato_fast.profiles import PROFILES

#: The service speaks the API of September 2025, whose predictions have other fields than those of 2.1.
OF_THIS_API = tuple(name for name, profile in PROFILES.items() if profile.generation == "2025-09")


class SettingsError(ValueError):
    """One line per setting that cannot be used, with what it may be."""


@dataclass(frozen=True)
class Whole:
    """An integer between two bounds, both included."""

    least: int
    most: int

    def __str__(self) -> str:
        return f"a whole number from {self.least} to {self.most}"

    def read(self, text: str) -> int:
        return int(text)

    def holds(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.least <= value <= self.most


@dataclass(frozen=True)
class Number:
    """A finite number between two bounds, both included."""

    least: float
    most: float

    def __str__(self) -> str:
        return f"a number from {self.least:g} to {self.most:g}"

    def read(self, text: str) -> float:
        return float(text)

    def holds(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return math.isfinite(value) and self.least <= value <= self.most


class Switch:
    """A truth value."""

    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}

    def __str__(self) -> str:
        return "one of " + ", ".join(self.words)

    def read(self, text: str) -> bool:
        return self.words[text.strip().lower()]

    def holds(self, value: object) -> bool:
        return isinstance(value, bool)


@dataclass(frozen=True)
class Choice:
    """One of a few words; or None where that is the default."""

    words: tuple[str, ...]
    optional: bool = False

    def __str__(self) -> str:
        return "one of " + ", ".join(self.words)

    def read(self, text: str) -> str:
        return text

    def holds(self, value: object) -> bool:
        return value in self.words or (self.optional and value is None)


@dataclass(frozen=True)
class Text:
    """Non-empty text of at most ``most`` characters without control characters; or None where that is the default."""

    most: int
    optional: bool = False

    def __str__(self) -> str:
        return f"printable text of 1 to {self.most} characters"

    def read(self, text: str) -> str:
        return text

    def holds(self, value: object) -> bool:
        if value is None:
            return self.optional
        return isinstance(value, str) and 0 < len(value) <= self.most and value.isprintable()


def _setting(default, variable: str, rule, doc: str, secret: bool = False):
    return field(default=default, repr=not secret, metadata={"variable": variable, "rule": rule, "doc": doc})


@dataclass(frozen=True)
class Settings:
    """What create_app() needs. Raises SettingsError naming every value that cannot be used."""

    data_dir: Optional[str] = _setting(
        None, "KATO_FAST_DATA_DIR", Text(4096, optional=True), "folder of the knowledge and sessions; none: in memory"
    )
    mongo: Optional[str] = _setting(
        None,
        "KATO_FAST_MONGO_URI",
        Text(4096, optional=True),
        "MongoDB of the knowledge, a database for each processor; none: the folder",
        secret=True,
    )
    redis: Optional[str] = _setting(
        None,
        "KATO_FAST_REDIS_URL",
        Text(1024, optional=True),
        "Redis of sessions and short-term memories; none: local",
        secret=True,
    )
    redis_pool: int = _setting(50, "KATO_FAST_REDIS_POOL", Whole(1, 1000), "connections to Redis of each worker")
    workers: int = _setting(
        1, "KATO_FAST_WORKERS", Whole(1, 64), "processes that serve; above 1: needs a folder, or MongoDB and Redis"
    )
    host: str = _setting("127.0.0.1", "KATO_FAST_HOST", Text(255), "address to listen on")
    port: int = _setting(8000, "KATO_FAST_PORT", Whole(0, 65535), "port to listen on; 0 takes a free one")
    profile: str = _setting("kato-2025-09", "KATO_FAST_PROFILE", Choice(OF_THIS_API), "which KATO is matched")
    implementation: Optional[str] = _setting(
        None, "KATO_FAST_IMPL", Choice(IMPLEMENTATIONS, optional=True), "engine; none: c where built, else python"
    )

    service_name: str = _setting("kato", "SERVICE_NAME", Text(40), "second half of processor ids")
    recall_threshold: float = _setting(0.1, "RECALL_THRESHOLD", Number(0, 1), "default of the gene")
    persistence: int = _setting(5, "PERSISTENCE", Whole(1, 100), "default of the gene")
    max_pattern_length: int = _setting(0, "MAX_PATTERN_LENGTH", Whole(0, 2**31), "default of the gene")
    stm_mode: str = _setting("CLEAR", "STM_MODE", Choice(("CLEAR", "ROLLING")), "default of the gene")
    max_predictions: int = _setting(100, "MAX_PREDICTIONS", Whole(1, 10000), "default of the gene")
    sort_symbols: bool = _setting(True, "SORT_SYMBOLS", Switch(), "sort the strings of an observation")
    process_predictions: bool = _setting(True, "PROCESS_PREDICTIONS", Switch(), "shown as a gene, used by nothing")
    session_ttl: int = _setting(
        3600,
        "SESSION_TTL",
        Whole(60, 86400),
        "seconds after which an idle processor is evicted; not the sessions' life",
    )

    max_body_bytes: int = _setting(
        16 * 2**20, "KATO_FAST_MAX_BODY_BYTES", Whole(1024, 2**30), "largest request body; above: 413"
    )
    body_timeout: float = _setting(
        30.0, "KATO_FAST_BODY_TIMEOUT", Number(0.05, 3600), "seconds in which a body must have arrived; later: 408"
    )
    max_json_depth: int = _setting(
        100, "KATO_FAST_MAX_JSON_DEPTH", Whole(8, 500), "deepest nesting of a JSON body; above: 422"
    )
    max_state_symbols: int = _setting(
        65535, "KATO_FAST_MAX_STATE_SYMBOLS", Whole(2, 65535), "symbols in a short-term memory; above: 422"
    )
    max_sequence: int = _setting(
        10_000, "KATO_FAST_MAX_SEQUENCE", Whole(1, 1_000_000), "observations in one sequence; above: 422"
    )
    max_emotives: int = _setting(
        10_000, "KATO_FAST_MAX_EMOTIVES", Whole(1, 1_000_000), "emotive maps that wait for the next learn; above: 422"
    )
    max_id_length: int = _setting(
        1024, "KATO_FAST_MAX_ID_LENGTH", Whole(60, 65536), "characters in a user id or unique_id; above: 422"
    )
    max_metadata_bytes: int = _setting(
        65536, "KATO_FAST_MAX_METADATA_BYTES", Whole(2, 2**24), "a session's metadata as JSON; above: 422"
    )
    max_sessions: int = _setting(
        100_000, "KATO_FAST_MAX_SESSIONS", Whole(1, 10_000_000), "unexpired sessions; above: 503"
    )
    log_format: str = _setting(
        "text", "KATO_FAST_LOG_FORMAT", Choice(("text", "json")), "json: lines of JSON, one for each request too"
    )
    monitoring: bool = _setting(
        True,
        "KATO_FAST_MONITORING",
        Switch(),
        "measure requests and sample; off: figures, curves and alerts stand still",
    )
    busy_cpu: float = _setting(
        80.0, "KATO_FAST_BUSY_CPU", Number(1, 100), "percent of the machine's CPUs above which /health is degraded"
    )
    slow_seconds: float = _setting(
        1.0,
        "KATO_FAST_SLOW_SECONDS",
        Number(0.001, 3600),
        "99th percentile of the last seconds above which /alerts says slow",
    )
    metrics_dir: Optional[str] = _setting(
        None,
        "KATO_FAST_METRICS_DIR",
        Text(4096, optional=True),
        "folder in which services add up their figures; none: the workers of one service alone",
    )
    history: int = _setting(
        100_000, "KATO_FAST_HISTORY", Whole(60, 2_000_000), "samples, one a second, that the page can look back on"
    )
    max_processors: int = _setting(
        100, "KATO_FAST_MAX_PROCESSORS", Whole(1, 10_000), "processors in memory; above: the least recently used goes"
    )

    def __post_init__(self) -> None:
        wrong = [
            f"{spec.name} must be {spec.metadata['rule']}, not {getattr(self, spec.name)!r}"
            for spec in fields(self)
            if not spec.metadata["rule"].holds(getattr(self, spec.name))
        ]
        if self.workers > 1 and self.data_dir is None and None in (self.mongo, self.redis):
            wrong.append(
                "workers must be 1 without data_dir, or mongo and redis: several processes share what is there"
            )
        if wrong:
            raise SettingsError("\n".join(wrong))

    def to_env(self) -> dict[str, str]:
        """The environment from which from_env() makes the same settings, for other processes."""
        given = {spec.metadata["variable"]: getattr(self, spec.name) for spec in fields(self)}
        return {name: "" if value is None else str(value) for name, value in given.items()}

    @classmethod
    def from_env(cls, env: Optional[Mapping[str, str]] = None, **given) -> Settings:
        """Settings from the environment; what is given (and not None) goes first.

        An empty variable counts as absent. Raises SettingsError naming every variable that cannot be used.
        """
        env = os.environ if env is None else env
        values = {name: value for name, value in given.items() if value is not None}
        wrong = []
        for spec in fields(cls):
            text = env.get(spec.metadata["variable"])
            if text and spec.name not in values:
                try:
                    values[spec.name] = _read(spec, text)
                except SettingsError as error:
                    wrong.append(str(error))
        if wrong:
            raise SettingsError("\n".join(wrong))
        return cls(**values)


def _read(spec, text: str):
    rule = spec.metadata["rule"]
    try:
        value = rule.read(text)
    except (ValueError, KeyError, OverflowError):
        value = None
    if value is None or not rule.holds(value):
        raise SettingsError(f"{spec.metadata['variable']} must be {rule}, not {text!r}")
    return value


def table() -> str:
    """The settings as a Markdown table, for the documentation."""
    rows = ["| variable | default | may be | meaning |", "| --- | --- | --- | --- |"]
    for spec in fields(Settings):
        default = "none" if spec.default is None else f"`{spec.default}`"
        meta = spec.metadata
        rows.append(f"| `{meta['variable']}` | {default} | {meta['rule']} | {meta['doc']} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
