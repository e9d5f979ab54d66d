"""The OpenAPI document is complete, and what the service answers is what it says: schemathesis asks.

KATO_FAST_REQUESTS sets about how many requests are sent (1,000 by default).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from urllib.parse import unquote

import pytest

httpx = pytest.importorskip("httpx", reason="the HTTP tests need httpx")
schemathesis = pytest.importorskip("schemathesis", reason="schemathesis needs Python 3.10 or newer")
from hypothesis import HealthCheck, assume, given, settings  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.http.conftest import Server  # noqa: E402

REQUESTS = int(os.environ.get("KATO_FAST_REQUESTS", "1000"))
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]

#: KATO answers these with 500, and so does the service (docs/differences.md).
DEFECTS = re.compile(
    rb"Predictions failed: 'str' object has no attribute 'get'"
    rb"|Observation failed: OBSERVATION_ERROR: (Failed to process vectors|.*list)"
    rb"|Observe sequence failed: "
    rb"|^Internal Server Error$"
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("openapi")
    running = Server(folder / "log", "c", folder / "data")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def document(service: Server) -> dict:
    return httpx.get(f"{service.url}/openapi.json", timeout=30).json()


@pytest.fixture(scope="module")
def api(service: Server):
    return schemathesis.openapi.from_url(f"{service.url}/openapi.json")


@pytest.mark.slow
def test_answers_are_as_documented(api) -> None:
    """No 500 but KATO's own, no status, type or body that the document does not have."""
    found = [result.ok() for result in api.get_all_operations()]
    fixed = {operation.path for operation in found if "{" not in operation.path}
    for operation in found:
        ask(operation, max(2, REQUESTS // len(found)), fixed - {operation.path})


def ask(operation, examples: int, others: set[str]) -> None:
    """others: paths that a chosen name may make of this one's, such as a session that is called count."""

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def asked(case) -> None:
        assume(unquote(case.formatted_path) not in others)
        response = case.call(timeout=30)
        defect = response.status_code == 500 and DEFECTS.search(response.content)
        case.validate_response(response, checks=CHECKS[1:] if defect else CHECKS)

    asked()


def operations(document: dict) -> Iterator[tuple[str, dict]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def resolved(document: dict, schema: dict) -> dict:
    return document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


def test_every_operation_is_described(document: dict) -> None:
    """A sentence, the shape of the answer with an example, and of each error."""
    wanting = []
    for name, operation in operations(document):
        if not operation.get("description"):
            wanting.append(f"{name} has no description")
        for status, answer in operation["responses"].items():
            content = answer.get("content", {})
            for kind, body in content.items():
                if kind == "application/json" and not body.get("schema"):
                    wanting.append(f"{name} does not say what {status} looks like")
            if not content:
                wanting.append(f"{name} has no body for {status}")
    assert not wanting, "\n".join(wanting)


def test_answers_have_examples(document: dict) -> None:
    wanting = []
    for name, operation in operations(document):
        body = operation["responses"]["200"]["content"].get("application/json")
        if body and not {"example", "examples"} & {*body, *resolved(document, body["schema"])}:
            wanting.append(name)
    assert not wanting, wanting


def test_requests_have_examples(document: dict) -> None:
    for name, operation in operations(document):
        for body in operation.get("requestBody", {}).get("content", {}).values():
            assert "example" in body["schema"], name


def test_errors_have_examples(document: dict) -> None:
    """Of each error what it looks like; every operation says that what it needs may be away, or both forms refused."""
    wanting = []
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            body = answer["content"].get("application/json")
            if body is not None and status != "200" and not has_example(document, body):
                wanting.append(f"{name} {status}")
        for status in {"406", "503"} - set(operation["responses"]):
            wanting.append(f"{name} has no {status}")
        if "requestBody" in operation and not {"408", "413", "415", "422"} <= set(operation["responses"]):
            wanting.append(f"{name} does not say how a body may fail")
    assert not wanting, "\n".join(wanting)


def has_example(document: dict, body: dict) -> bool:
    schema = resolved(document, body["schema"])
    choices = [resolved(document, one) for one in schema.get("anyOf", [schema])]
    return "example" in body or all("example" in one for one in choices)


MONITORING = {
    "/health": "Health",
    "/status": "Status",
    "/metrics": "Metrics",
    "/metrics/kato_requests_total": "Metric",
    "/stats": "Stats",
    "/performance-metrics": "PerformanceMetrics",
    "/alerts": "Alerts",
    "/connection-pools": "ConnectionPools",
    "/cache/stats": "CacheStats",
    "/distributed-stm/stats": "DistributedStm",
    "/test/x": "TestAnswer",
}


def test_monitoring_answers_have_the_keys_of_their_examples(service: Server, document: dict) -> None:
    """The documentation shows what comes, and nothing else."""
    import time

    time.sleep(1.3)
    for path, model in MONITORING.items():
        said = httpx.get(service.url + path, timeout=30, trust_env=False).json()
        example = document["components"]["schemas"][model]["example"]
        assert set(said) == set(example), path
