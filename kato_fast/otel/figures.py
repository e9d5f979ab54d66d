"""Every metric of ``kato_fast.observe`` as instruments of OpenTelemetry, under the names that Prometheus has too.

A latency becomes three: ``_count`` and ``_sum`` since the start, and ``_quantile`` of the last minute, whose error is
the sketch's 1 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Callable

from opentelemetry.metrics import CallbackOptions, Observation

from kato_fast.observe import Metric, on_define

QUANTILES = (0.5, 0.95, 0.99, 0.999)

Callback = Callable[[CallbackOptions], Iterable[Observation]]


class Figures:
    """Instruments for the metrics that are, and for each that comes."""

    def __init__(self, meter: Any) -> None:
        self._meter = meter
        self._known: set[str] = set()
        self._live = True
        on_define(self._define, True)

    def end(self) -> None:
        """Instruments cannot be taken back; they say nothing from now on."""
        self._live = False
        on_define(self._define, False)

    def _define(self, metric: Metric) -> None:
        if metric.name in self._known:
            return
        self._known.add(metric.name)
        kind = metric.make.kind
        if kind == "latency":
            self._define_latency(metric)
        else:
            create = "create_observable_counter" if kind == "counter" else "create_observable_gauge"
            getattr(self._meter, create)(metric.name, [self._of(metric, _value)], description=metric.help)

    def _define_latency(self, metric: Metric) -> None:
        meter, name, text = self._meter, metric.name, metric.help
        meter.create_observable_counter(f"{name}_count", [self._of(metric, _count)], description=text)
        meter.create_observable_counter(f"{name}_sum", [self._of(metric, _sum)], unit="s", description=text)
        meter.create_observable_gauge(
            f"{name}_quantile", [self._of(metric, _quantiles)], unit="s", description=f"{text} Of the last minute."
        )

    def _of(self, metric: Metric, values: Callable[[Any], Iterator[tuple[float, dict]]]) -> Callback:
        def callback(options: CallbackOptions) -> Iterator[Observation]:
            for labels, series in metric.items() if self._live else ():
                for value, more in values(series):
                    yield Observation(value, {**dict(zip(metric.label_names, labels)), **more})

        return callback


def _value(series: Any) -> Iterator[tuple[float, dict]]:
    yield series.value, {}


def _count(series: Any) -> Iterator[tuple[float, dict]]:
    yield series.total.count, {}


def _sum(series: Any) -> Iterator[tuple[float, dict]]:
    yield series.total.sum / 1e9, {}


def _quantiles(series: Any) -> Iterator[tuple[float, dict]]:
    window = series.window()
    for q in QUANTILES if window.count else ():
        yield window.quantile(q), {"quantile": f"{q:g}"}
