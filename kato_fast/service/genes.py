"""Genes: configuration values of a session, as both configuration endpoints set them (section 8.6)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real

from kato_fast.service.body import unprocessable
from kato_fast.service.processors import gene
from kato_fast.service.settings import Settings

INDEXERS = ("VI", "LSH", "ANNOY", "FAISS")
MODES = ("CLEAR", "ROLLING")

#: What a session's configuration may hold, in the order in which it is shown.
NAMES = (
    "max_pattern_length",
    "persistence",
    "recall_threshold",
    "indexer_type",
    "max_predictions",
    "sort_symbols",
    "process_predictions",
    "stm_mode",
)


class Invalid(ValueError):
    """Values that ``POST /genes/update`` refuses."""


def updated(config: dict, genes: object) -> dict:
    """The configuration after ``POST /genes/update``: everything is validated, unknown keys are ignored.

    Raises Invalid; nothing changes then.
    """
    if not isinstance(genes, Mapping):
        raise Invalid
    config = {**config, **{name: genes[name] for name in NAMES if name in genes}}
    _validate(config)
    if config.get("stm_mode") is not None and config["stm_mode"] not in MODES:
        config["stm_mode"] = "CLEAR"
    return config


def _validate(config: dict) -> None:
    for name, (kind, least, most) in _RANGES.items():
        value = config.get(name)
        if value is not None and not (_is(value, kind) and least <= value <= most):
            raise Invalid
    if config.get("indexer_type") not in (None, *INDEXERS):
        raise Invalid


def assigned(config: dict, values: dict) -> dict:
    """The configuration after ``POST /sessions/{id}/config``: only types are checked, unknown keys are dropped.

    Answers 422 where a value could not be worked with.
    """
    known = {name: values[name] for name in NAMES if name in values}
    for name, value in known.items():
        kind = _TYPES.get(name)
        if value is not None and kind is not None and not _is(value, kind):
            msg = f"Input should be {_SAID[kind]} or null"
            unprocessable("gene_type", ("body", "config", name), msg, str(value)[:100])
    return {**config, **known}


def shown(config: dict) -> dict:
    """``session_config`` of a session: what is set, never ``stm_mode``."""
    return {name: config[name] for name in NAMES if config.get(name) is not None and name != "stm_mode"}


def readable(config: dict, settings: Settings) -> dict:
    """What ``GET /gene/{name}`` knows."""
    names = ("recall_threshold", "persistence", "max_pattern_length", "stm_mode", "max_predictions")
    genes = {name: gene(config, name, settings) for name in names}
    genes["sort"] = settings.sort_symbols
    genes["process_predictions"] = gene(config, "process_predictions", settings)
    return genes


def _is(value: object, kind: type) -> bool:
    if kind is Real:
        return isinstance(value, (int, float)) and _is_finite(value)
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_finite(value) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond the largest double
        return False


_RANGES = {
    "recall_threshold": (Real, 0.0, 1.0),
    "persistence": (Real, 1, 100),
    "max_pattern_length": (int, 0, math.inf),
    "max_predictions": (int, 1, 10000),
}
_TYPES = {
    "recall_threshold": Real,
    "persistence": Real,
    "max_pattern_length": int,
    "max_predictions": int,
    "stm_mode": str,
}
_SAID = {Real: "a finite number", int: "a whole number", str: "a string"}
