"""``native_responses`` and ``batch``: who writes predictions out, and which of a sequence's are made at all."""

from __future__ import annotations

import json
from typing import Any

from kato_fast import cbor
from kato_fast.rollout import Choice

NAME_PREFIX = "PTRN|"

_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _listed(predictions: Any, named: bool) -> list[dict]:
    listed = predictions.to_list()
    if named:
        for one in listed:
            one["pattern_name"] = NAME_PREFIX + one["name"]
    return listed


def json_by_module(predictions: Any, named: bool, key: str) -> bytes:
    """A dict for each prediction, then the module json."""
    return _dumps(_listed(predictions, named)).encode()


def json_by_engine(predictions: Any, named: bool, key: str) -> bytes:
    """Finished bytes from what the engine found."""
    return predictions.to_json(pattern_names=named)


def _joined(listed: bytes, found: Any, tail: bytes) -> bytes:
    return b'{"predictions":%b,"future_potentials":%b%b' % (listed, found.future_potentials_json(), tail)


def answer_by_module(predictions: Any, found: Any, tail: bytes, named: bool, key: str) -> bytes:
    """Dicts, the module json, and the parts put together."""
    return _joined(json_by_module(predictions, named, key), found, tail)


def answer_by_engine(predictions: Any, found: Any, tail: bytes, named: bool, key: str) -> bytes:
    """Written once, where one engine has made both."""
    if type(predictions) is type(found):
        return predictions.answer_json(found, tail, pattern_names=named)
    return _joined(json_by_engine(predictions, named, key), found, tail)


def cbor_by_module(predictions: Any, named: bool, key: str) -> bytes:
    """A dict for each prediction, then the encoder."""
    return cbor.dumps(_listed(predictions, named))


def cbor_by_engine(predictions: Any, named: bool, key: str) -> bytes:
    """Finished bytes."""
    return predictions.to_cbor(pattern_names=named)


def _key(predictions: Any, named: bool, key: str) -> str:
    return key


def _last(predictions: Any, found: Any, tail: bytes, named: bool, key: str) -> str:
    return key


def item_after_item(key: str) -> bool:
    """Every prediction of a sequence is made."""
    return False


def only_what_is_read(key: str) -> bool:
    """Those that nobody can read are not."""
    return True


JSON = Choice("native_responses", "json", json_by_module, json_by_engine, key=_key, pure=True)
ANSWER = Choice("native_responses", "answer", answer_by_module, answer_by_engine, key=_last, pure=True)
CBOR = Choice("native_responses", "cbor", cbor_by_module, cbor_by_engine, key=_key, pure=True)
BATCH = Choice("batch", "observe-sequence", item_after_item, only_what_is_read, key=lambda key: key)
