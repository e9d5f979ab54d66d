"""Asks the C engine and the twin the same and compares what comes back, bit for bit."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Callable

from kato_fast import native
from tests.engines import need_c


def both_engines() -> tuple[ModuleType, ModuleType]:
    """The modules of C and of the twin; without C a skip, or a failure where it is required."""
    return need_c(), native.load("python")


def outcome(call: Callable, *arguments: Any) -> tuple:
    """What a call gave, in a form that is equal only where all of it is: digits, signs of zero, types, key order."""
    try:
        value = call(*arguments)
    except Exception as error:
        return "raised", type(error).__name__, str(error)
    return ("gave", *view(value))


def view(value: Any) -> tuple:
    """``repr`` has the shortest digits that read back, so equal texts mean equal doubles."""
    if hasattr(value, "future_potentials"):
        return _view_predictions(value)
    if hasattr(value, "ratios"):
        return len(value), repr(value.names), repr(value.ratios)
    return (repr(value),)


def _view_predictions(predictions: Any) -> tuple:
    return (
        predictions.matched,
        len(predictions),
        repr(predictions.to_list()),
        repr(list(predictions)),
        repr(predictions.future_potentials),
        predictions.to_json(),
        predictions.to_json(pattern_names=True),
        predictions.to_cbor(),
        predictions.to_cbor(pattern_names=True),
        predictions.future_potentials_json(),
        predictions.answer_json(predictions, b',"x":1}', pattern_names=True),
        predictions.future_potentials_cbor(),
    )


class Sides:
    """One knowledge of each engine that goes through the same calls."""

    def __init__(self, indexed: bool, generation: str = "2025-09") -> None:
        options = {"indexed": indexed, "generation": generation}
        self.knowledge = [engine.Knowledge(**options) for engine in both_engines()]
        self._calls: list[str] = [f"knowledge = engine.Knowledge(**{options})"]

    def call(self, method: str, *arguments: Any) -> tuple:
        """The outcome, which must be the same on both."""
        self._calls.append(f"knowledge.{method}({', '.join(map(_short, arguments))})")
        c, twin = (outcome(getattr(knowledge, method), *arguments) for knowledge in self.knowledge)
        assert c == twin, self._difference(c, twin)
        return c

    def compare_contents(self) -> None:
        """Every pattern, counter and total."""
        self.call("names")
        self.call("totals")
        c, twin = self.knowledge
        assert c.symbols() == twin.symbols(), "\n".join(self._calls)
        assert len(c) == len(twin), "\n".join(self._calls)
        for name in twin.names():
            self.call("pattern", name)

    def names(self) -> list[str]:
        return self.knowledge[1].names()

    def _difference(self, c: tuple, twin: tuple) -> str:
        parts = [f"C    {ours!r}\ntwin {theirs!r}" for ours, theirs in zip(c, twin) if ours != theirs]
        return "\n".join([*self._calls, *(parts or [f"C    {c!r}\ntwin {twin!r}"])])


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) < 20_000 else f"{text[:200]}...{len(text)} characters"
