"""Traces and metrics of the real service, by OpenTelemetry's semantic conventions."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("httpx", reason="the HTTP tests need httpx")
pytest.importorskip("fastapi", reason="the HTTP tests need the extra kato_fast[service]")
pytest.importorskip("opentelemetry.sdk", reason="needs the extra: kato_fast[otel]")

import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from kato_fast import flags, observe, otel, redis_client
from kato_fast.knowledge import KnowledgeBase
from kato_fast.otel import providers
from kato_fast.service import Settings, create_app
from kato_fast.service.request_log import JsonFormatter
from kato_fast.stores.mongo_driver import PymongoDatabase, Unreachable, WireDatabase, open_database
from tests.http.conftest import Server
from tests.servers.mongo import MongoServer, missing
from tests.servers.redis import MISSING, PROGRAM, RedisServer

ROOT = Path(__file__).parents[2]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Seen:
    """What was told, in memory."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self.reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))

    def spans(self, name: str = "") -> list:
        return [span for span in self.exporter.get_finished_spans() if name in span.name]

    def points(self, name: str) -> list:
        data = self.reader.get_metrics_data()
        every = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics] if data else []
        return [point for metric in every if metric.name == name for point in metric.data.data_points]


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    monkeypatch.setenv("KATO_FAST_RUNTIME_DIR", str(tmp_path / "run"))
    told = Seen()
    otel.start(told.tracers, told.meters)
    yield told
    otel.stop()
    told.tracers.shutdown()
    told.meters.shutdown()
    flags.stop()


def talk(conversation: Callable[[Any], Any], **settings: Any) -> None:
    async def run() -> None:
        app = create_app(Settings(**settings))
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://here:8123") as client:
                await conversation(client)

    asyncio.run(run())


async def learn_and_ask(client: Any) -> None:
    client.headers["x-user-id"] = "traced"
    for strings in (["a", "b"], ["c"]):
        await client.post("/observe", json={"strings": strings, "vectors": [], "emotives": {}})
    await client.post("/learn")
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "user-agent": "a test"}
    await client.post("/observe?x=1", json={"strings": ["a", "b"], "vectors": [], "emotives": {}}, headers=headers)
    await client.get("/sessions/nothing/stm")
    await client.request("BREW", "/observe")


def test_requests_and_searches(seen: Seen) -> None:
    talk(learn_and_ask)
    (traced,) = [span for span in seen.spans("POST /observe") if span.parent is not None]
    assert (traced.name, traced.kind, traced.status.status_code) == ("POST /observe", SpanKind.SERVER, StatusCode.UNSET)
    assert f"{traced.context.trace_id:x}" == TRACE and f"{traced.parent.span_id:016x}" == PARENT
    expected = {
        "http.request.method": "POST",
        "http.route": "/observe",
        "http.response.status_code": 200,
        "url.path": "/observe",
        "url.query": "x=1",
        "url.scheme": "http",
        "server.address": "here",
        "server.port": 8123,
        "user_agent.original": "a test",
        "network.protocol.version": "1.1",
    }
    assert {name: traced.attributes[name] for name in expected} == expected
    (search,) = [span for span in seen.spans("kato_fast.search") if span.context.trace_id == traced.context.trace_id]
    assert search.parent.span_id == traced.context.span_id and search.kind == SpanKind.INTERNAL
    found = {name.partition(".")[2]: value for name, value in search.attributes.items()}
    shares = {"patterns": 1, "symbols": 2, "matched": 1, "predictions": 1, "max_predictions": 100}
    assert found == {**shares, "recall_threshold": 0.1}
    (learned,) = seen.spans("kato_fast.learn")
    (asked,) = seen.spans("POST /learn")
    assert learned.parent.span_id == asked.context.span_id and learned.attributes["kato_fast.sequences"] == 1


def test_names_have_no_text_of_clients(seen: Seen) -> None:
    talk(learn_and_ask)
    assert {span.name for span in seen.spans()} == {
        "POST /observe",
        "POST /learn",
        "GET",
        "HTTP /observe",
        "kato_fast.search",
        "kato_fast.learn",
    }
    (unknown,) = seen.spans("HTTP /observe")
    assert unknown.attributes["http.request.method_original"] == "BREW"
    points = seen.points("http.server.request.duration")
    named = {(p.attributes["http.request.method"], p.attributes.get("http.route")): p for p in points}
    counts = {name: point.count for name, point in named.items()}
    assert counts == {("POST", "/observe"): 3, ("POST", "/learn"): 1, ("GET", None): 1, ("_OTHER", "/observe"): 1}
    assert set(named["POST", "/observe"].attributes) == {
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "network.protocol.version",
        "url.scheme",
    }


def test_the_log_names_the_trace(seen: Seen) -> None:
    """A request's line and records of its work; what belongs to no request names none."""
    formatter, records = JsonFormatter(), []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(json.loads(formatter.format(record)))
    log, above = logging.getLogger("kato_fast.requests"), logging.getLogger("kato_fast")
    before = list(above.handlers)
    log.addHandler(handler)
    try:
        talk(learn_and_ask, log_format="json")
        log.warning("between requests")
    finally:
        log.removeHandler(handler)
        above.handlers, above.propagate = before, True
    spans = {f"{span.context.span_id:016x}": span for span in seen.spans()}
    *requests, outside = records
    assert len(requests) == 6 and "trace_id" not in outside
    assert sum(line["trace_id"] == TRACE for line in requests) == 1
    for line in requests:
        assert line["trace_id"] == f"{spans[line['span_id']].context.trace_id:032x}"


def test_a_server_error_is_one(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self, *args, **kwargs):
        raise RuntimeError("no way")

    monkeypatch.setattr("kato_fast.service.processor.Processor.observe", broken)
    talk(learn_and_ask)
    bad = seen.spans("POST /observe")[0]
    assert bad.status.status_code == StatusCode.ERROR and bad.attributes["error.type"] in ("500", "RuntimeError")
    assert seen.spans("GET")[0].status.status_code == StatusCode.UNSET  # a 404 is the client's


def test_the_registry_is_bridged(seen: Seen) -> None:
    talk(learn_and_ask)
    counter = observe.counter("kato_fast_bridged_total", "Made after the start.", ("kind",))
    counter.labels("one").inc(3)
    observe.gauge("kato_fast_bridged", "A gauge.").labels().set(7)
    (point,) = seen.points("kato_fast_bridged_total")
    assert (point.value, dict(point.attributes)) == (3, {"kind": "one"})
    assert [point.value for point in seen.points("kato_fast_bridged")] == [7]
    series = observe.find("kato_fast_request_seconds").labels("POST /observe")
    counts = {point.attributes["endpoint"]: point.value for point in seen.points("kato_fast_request_seconds_count")}
    assert counts["POST /observe"] == series.total.count >= 3
    sums = {point.attributes["endpoint"]: point.value for point in seen.points("kato_fast_request_seconds_sum")}
    assert sums["POST /observe"] == pytest.approx(series.total.sum / 1e9)
    quantiles = [
        p for p in seen.points("kato_fast_request_seconds_quantile") if p.attributes["endpoint"] == "POST /observe"
    ]
    assert [p.attributes["quantile"] for p in quantiles] == ["0.5", "0.95", "0.99", "0.999"]


@pytest.mark.skipif(PROGRAM is None, reason=MISSING)
@pytest.mark.parametrize("implementation", ["c", "python"])
def test_redis(seen: Seen, implementation: str) -> None:
    if implementation == "c" and redis_client._why_not_c(redis_client.parse_url("redis://127.0.0.1")):
        implementation = None
    with RedisServer() as server:
        client = redis_client.open_client(server.url, implementation=implementation)
        client.command("SET", "secret", "value")
        client.pipeline([("INCR", "n"), ("INCR", "n")])
        with pytest.raises(redis_client.ResponseError):
            client.command("INCR", "secret")
        assert client.implementation in ("c", "python") and client.health()
        client.close()
        port = server.port
    names = [span.name for span in seen.spans()]
    assert names == ["SET", "PIPELINE INCR", "INCR"]
    first, batch, failed = seen.spans()
    assert first.kind == SpanKind.CLIENT and dict(first.attributes) == {
        "db.system.name": "redis",
        "db.operation.name": "SET",
        "db.namespace": "0",
        "server.address": "127.0.0.1",
        "server.port": port,
    }
    assert batch.attributes["db.operation.batch.size"] == 2
    assert failed.status.status_code == StatusCode.ERROR and failed.attributes["error.type"] == "ResponseError"
    assert not any("secret" in str(value) for span in seen.spans() for value in span.attributes.values())
    errors = [p for p in seen.points("db.client.operation.duration") if "error.type" in p.attributes]
    assert [p.count for p in errors] == [1] and errors[0].attributes["db.system.name"] == "redis"


@pytest.mark.skipif(PROGRAM is None, reason=MISSING)
def test_redis_spans_are_the_request_s(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATO_FAST_STREAM_MEMORY", "on")
    flags.state.load()
    with RedisServer() as server:
        talk(learn_and_ask, redis=server.url)
    flags.state.reset()
    asked = {span.context.span_id for span in seen.spans() if span.kind == SpanKind.SERVER}
    calls = seen.spans("EVALSHA")
    assert calls and all(span.parent is not None and span.parent.span_id in asked for span in calls)


@pytest.fixture
def mongo_url() -> Iterator[str]:
    with MongoServer() as running:
        yield running.url


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_mongo(seen: Seen, mongo_url: str) -> None:
    database = open_database(mongo_url, "traced")
    try:
        more = {"u": {"$inc": {"n": 1}}, "upsert": True}
        first = {"update": "symbols_kb", "updates": [{"q": {"name": "secret"}, **more}]}
        other = {"update": "metadata", "updates": [{"q": {"class": "totals"}, **more}]}
        database.run([first])
        database.run([first, other])
        assert len(database.find("symbols_kb", {})) == 1
        database.aggregate("symbols_kb", [{"$match": {"name": "secret"}}])
        (reply,) = database.run([{"nonsense": "symbols_kb"}])
        assert isinstance(reply, Exception)
    finally:
        database.close()
    names = [span.name for span in seen.spans()]
    assert names == [
        "update symbols_kb",
        "BATCH update",
        "find symbols_kb",
        "aggregate symbols_kb",
        "nonsense symbols_kb",
    ]
    first, batch, found, _, bad = seen.spans()
    assert found.attributes["db.response.returned_rows"] == 1 and batch.attributes["db.operation.batch.size"] == 2
    expected = {"db.system.name": "mongodb", "db.namespace": "traced", "db.collection.name": "symbols_kb"}
    assert {name: first.attributes[name] for name in expected} == expected and first.kind == SpanKind.CLIENT
    assert first.attributes["server.address"] == "127.0.0.1" and first.attributes["server.port"] > 0
    assert bad.status.status_code == StatusCode.ERROR and bad.attributes["error.type"] == "Refused"
    assert bad.attributes["db.response.status_code"] == "59"
    assert "secret" not in str([dict(span.attributes) for span in seen.spans()])


def test_a_mongo_that_is_away(seen: Seen) -> None:
    database = open_database("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100", "traced")
    try:
        with pytest.raises(Unreachable):
            database.find("patterns_kb", {})
    finally:
        database.close()
    (span,) = seen.spans()
    assert span.attributes["error.type"] == "Unreachable" and span.status.status_code == StatusCode.ERROR


WRAPPED = [
    *((KnowledgeBase, name) for name in ("predict", "predict_async", "predict_many", "learn", "learn_many")),
    *((WireDatabase, name) for name in ("run", "find", "aggregate", "load")),
    *((PymongoDatabase, name) for name in ("run", "find", "aggregate", "patterns")),
]


def test_stopped_it_is_as_if_it_had_never_been() -> None:
    originals = [vars(owner)[name] for owner, name in WRAPPED]
    told = Seen()
    otel.start(told.tracers, told.meters)
    assert all(vars(owner)[name] is not before for (owner, name), before in zip(WRAPPED, originals))
    otel.stop()
    assert [vars(owner)[name] for owner, name in WRAPPED] == originals
    assert redis_client._around is None and not observe.metrics._hearers
    told.tracers.shutdown()
    told.meters.shutdown()


def test_off_costs_nothing() -> None:
    """Nothing imported but what FastAPI itself has, nothing wrapped, nothing around the requests."""
    program = """
import os, sys
from kato_fast.service import Settings, create_app
for more in ({}, {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, {"OTEL_TRACES_EXPORTER": "none"}):
    os.environ.update(more)
    app = create_app(Settings())
    assert not {"opentelemetry.sdk", "kato_fast.otel.session"} & set(sys.modules)
    assert all(isinstance(one.cls, type) for one in app.user_middleware)
    for name in more:
        del os.environ[name]
"""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    subprocess.run([sys.executable, "-c", program], env={**plain, "PYTHONPATH": str(ROOT)}, check=True)


def test_without_the_extra_the_message_names_it() -> None:
    program = (
        "import sys; sys.modules['opentelemetry.sdk'] = None\n"
        "from kato_fast import otel; assert not otel.start_if_asked(); otel.start()\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OTEL_TRACES_EXPORTER": "otlp"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    first, *_, last = done.stderr.splitlines()
    assert first.startswith("the OTEL_ variables ask for traces or metrics, but OpenTelemetry needs the extra")
    assert last == "ModuleNotFoundError: OpenTelemetry needs the extra: pip install 'kato_fast[otel]'"


def test_the_providers_of_the_application_are_taken_where_it_set_some() -> None:
    program = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
from kato_fast import KnowledgeBase, otel
assert otel.start_if_asked()
kb = KnowledgeBase()
kb.learn([["a"], ["b"]])
otel.stop()
kb.learn([["a"], ["c"]])
assert [span.name for span in exporter.get_finished_spans()] == ["kato_fast.learn"]
with provider.get_tracer("x").start_as_current_span("still open"): pass
assert len(exporter.get_finished_spans()) == 2
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OTEL_TRACES_EXPORTER": "otlp", "OTEL_METRICS_EXPORTER": "none"}
    subprocess.run([sys.executable, "-c", program], env=env, check=True)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OTEL_TRACES_EXPORTER", "jager", "OTEL_TRACES_EXPORTER must list some of otlp, console, none.*not 'jager'"),
        ("OTEL_METRICS_EXPORTER", "x", "OTEL_METRICS_EXPORTER must list some of otlp, console, none"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier pigeon", "must be one of http/protobuf, grpc, not 'carrier pigeon'"),
    ],
)
def test_what_cannot_be_read(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=said):
        otel.start()
    assert not otel.running()


def test_which_process_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert providers.resource().attributes["service.name"] == "kato_fast"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=left,room=3")
    found = providers.resource().attributes
    assert (found["service.name"], found["service.instance.id"], found["room"]) == ("mine", "left", "3")


class Collector(ThreadingHTTPServer):
    """Takes what the exporter sends over OTLP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.spans: list = []
        self.metrics: set[str] = set()
        self.services: set[str] = set()
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/v1/traces":
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    named = {one.key: one.value.string_value for one in resource.resource.attributes}
                    self.server.services.add(named["service.name"])
                    self.server.spans += [span.name for scope in resource.scope_spans for span in scope.spans]
            else:
                for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    self.server.metrics |= {m.name for scope in resource.scope_metrics for m in scope.metrics}
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass


def test_a_collector_gets_it_by_the_variables_alone(tmp_path: Path) -> None:
    """A real service, a real exporter; what is left is sent when the service ends."""
    collector = Collector()
    try:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
            "OTEL_SERVICE_NAME": "in production",
        }
        server = Server(tmp_path / "log", "python", None, **variables)
        with server.client() as client:
            client.post("/observe", json={"strings": ["a", "b"], "vectors": [], "emotives": {}})
        server.stop()
    finally:
        collector.close()
    assert {"POST /observe", "GET /health", "kato_fast.search"} <= set(collector.spans)
    assert {"http.server.request.duration", "kato_fast_request_seconds_count"} <= collector.metrics
    assert collector.services == {"in production"}
